//! How the command ends.

use std::fmt;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// The exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Done, and there is a finding at or above `--fail-on`.
    Found,
    /// Wrong usage, or nothing could be read or written.
    Failed,
    /// Done, but some input was unreadable or cut short.
    Partial,
    /// A signal ended it before it was done.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Found => 1,
            Exit::Failed => 2,
            Exit::Partial => 3,
            // As shells count an interrupt.
            Exit::Interrupted => 130,
        })
    }
}

/// Why the command cannot go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of the output is gone: the end, but no error.
    ClosedPipe,
    /// What to tell the user, in one line.
    Message(String),
}

impl Failure {
    pub(crate) fn new(message: impl fmt::Display) -> Failure {
        Failure::Message(message.to_string())
    }

    /// What writing to `target` failed with.
    pub(crate) fn writing(target: &str, error: &io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Message(format!("{target}: {}", in_words(error))),
        }
    }
}

/// What the system says, without its number.
pub(crate) fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
