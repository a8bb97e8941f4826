//! The command as a user meets it: arguments, output, exit status, manners.

#[cfg(test)]
mod annotate;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod drawings;
#[cfg(test)]
mod ecs;
#[cfg(test)]
mod keylog;
#[cfg(test)]
mod manners;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod parquet;
#[cfg(test)]
mod quic;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod run;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod ties;
#[cfg(test)]
mod usage;
