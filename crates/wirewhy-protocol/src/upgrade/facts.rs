//! The facts of a change to TLS.

use crate::types::Mark;

/// How a connection changes to TLS, or does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upgrade {
    /// The protocol that changes.
    pub protocol: UpgradeProtocol,
    /// Whether the server announced that it can, where its protocol has such an announcement and it was seen.
    pub offered: Option<bool>,
    /// The client's request.
    pub asked: Option<Mark>,
    /// The server's answer to it.
    pub answered: Option<Mark>,
    /// What the answer says.
    pub verdict: UpgradeVerdict,
    /// The answer as it was on the wire, its last line, cut at 256 bytes: hostile text. For binary protocols its code in words. Where
    /// the client did not ask: what the server sent instead, if it demanded TLS, or the line of a masked announcement.
    pub reply: Option<Box<str>>,
    /// What the client sent in the clear after a refusal, or without asking where the server did not announce that it can, if it
    /// was more than a farewell: it continues without TLS.
    pub went_on: Option<Mark>,
    /// Where an HTTP proxy is asked to connect to (`host:port`): hostile text.
    pub target: Option<Box<str>>,
}

crate::compact!(Upgrade {
    protocol,
    offered,
    asked,
    answered,
    verdict,
    reply,
    went_on,
    target
});

impl Upgrade {
    /// Nothing was seen yet.
    pub(crate) fn new(protocol: UpgradeProtocol) -> Upgrade {
        Upgrade {
            protocol,
            offered: None,
            asked: None,
            answered: None,
            verdict: UpgradeVerdict::NotAsked,
            reply: None,
            went_on: None,
            target: None,
        }
    }

    /// The client asks, perhaps once more.
    pub(super) fn ask(&mut self, mark: Mark) {
        self.asked = Some(mark);
        self.answered = None;
        self.reply = None;
        self.went_on = None;
        self.verdict = UpgradeVerdict::Unanswered;
    }

    pub(super) fn answer(&mut self, verdict: UpgradeVerdict, reply: Option<Box<str>>, mark: Mark) {
        self.answered = Some(mark);
        self.verdict = verdict;
        self.reply = reply;
    }
}

/// A protocol with a way to change to TLS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UpgradeProtocol {
    /// RFC 3207.
    Smtp,
    /// RFC 9051 section 6.2.1.
    Imap,
    /// RFC 2595 section 4.
    Pop3,
    /// RFC 4642.
    Nntp,
    /// RFC 4217.
    Ftp,
    /// RFC 5804 section 2.2.
    ManageSieve,
    /// RFC 6120 section 5.
    Xmpp,
    /// RFC 4511 section 4.14.
    Ldap,
    /// The SSLRequest of PostgreSQL's protocol.
    PostgreSql,
    /// The SSLRequest of the MySQL and MariaDB protocol.
    MySql,
    /// MS-RDPBCGR section 2.2.1.1.1.
    Rdp,
    /// MS-TDS section 2.2.6.5.
    Tds,
    /// The STARTTLS of IRC.
    Irc,
    /// RFC 9110 section 9.3.6.
    HttpConnect,
    /// RFC 1928, and its predecessor SOCKS 4.
    Socks,
}

crate::compact!(UpgradeProtocol = {
    0 Smtp, 1 Imap, 2 Pop3, 3 Nntp, 4 Ftp, 5 ManageSieve, 6 Xmpp, 7 Ldap, 8 PostgreSql, 9 MySql, 10 Rdp, 11 Tds,
    12 Irc, 13 HttpConnect, 14 Socks,
});

/// What became of a request to change to TLS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UpgradeVerdict {
    /// Neither side asked.
    NotAsked,
    /// The server has not answered.
    Unanswered,
    /// The server agreed, or the protocol needs no answer.
    Accepted,
    /// The server refused.
    Refused,
}

crate::compact!(UpgradeVerdict = { 0 NotAsked, 1 Unanswered, 2 Accepted, 3 Refused });
