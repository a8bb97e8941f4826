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

#[cfg(test)]
mod tests;
