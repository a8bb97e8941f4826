//! FTP: the control connection (RFC 959, 2228, 2389, 2428, 4217).
//!
//! Both directions share one [`FtpSession`] and give it their lines in order: while a change to TLS may follow, those that the
//! negotiation has read, behind it and inside decrypted TLS all of them. Commands and replies are matched by their order, so
//! that it does not matter which direction was read first. What a session transfers is on connections of its own, which
//! are not known here.

mod address;
mod facts;
mod session;
mod verb;

pub use facts::{
    FtpCommand, FtpData, FtpError, FtpFacts, FtpLogin, FtpProtection, FtpReply, FtpSealed,
    FtpSetup, FtpTransfer,
};
pub(crate) use session::{FtpRead, FtpSession};
pub use verb::FtpVerb;

#[cfg(test)]
mod tests;
