//! The flight recorder: the last packets of every connection, and a file with them for each that failed.
//!
//! [`Recorder`] keeps frames in a ring of bytes that is never larger than it was made; each costs the same small time,
//! however many connections there are. When a connection has failed, [`Evidence`] writes its packets, from before the
//! failure on, into a pcapng file of its own, with the findings as comments on the packets that prove them. A
//! [`EvidenceWriter`] joins the two for a capture that is running.

mod comments;
mod evidence_writer;
mod file;
mod folder;
mod ring;
#[cfg(test)]
mod tests;

pub use comments::{APPLICATION, Comments};
pub use evidence_writer::EvidenceWriter;
pub use file::Case;
pub use folder::{Counts, Evidence, EvidenceError};
pub use ring::{FrameScope, Recorder, SharedRecorder};
