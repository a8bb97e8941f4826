//! What reads a direction once its protocol is known.

use crate::conversation::Dialogue;
use crate::side::Role;
use crate::upgrade::proxy::{self, Prefix};
use crate::{Framing, Lost, Mark, Speech};
use crate::{http1, http2, records, speech, upgrade};

/// Bytes for a reader, in order.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The offset of the first byte.
    pub(crate) at: u64,
    /// At least one byte.
    pub(crate) bytes: &'a [u8],
    /// The segment that brought the last of them.
    pub(crate) mark: Mark,
    pub(crate) role: Role,
}

impl Input<'_> {
    /// One past the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.after(self.bytes.len())
    }

    /// The offset `count` bytes on.
    pub(crate) fn after(&self, count: usize) -> u64 {
        self.at
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// What a reader made of its input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It stands at this offset, which may lie beyond the input: what is in between it need not see.
    To(u64),
    /// These bytes begin this protocol.
    Speaks(Speech),
    /// It needs the same bytes again, and more of them.
    More,
    /// It needs the same bytes again once the other direction has gone on.
    Stall,
    /// It cannot go on.
    Lost(Lost),
}

/// The reader of a direction.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Reader {
    /// The protocol is not known yet, or not known again after HTTP handed the connection over.
    Opening,
    Http1(http1::Reader),
    Http2(http2::Reader),
    Tls(records::Reader),
    /// A plaintext protocol that may change to TLS; of its framing nothing is known.
    Plain,
    /// The prefix of the PROXY protocol.
    Proxied,
}

impl Reader {
    /// The reader for a protocol, where there is one.
    pub(crate) fn of(speech: Speech) -> Option<Reader> {
        match speech {
            Speech::Http1Request | Speech::Http1Response => {
                Some(Reader::Http1(http1::Reader::new()))
            }
            Speech::Http2Preface => Some(Reader::Http2(http2::Reader::after_preface())),
            Speech::Http2Settings => Some(Reader::Http2(http2::Reader::new())),
            Speech::Tls => Some(Reader::Tls(records::Reader::new())),
            Speech::ProxyProtocol => Some(Reader::Proxied),
            Speech::Ssh
            | Speech::Smtp
            | Speech::Ftp
            | Speech::SmtpOrFtp
            | Speech::Pop3
            | Speech::Imap
            | Speech::Nntp
            | Speech::ManageSieve
            | Speech::Irc
            | Speech::Xmpp
            | Speech::Ldap
            | Speech::PostgreSql
            | Speech::MySql
            | Speech::Rdp
            | Speech::Tds
            | Speech::Socks
            | Speech::Unknown => None,
        }
    }

    pub(crate) fn read(&mut self, input: Input<'_>, dialogue: &mut Dialogue) -> Step {
        match self {
            Reader::Opening => match open(input, dialogue) {
                Some(speech) => Step::Speaks(speech),
                None => Step::More,
            },
            Reader::Plain => match dialogue.upgrade.read(input.role, input.bytes, input.mark) {
                upgrade::Outcome::Used(used) => Step::To(input.after(used)),
                upgrade::Outcome::More => Step::More,
                upgrade::Outcome::Wait => Step::Stall,
                upgrade::Outcome::Over(used) => {
                    *self = Reader::Opening;
                    Step::To(input.after(used))
                }
                upgrade::Outcome::Done => Step::Lost(Lost::Unframed),
            },
            Reader::Proxied => match proxy::prefix(input.bytes) {
                Prefix::Is(length) if input.bytes.len() >= length => {
                    *self = Reader::Opening;
                    Step::To(input.after(length))
                }
                Prefix::Is(_) | Prefix::Open => Step::More,
                Prefix::Not => Step::Lost(Lost::Malformed),
            },
            Reader::Http1(reader) => match reader.read(input, &mut dialogue.exchanges) {
                http1::Outcome::Step(step) => step,
                http1::Outcome::HandedOver(offset) => {
                    *self = Reader::Opening;
                    Step::To(offset)
                }
            },
            Reader::Http2(reader) => reader.read(
                input,
                (&mut dialogue.streams, &mut dialogue.exchanges.tally),
            ),
            Reader::Tls(reader) => reader.read(input, &mut dialogue.tls()),
        }
    }

    /// Where the body or frame ends that the reader is in, if it need not see it.
    pub(crate) fn skips_to(&self) -> Option<u64> {
        match self {
            Reader::Http1(reader) => reader.skips_to(),
            Reader::Http2(reader) => reader.skips_to(),
            Reader::Tls(reader) => reader.skips_to(),
            Reader::Opening | Reader::Plain | Reader::Proxied => None,
        }
    }

    /// The byte before `offset`, up to which the reader skipped, was seen.
    pub(crate) fn reached(&mut self, offset: u64, mark: Mark, role: Role, dialogue: &mut Dialogue) {
        match self {
            Reader::Http1(reader) => reader.reached(offset, mark, &mut dialogue.exchanges),
            Reader::Http2(reader) => {
                let shared = (&mut dialogue.streams, &mut dialogue.exchanges.tally);
                reader.reached(offset, mark, shared);
            }
            Reader::Tls(reader) => reader.reached(offset, mark, role, &mut dialogue.tls()),
            Reader::Opening | Reader::Plain | Reader::Proxied => {}
        }
    }

    /// Goes on without bytes that the reader needs and will not see: where it needs the next ones, if it can go on at all.
    pub(crate) fn skip(
        &mut self,
        lost: Lost,
        mark: Mark,
        role: Role,
        dialogue: &mut Dialogue,
    ) -> Option<u64> {
        match self {
            Reader::Tls(reader) => reader.skip(lost, role, mark, &mut dialogue.tls()),
            Reader::Opening
            | Reader::Plain
            | Reader::Proxied
            | Reader::Http1(_)
            | Reader::Http2(_) => None,
        }
    }

    /// Where the direction stands after `upto` bytes; `pending` where bytes wait to be read, `closed` where none follow.
    pub(crate) fn framing(&self, upto: u64, pending: bool, closed: bool) -> Framing {
        match self {
            Reader::Plain => Framing::Unknown(Lost::Unframed),
            Reader::Opening | Reader::Proxied if pending => Framing::Unknown(Lost::Unframed),
            Reader::Opening | Reader::Proxied => Framing::Boundary,
            Reader::Http1(reader) => reader.framing(upto, pending, closed),
            Reader::Http2(reader) => reader.framing(upto),
            Reader::Tls(reader) => reader.framing(upto),
        }
    }

    /// The direction cannot be followed any further: what can be said of `unread`, where the reader stood?
    pub(crate) fn give_up(&mut self, role: Role, unread: &[u8], dialogue: &mut Dialogue) {
        match self {
            Reader::Http1(reader) => reader.give_up(role, unread, &mut dialogue.exchanges),
            Reader::Http2(_) => dialogue.streams.give_up(),
            Reader::Opening | Reader::Tls(_) | Reader::Plain | Reader::Proxied => {}
        }
    }
}

/// What a direction begins with; a server's may be an answer that only the question tells.
fn open(input: Input<'_>, dialogue: &Dialogue) -> Option<Speech> {
    let answers = match input.role {
        Role::Server => dialogue.upgrade.answers(input.bytes),
        Role::Client => None,
    };
    answers.or_else(|| speech::recognise(input.bytes, false))
}
