//! Services that refuse a session in the words of their own protocol.
//!
//! A reader follows a service's plaintext as far as the session's beginning goes: once the service has accepted the client,
//! it reads no more. Nothing of what a client sends to log in is kept.

pub(crate) mod amqp;
pub(crate) mod mqtt;
mod notice;
pub(crate) mod redis;
mod refusal;
pub(crate) mod tds;

pub use notice::closing_notice;
pub use refusal::Refusal;

use crate::types::{Step, Unreadable};

/// Where the first line ends, among so many bytes at most; what a reader does where it does not.
pub(crate) fn line_end(bytes: &[u8], most: usize) -> Result<usize, Step> {
    match bytes.iter().take(most).position(|&byte| byte == b'\n') {
        Some(end) => Ok(end),
        None if bytes.len() < most => Err(Step::More),
        None => Err(Step::Unreadable(Unreadable::TooMuch)),
    }
}

#[cfg(test)]
mod tests;
