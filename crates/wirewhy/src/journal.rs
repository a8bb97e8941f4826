//! Whether an output of this process is the journal of systemd, which reads a priority from the beginning of each line:
//! sd-daemon(3).

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;

/// The priority of a line, as syslog(3) numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Priority {
    Error,
    Warning,
    Info,
}

impl Priority {
    /// What the journal reads at the beginning of a line and removes.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Priority::Error => "<3>",
            Priority::Warning => "<4>",
            Priority::Info => "<6>",
        }
    }
}

/// Whether standard output is the stream to the journal that `JOURNAL_STREAM` names.
pub(crate) fn is_stdout() -> bool {
    is_journal(io::stdout().as_fd())
}

/// Whether standard error is the stream to the journal that `JOURNAL_STREAM` names.
pub(crate) fn is_stderr() -> bool {
    is_journal(io::stderr().as_fd())
}

/// Whether a descriptor has the device and inode that stand in `JOURNAL_STREAM` (systemd.exec(5)): a redirected output has
/// others.
fn is_journal(descriptor: BorrowedFd<'_>) -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let data = descriptor
        .try_clone_to_owned()
        .and_then(|owned| File::from(owned).metadata());
    data.is_ok_and(|data| names(&stream, data.dev(), data.ino()))
}

/// Whether `device:inode` in decimal are these.
fn names(stream: &str, device: u64, inode: u64) -> bool {
    stream
        .split_once(':')
        .is_some_and(|(first, second)| first.parse() == Ok(device) && second.parse() == Ok(inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_device_and_an_inode() {
        assert!(names("9:4711", 9, 4711));
        for other in [
            "9:4712", "8:4711", "9", "", ":", "9:4711:1", "9:", " 9:4711",
        ] {
            assert!(!names(other, 9, 4711), "{other}");
        }
    }
}
