//! Live analysis: against the same packets in a file, and for real in network namespaces.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod brief;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod lookups;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod network;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod operator;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod rest;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod screen;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod world;
