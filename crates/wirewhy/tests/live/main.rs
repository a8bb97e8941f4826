//! Live analysis: against the same packets in a file, and for real in network namespaces.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail by panicking"
)]

#[cfg(target_os = "linux")]
mod network;
mod replay;
#[cfg(target_os = "linux")]
mod screen;
#[cfg(target_os = "linux")]
mod world;
