//! Frames from network interfaces, as they pass.
//!
//! [`Source::open`] opens one interface or several through libpcap and merges their frames into one stream in the order
//! of their times. [`Source::next`] waits as long as its argument says and gives the next frame, or says that none came, or that
//! an interface went or came back.
//!
//! Guaranteed: a frame is lent within [`MOST_DELAY`] of its passing, unless the caller itself is late; an interface that
//! goes away ends nothing and is opened again when it returns; what the kernel dropped is counted. Nothing is ever sent.

mod error;
mod handle;
mod interface;
mod interface_queue;
mod privileges;
mod rights;
mod source;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use error::{LiveError, LiveErrorKind};
pub use interface::{Connected, Device, devices, probe};
pub use privileges::{Keep, Lowered, PrivilegeError, is_root, lower_privileges};
pub use rights::{MissingRight, Remedy, missing_right};
pub use source::{Change, Pulled, Source, Traffic, Transition};

/// How long the kernel collects frames before it hands them over.
const BLOCK_TIMEOUT: Duration = Duration::from_millis(50);

/// How long a frame waits for earlier ones of other interfaces: as long as those may lie in the kernel, and as long
/// again for the two to be scheduled.
const HOLD: Duration = Duration::from_millis(100);

/// The longest time between a frame's passing and its being lent to a caller who always waits for the next one.
pub const MOST_DELAY: Duration = Duration::from_millis(150);

/// What to capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Names of interfaces; `any`, alone, stands for all of them.
    pub interfaces: Vec<String>,
    /// An expression in libpcap's filter language. It is run by the kernel: what does not pass is not seen at all.
    pub filter: Option<String>,
    /// How many bytes of a frame are captured at most.
    pub snap_len: u32,
    /// How many bytes the kernel may hold for each interface; it takes less where it has not so much.
    pub buffer: u32,
    /// Whether to ask the interface for frames that are not meant for this host.
    pub promiscuous: bool,
}

impl Default for Options {
    /// Whole frames, none of others, and a buffer for half a second of a full gigabit.
    fn default() -> Options {
        Options {
            interfaces: Vec::new(),
            filter: None,
            snap_len: 262_144,
            buffer: 64 << 20,
            promiscuous: false,
        }
    }
}
