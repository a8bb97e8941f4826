//! Packets to connections: TCP seen from outside.
//!
//! Two layers that do not mix. [`wireshark`] gives every frame the stream number and marks Wireshark gives it, so that
//! results compare. `Tracker` follows what really happened to each connection, and only it feeds detectors.
//!
//! Nothing here has an opinion: a tracker records facts, bounded in memory, with time as an argument. No `Result`, no
//! panic, no clock, no input or output.

mod side;
mod streams;
pub mod wireshark;

pub use side::Side;
pub use streams::{Located, Opened, Pair, Streams};
