//! Why an interface cannot be captured.

use std::fmt;

use wirewhy_packet::LinkType;

use crate::FilterError;
use crate::live::MissingRight;
use crate::live::interface::ANY;
use crate::live::rights::shell_quoted;

/// Why an interface cannot be captured, or no longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveError {
    /// The interface; empty where none was named.
    pub interface: String,
    /// What is wrong.
    pub kind: LiveErrorKind,
}

/// What is wrong with an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LiveErrorKind {
    /// None was named.
    NoneNamed,
    /// `any` was named beside others, whose frames would come twice.
    AnyBesideOthers,
    /// The program may not capture.
    NoPermission(MissingRight),
    /// There is none of that name.
    NoSuchInterface {
        /// Those that there are.
        known: Vec<String>,
    },
    /// It is not up.
    Down,
    /// It was there and is no more.
    Gone,
    /// The filter cannot be used on it.
    Filter(FilterError),
    /// Nothing here reads its frames.
    LinkType(LinkType),
    /// What libpcap says.
    Other(String),
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.interface.is_empty() {
            write!(f, "{}: ", self.interface)?;
        }
        self.kind.fmt(f)?;
        match &self.kind {
            LiveErrorKind::Down => {
                let quoted = shell_quoted(&self.interface);
                write!(f, "; `sudo ip link set dev {quoted} up` would change that")
            }
            LiveErrorKind::Filter(error)
                if self.interface == ANY && error.message.contains("VLAN") =>
            {
                write!(f, "; an interface named instead of `any` shows tags")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for LiveError {}

/// How many names a message lists.
const MOST_NAMES: usize = 12;

impl fmt::Display for LiveErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LiveErrorKind::NoneNamed => write!(f, "no interface is named"),
            LiveErrorKind::AnyBesideOthers => write!(
                f,
                "stands for all interfaces, so no other can be named beside it"
            ),
            LiveErrorKind::NoPermission(right) => right.fmt(f),
            LiveErrorKind::NoSuchInterface { known } if known.is_empty() => {
                write!(f, "no such interface, and there is no other either")
            }
            LiveErrorKind::NoSuchInterface { known } => {
                let shown: Vec<&str> = known.iter().take(MOST_NAMES).map(String::as_str).collect();
                write!(f, "no such interface; there are {}", shown.join(", "))?;
                match known.len().saturating_sub(shown.len()) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            LiveErrorKind::Down => write!(f, "the interface is down"),
            LiveErrorKind::Gone => write!(f, "the interface is gone"),
            LiveErrorKind::Filter(error) => error.fmt(f),
            LiveErrorKind::LinkType(link_type) => write!(
                f,
                "its frames are of link type {}, which this program does not read",
                link_type.0
            ),
            LiveErrorKind::Other(message) => write!(f, "cannot be captured: {message}"),
        }
    }
}
