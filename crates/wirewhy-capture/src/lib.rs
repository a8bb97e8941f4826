//! Frames from a capture file, a pipe or an interface.
//!
//! [`open`] recognises pcap and pcapng by content, plain or compressed, and gives a [`Reader`] that lends one
//! [`Frame`](wirewhy_packet::Frame) after another out of its buffer. [`recordings`] finds out which files are one
//! recording, and a [`Recording`] reads them as one sequence of frames. [`Filters`] selects frames by libpcap's filter
//! language. [`live`] gives frames as they pass, and
//! [`pcapng::Writer`] writes frames down.
//!
//! Guaranteed: every frame before a damaged or missing part is delivered, and [`Reader::problem`] then says what is
//! wrong and where; memory does not grow with the file; a frame from a pipe is lent as soon as its bytes have arrived.
//! Lengths and counts in the file are claims, and nothing is allocated on the word of one.
//!
//! This crate refuses to know what is inside a frame, and it gives time as the file tells it, unsorted. It has
//! the only clocks: [`now`] and [`monotonic_time`].

mod ahead;
mod bpf;
mod clock;
mod compression;
mod filter;
mod follow;
mod grouping;
mod gzip;
mod info;
pub mod live;
mod pcap_file;
pub mod pcapng;
mod problem;
mod reader;
mod recording;
mod sniff;
mod step;
mod until;
mod window;

#[cfg(test)]
mod damage;
#[cfg(test)]
mod oracles;
#[cfg(test)]
mod testbytes;

pub use clock::{monotonic_time, now};
pub use compression::Compression;
pub use filter::{Filter, FilterError, Filters};
pub use follow::{Followed, Next};
pub use grouping::{Joining, recordings, recordings_with};
pub use info::{
    ByteOrder, CaptureInfo, Format, Interface, InterfaceStatistics, NameRecord, Secrets,
    SecretsType, Variant,
};
pub use problem::{BlockType, Oddities, OpenError, OpenErrorKind, Problem, ProblemKind};
pub use reader::{Reader, from_stdin, open};
pub use recording::{FileSequence, Item, Opener, RecordedFile, Recording};
pub use sniff::LooksLike;
pub use until::{from_stdin_until, open_until};
