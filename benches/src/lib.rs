//! Captures to measure on, made in memory: the same bytes on every machine.
//!
//! A handful of conversations are written as traces and stamped out with other client addresses and ports, overlapping
//! in time. Checksums are those of the original, which nothing that is measured here looks at.

mod workload;

pub use workload::{Mix, Workload, frames};
