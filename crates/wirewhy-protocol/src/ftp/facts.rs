//! The facts of an FTP control connection.

use std::net::IpAddr;

use super::address;
use super::verb::FtpVerb;
use crate::types::Mark;

/// What an FTP control connection shows (RFC 959, 2228, 2389, 2428, 4217), as far as it explains a failure. No credentials: no
/// argument of USER, PASS or ACCT is in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FtpFacts {
    /// Whether words of FTP itself were read; a greeting alone may be one of SMTP.
    pub is_certain: bool,
    /// The first reply, with which the server begins.
    pub greeting: Option<FtpReply>,
    /// Commands read.
    pub commands: u32,
    /// Replies read, preliminary ones included.
    pub replies: u32,
    /// What came of the login.
    pub login: FtpLogin,
    /// How often a login was refused.
    pub refused_logins: u32,
    /// How the control connection and the data connections are protected.
    pub protection: FtpProtection,
    /// Data connections that were announced, the latest ones: at most [`FtpFacts::MAX_DATA`].
    pub data: Vec<FtpData>,
    /// Announced data connections that are no longer in `data`.
    pub forgotten_data: u32,
    /// Replies of 400 and more, the first and the latest ones: at most [`FtpFacts::MAX_ERRORS`].
    pub errors: Vec<FtpError>,
    /// How many such replies there were.
    pub error_count: u32,
    /// The latest command.
    pub last_command: Option<FtpCommand>,
    /// When the latest reply was complete.
    pub last_reply: Option<Mark>,
    /// Commands without a final reply.
    pub unanswered: u32,
    /// Commands behind a 421 with which the server closes the session.
    pub after_goodbye: u32,
    /// The server's encrypted records that were not decrypted, the latest ones: at most [`FtpFacts::MAX_SEALED`].
    pub sealed_replies: Vec<FtpSealed>,
    /// Whether a direction could not be read to its end, so that the latest commands or replies may be missing.
    pub stopped: bool,
}

/// What came of a login.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FtpLogin {
    /// The client did not try.
    #[default]
    NotTried,
    /// The server has not answered for good.
    Unanswered,
    /// The server refused.
    Refused,
    /// The server let the client in.
    Accepted,
}

/// How the connections of a session are protected (RFC 4217).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FtpProtection {
    /// The server agreed to AUTH.
    pub auth: Option<Mark>,
    /// The level that PROT asked for and the server agreed to: `C`, `S`, `E` or `P`.
    pub data_level: Option<char>,
    /// The server agreed to CCC, or the first line behind it where that was not decrypted: the control connection goes back to
    /// plaintext.
    pub cleared: Option<Mark>,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FtpCommand {
    /// Its verb.
    pub verb: FtpVerb,
    /// Its argument, cut at 128 bytes, where it can carry no credentials. Hostile text.
    pub argument: Option<Box<str>>,
    /// The segment that completed it.
    pub mark: Mark,
}

impl FtpCommand {
    /// The address and port that PORT or EPRT names; `None` of other commands, and where it names none.
    #[must_use]
    pub fn names(&self) -> Option<(IpAddr, u16)> {
        let argument = self.argument.as_deref()?.as_bytes();
        match self.verb.name() {
            "PORT" => address::port(argument),
            "EPRT" => address::extended_port(argument),
            _ => None,
        }
    }
}

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FtpReply {
    /// Its code of three digits (RFC 959 section 4.2).
    pub code: u16,
    /// The text of its first line, cut at 160 bytes. Empty where it may repeat what must not be kept. Hostile text.
    pub text: Box<str>,
    /// The segment that completed it.
    pub mark: Mark,
}

/// A reply of 400 or more, and the command that it answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FtpError {
    /// The command; `None` where the server was not asked: a greeting, or the end of a session.
    pub command: Option<FtpCommand>,
    /// The reply.
    pub reply: FtpReply,
    /// Whether the client was logged in.
    pub logged_in: bool,
    /// The latest command before it, where it answers none.
    pub idle_since: Option<Mark>,
    /// Whether a transfer was begun and not finished, other than by this reply.
    pub in_transfer: bool,
    /// Whether the client had asked to abort the transfer (ABOR).
    pub aborted: bool,
}

/// An encrypted record, which carries a reply behind the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FtpSealed {
    /// The length its header announces, in bytes.
    pub length: u16,
    /// Where its header was seen.
    pub mark: Mark,
}

/// How a data connection was announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FtpSetup {
    /// PORT: the server connects (RFC 959).
    Port,
    /// EPRT: the server connects (RFC 2428).
    Eprt,
    /// PASV and its reply 227: the client connects (RFC 959).
    Pasv,
    /// EPSV and its reply 229: the client connects (RFC 2428).
    Epsv,
}

impl FtpSetup {
    /// The command.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FtpSetup::Port => "PORT",
            FtpSetup::Eprt => "EPRT",
            FtpSetup::Pasv => "PASV",
            FtpSetup::Epsv => "EPSV",
        }
    }

    /// Whether the client connects.
    #[must_use]
    pub fn is_passive(self) -> bool {
        matches!(self, FtpSetup::Pasv | FtpSetup::Epsv)
    }
}

/// An announced data connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FtpData {
    /// How it was announced.
    pub setup: FtpSetup,
    /// The announced address; `None` of EPSV, which names none: the server's of the control connection.
    pub address: Option<IpAddr>,
    /// The announced port.
    pub port: u16,
    /// The command that set it up.
    pub asked: Mark,
    /// The reply to it.
    pub agreed: Mark,
    /// The transfer it is for, once the client asked for one. Where a server connects before it replies to PORT, and reports that it
    /// could not, that command and that reply.
    pub transfer: Option<FtpTransfer>,
}

/// A transfer: a command such as RETR, and its replies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FtpTransfer {
    /// The command.
    pub command: FtpCommand,
    /// The preliminary reply, 125 or 150.
    pub begun: Option<FtpReply>,
    /// The final reply.
    pub ended: Option<FtpReply>,
    /// How many bytes the server announced, in the preliminary reply or in one to SIZE.
    pub size: Option<u64>,
    /// Whether bytes are sent as they are (TYPE I, MODE S), so that `size` is that of the data.
    pub is_image: bool,
    /// Where it starts in the file (REST).
    pub restart: u64,
    /// When the client asked to abort it.
    pub aborted: Option<Mark>,
}

impl FtpData {
    /// The reply to the announcement by which the server reports that it could not connect.
    #[must_use]
    pub fn refused_at_once(&self) -> Option<&FtpReply> {
        let transfer = self.transfer.as_ref()?;
        let ended = transfer.ended.as_ref();
        ended.filter(|_| transfer.command.mark == self.asked)
    }
}

impl FtpTransfer {
    /// Whether the server reported success (2yz).
    #[must_use]
    pub fn succeeded(&self) -> bool {
        let ended = self.ended.as_ref();
        ended.is_some_and(|reply| (200..300).contains(&reply.code))
    }
}

impl FtpFacts {
    /// How many announced data connections are kept.
    pub const MAX_DATA: usize = 128;
    /// How many encrypted records are kept.
    pub const MAX_SEALED: usize = 32;
    /// How many error replies are kept.
    pub const MAX_ERRORS: usize = 16;

    /// The transfer that was begun and not finished, where there is one.
    #[must_use]
    pub fn running(&self) -> Option<&FtpTransfer> {
        let transfer = self.data.last()?.transfer.as_ref()?;
        (transfer.begun.is_some() && transfer.ended.is_none()).then_some(transfer)
    }
}
