//! What the reporters write, held against its promises.

#[cfg(test)]
mod archive;
#[cfg(test)]
mod entries;
#[cfg(test)]
mod html;
#[cfg(test)]
mod json;
#[cfg(test)]
mod ladder;
#[cfg(test)]
mod live;
#[cfg(test)]
mod markdown;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod text;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod unopened;
