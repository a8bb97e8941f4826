//! The dialogue of a control connection.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;

use wirewhy_packet::Interval;

use super::address;
use super::facts::{
    FtpCommand, FtpData, FtpError, FtpFacts, FtpLogin, FtpReply, FtpSealed, FtpSetup, FtpTransfer,
};
use super::verb::FtpVerb;
use crate::tls::{ContentType, RecordHeader};
use crate::types::{AppProtocol, Mark, Role};

/// The longest line read.
const MAX_LINE: usize = 8 * 1024;

/// The most commands without a reply, and replies without a command, that are kept.
const MAX_WAITING: usize = 32;

/// The most bytes kept of an argument.
const MAX_ARGUMENT: usize = 128;

/// The most bytes kept of a reply.
const MAX_TEXT: usize = 160;

/// A reply that was captured this long before a command, or longer, does not answer it.
const REORDERED: Interval = Interval::from_millis(50);

/// What both directions of a control connection have said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct FtpSession {
    facts: FtpFacts,
    /// It is not FTP.
    is_other: bool,
    greeted: bool,
    /// The reply that goes on over several lines.
    open: Option<FtpReply>,
    /// Commands without a final reply.
    waiting: VecDeque<Waiting>,
    /// Replies whose commands were not seen yet.
    early: VecDeque<FtpReply>,
    /// The file and the size of the latest reply to SIZE.
    size: Option<(Box<str>, u64)>,
    is_image: bool,
    /// Data are sent in blocks or compressed (MODE).
    is_packed: bool,
    restart: u64,
    /// The server closed the session with a 421.
    goodbye: bool,
}

#[derive(Clone, Debug)]
struct Waiting {
    command: FtpCommand,
    asks: Asks,
    /// Its transfer is the one of the newest data connection.
    attached: bool,
}

/// What of a command's argument matters once it is answered.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Nothing,
    Port(FtpSetup, IpAddr, u16),
    Restart(u64),
    Image(bool),
    Stream(bool),
    Level(char),
}

/// What came of a direction's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FtpRead {
    /// So many of them were read.
    Used(usize),
    /// It needs the same bytes again, and more of them.
    More,
    /// It is not FTP, or not any more.
    Done,
}

impl FtpSession {
    /// A direction begins with this protocol.
    pub(crate) fn learn(&mut self, protocol: AppProtocol) {
        self.facts.is_certain |= protocol == AppProtocol::Ftp;
    }

    /// Reads the next line.
    pub(crate) fn read(&mut self, role: Role, bytes: &[u8], mark: Mark) -> FtpRead {
        if self.is_other {
            return FtpRead::Done;
        }
        match bytes.iter().position(|&byte| byte == b'\n') {
            Some(end) if end <= MAX_LINE => {
                self.line(role, bytes.get(..end).unwrap_or(&[]), mark);
                FtpRead::Used(end + 1)
            }
            None if bytes.len() <= MAX_LINE => FtpRead::More,
            _ => FtpRead::Done,
        }
    }

    /// A line, without its end.
    pub(crate) fn line(&mut self, role: Role, line: &[u8], mark: Mark) {
        let line = without_telnet(line.trim_ascii_end());
        match role {
            Role::Client => self.command_line(&line, mark),
            Role::Server => self.reply_line(&line, mark),
        }
    }

    /// A record of TLS that the session continues in, as far as it is not decrypted.
    pub(crate) fn sealed(&mut self, role: Role, record: RecordHeader, mark: Mark) {
        if role != Role::Server || record.kind != ContentType::APPLICATION_DATA {
            return;
        }
        let replies = &mut self.facts.sealed_replies;
        if replies.len() >= FtpFacts::MAX_SEALED {
            replies.remove(0);
        }
        replies.push(FtpSealed {
            length: record.length,
            mark,
        });
    }

    /// The session is in the clear again.
    pub(crate) fn clear(&mut self, mark: Mark) {
        self.facts.protection.cleared.get_or_insert(mark);
    }

    /// A direction cannot be read any further.
    pub(crate) fn stop(&mut self) {
        self.facts.stopped = true;
    }

    /// The facts; `None` where it is not FTP, or no reply was read.
    pub(crate) fn facts(&self) -> Option<Box<FtpFacts>> {
        if self.is_other || self.facts.replies == 0 {
            return None;
        }
        let mut facts = Box::new(self.facts.clone());
        facts.unanswered = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        // A transfer without any reply belongs to the data connection that waits for one.
        if let Some(next) = self
            .waiting
            .iter()
            .find(|next| next.command.verb.is_transfer())
            && !next.attached
            && let Some(data) = facts.data.last_mut().filter(|data| data.transfer.is_none())
        {
            data.transfer = Some(self.transfer(&next.command));
        }
        Some(facts)
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        size_of::<FtpSession>()
            + FtpFacts::MAX_DATA * (size_of::<FtpData>() + MAX_ARGUMENT + 2 * MAX_TEXT)
            + FtpFacts::MAX_ERRORS * (size_of::<FtpError>() + MAX_ARGUMENT + MAX_TEXT)
            + FtpFacts::MAX_SEALED * size_of::<FtpSealed>()
            + MAX_WAITING * (size_of::<Waiting>() + size_of::<FtpReply>() + MAX_TEXT + MAX_ARGUMENT)
    }

    fn command_line(&mut self, line: &[u8], mark: Mark) {
        let (name, argument) = match line.iter().position(|&byte| byte == b' ') {
            Some(end) => line.split_at(end),
            None => (line, &[][..]),
        };
        let argument = argument.trim_ascii();
        if name.is_empty() {
            return;
        }
        if [&b"EHLO"[..], b"HELO", b"LHLO", b"MAIL", b"STARTTLS"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word))
        {
            self.is_other = !self.facts.is_certain;
            return;
        }
        let (verb, kept) = FtpVerb::find(name);
        let shared_with_smtp = ["QUIT", "NOOP", "HELP", "AUTH", "?"].contains(&verb.name());
        self.facts.is_certain |= !shared_with_smtp;
        self.facts.commands = self.facts.commands.saturating_add(1);
        if self.goodbye && &verb != "QUIT" {
            self.facts.after_goodbye = self.facts.after_goodbye.saturating_add(1);
        }
        let command = FtpCommand {
            verb,
            argument: (kept && !argument.is_empty()).then(|| text(argument, MAX_ARGUMENT)),
            mark,
        };
        if &verb == "ABOR"
            && let Some(transfer) = self
                .facts
                .data
                .last_mut()
                .and_then(|data| data.transfer.as_mut())
            && transfer.ended.is_none()
        {
            transfer.aborted = Some(mark);
        }
        self.facts.last_command = Some(command.clone());
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting {
            asks: Asks::of(verb, argument),
            command,
            attached: false,
        });
        self.answer_late(mark);
    }

    /// Replies that were captured before their commands.
    fn answer_late(&mut self, command: Mark) {
        while let Some(reply) = self.early.pop_front() {
            if command.time.since(reply.mark.time) >= REORDERED {
                continue;
            }
            if self.waiting.is_empty() {
                self.early.push_front(reply);
                return;
            }
            self.answer(reply);
        }
    }

    fn reply_line(&mut self, line: &[u8], mark: Mark) {
        let code = line
            .first_chunk::<3>()
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
            .and_then(|digits| str::from_utf8(digits).ok()?.parse::<u16>().ok());
        let continues = line.get(3) == Some(&b'-');
        let words = line.get(4..).unwrap_or(&[]).trim_ascii();
        let Some(code) = code else { return };
        let mut reply = match self.open.take() {
            Some(open) if open.code == code && !continues => open,
            Some(open) => {
                self.open = Some(open);
                return;
            }
            None => FtpReply {
                code,
                text: text(words, MAX_TEXT),
                mark,
            },
        };
        if continues {
            self.open = Some(reply);
            return;
        }
        // The numbers of a passive reply may be on any line of it.
        if reply.text.is_empty() || matches!(code, 227 | 229) {
            reply.text = text(words, MAX_TEXT);
        }
        reply.mark = mark;
        self.facts.replies = self.facts.replies.saturating_add(1);
        self.facts.last_reply = Some(mark);
        self.answer(reply);
    }

    /// A whole reply.
    fn answer(&mut self, reply: FtpReply) {
        if !self.greeted {
            // 120: ready in some minutes (RFC 959 section 5.4).
            self.greeted = reply.code >= 200;
            if self.is_error(&reply) {
                self.goodbye |= reply.code == 421;
                self.fail(None, &reply);
            }
            self.facts.greeting = Some(reply);
            return;
        }
        self.drop_unanswered(reply.code);
        let Some(front) = self.waiting.front_mut() else {
            return self.unasked(reply);
        };
        if reply.code < 200 {
            if front.command.verb.is_transfer() {
                let command = front.command.clone();
                let attached = std::mem::replace(&mut front.attached, true);
                self.transfers(&command, attached, |transfer| {
                    transfer.size = announced_size(&reply.text).or(transfer.size);
                    transfer.begun = Some(silent(&reply));
                });
            }
            return;
        }
        // The end of a session answers whatever was asked, unless it came before the question.
        if reply.code == 421 && reply.mark.time < front.command.mark.time {
            return self.unasked(reply);
        }
        if let Some(answered) = self.waiting.pop_front() {
            self.settle(answered, reply);
        }
    }

    /// A reply without a command: the end of an idle session, or one whose command was not seen yet.
    fn unasked(&mut self, reply: FtpReply) {
        if reply.code == 421 {
            self.goodbye = true;
            return self.fail(None, &reply);
        }
        if self.early.len() < MAX_WAITING {
            self.early.push_back(reply);
        }
    }

    /// Where a reply cannot answer the oldest command but does answer a later one, those before had no reply.
    fn drop_unanswered(&mut self, code: u16) {
        let verbs: &[&str] = match code {
            227 => &["PASV"],
            229 => &["EPSV"],
            234 | 334 => &["AUTH"],
            331 => &["USER"],
            221 => &["QUIT"],
            257 => &["PWD", "XPWD", "MKD", "XMKD"],
            213 => &["SIZE", "MDTM", "STAT", "MFMT"],
            125 | 150 => &["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"],
            _ => return,
        };
        let fits = |waiting: &Waiting| verbs.contains(&waiting.command.verb.name());
        if let Some(place) = self.waiting.iter().position(fits) {
            self.waiting.drain(..place);
        }
    }

    /// A command has its final reply.
    fn settle(&mut self, answered: Waiting, reply: FtpReply) {
        let Waiting {
            command,
            asks,
            attached,
        } = answered;
        if self.is_error(&reply) {
            self.fail(Some(&command), &reply);
        }
        if command.verb.is_transfer() {
            self.transfers(&command, attached, |transfer| {
                transfer.ended = Some(silent(&reply));
            });
            self.restart = 0;
            return;
        }
        let mark = reply.mark;
        let protection = &mut self.facts.protection;
        match (command.verb.name(), reply.code, asks) {
            ("USER" | "PASS" | "ACCT", 230..=232 | 202, _) => self.facts.login = FtpLogin::Accepted,
            ("USER" | "PASS", 300..=399, _) => self.facts.login = FtpLogin::Unanswered,
            ("USER" | "PASS" | "ACCT", 400.., _) => {
                self.facts.login = FtpLogin::Refused;
                self.facts.refused_logins = self.facts.refused_logins.saturating_add(1);
            }
            ("REIN", 200..=299, _) => self.facts.login = FtpLogin::NotTried,
            ("AUTH", 234 | 334, _) => protection.auth = Some(mark),
            ("PROT", 200..=299, Asks::Level(level)) => protection.data_level = Some(level),
            ("CCC", 200..=299, _) => protection.cleared = Some(mark),
            ("TYPE", 200..=299, Asks::Image(is_image)) => self.is_image = is_image,
            ("MODE", 200..=299, Asks::Stream(is_stream)) => self.is_packed = !is_stream,
            ("REST", 350, Asks::Restart(at)) => self.restart = at,
            ("SIZE", 213, _) => {
                let size = reply.text.trim().parse().ok();
                self.size = command.argument.zip(size);
            }
            ("PORT" | "EPRT", 200..=299, Asks::Port(setup, address, port)) => {
                self.announce(setup, Some(address), port, (command.mark, mark));
            }
            // A server that connects before it replies, and could not.
            ("PORT" | "EPRT", 421 | 425, Asks::Port(setup, address, port)) => {
                self.announce(setup, Some(address), port, (command.mark, mark));
                self.transfers(&command, false, |transfer| {
                    transfer.ended = Some(silent(&reply));
                });
            }
            ("PASV", 227, _) => {
                if let Some((address, port)) = address::passive(reply.text.as_bytes()) {
                    let marks = (command.mark, mark);
                    self.announce(FtpSetup::Pasv, Some(address), port, marks);
                }
            }
            ("EPSV", 229, _) => {
                if let Some(port) = address::extended_passive(reply.text.as_bytes()) {
                    self.announce(FtpSetup::Epsv, None, port, (command.mark, mark));
                }
            }
            _ => {}
        }
    }

    /// A data connection was agreed on.
    fn announce(
        &mut self,
        setup: FtpSetup,
        address: Option<IpAddr>,
        port: u16,
        (asked, agreed): (Mark, Mark),
    ) {
        let data = &mut self.facts.data;
        if data.len() >= FtpFacts::MAX_DATA {
            let went_well = |data: &FtpData| {
                let transfer = data.transfer.as_ref();
                transfer.is_some_and(FtpTransfer::succeeded)
            };
            data.remove(data.iter().position(went_well).unwrap_or(0));
            self.facts.forgotten_data = self.facts.forgotten_data.saturating_add(1);
        }
        self.facts.data.push(FtpData {
            setup,
            address,
            port,
            asked,
            agreed,
            transfer: None,
        });
    }

    /// Changes the transfer of a command, which has the newest data connection unless that had one before.
    fn transfers(
        &mut self,
        command: &FtpCommand,
        attached: bool,
        change: impl FnOnce(&mut FtpTransfer),
    ) {
        let fresh = self.transfer(command);
        let Some(data) = self.facts.data.last_mut() else {
            return;
        };
        if data.transfer.is_some() != attached {
            return;
        }
        let transfer = data.transfer.get_or_insert(fresh);
        change(transfer);
    }

    fn transfer(&self, command: &FtpCommand) -> FtpTransfer {
        let size = self
            .size
            .as_ref()
            .filter(|(path, _)| &command.verb == "RETR" && command.argument.as_ref() == Some(path));
        FtpTransfer {
            command: command.clone(),
            begun: None,
            ended: None,
            size: size.map(|(_, size)| *size),
            is_image: self.is_image && !self.is_packed,
            restart: self.restart,
            aborted: None,
        }
    }

    /// Permanent and transient errors; the replies from 600 on are encrypted ones (RFC 2228 section 6).
    fn is_error(&self, reply: &FtpReply) -> bool {
        (400..600).contains(&reply.code)
    }

    fn fail(&mut self, command: Option<&FtpCommand>, reply: &FtpReply) {
        let running = self.facts.running();
        let error = FtpError {
            command: command.cloned(),
            logged_in: self.facts.login == FtpLogin::Accepted,
            idle_since: match command {
                Some(_) => None,
                None => self.facts.last_command.as_ref().map(|last| last.mark),
            },
            in_transfer: running.is_some(),
            aborted: running.is_some_and(|transfer| transfer.aborted.is_some()),
            reply: match command {
                // A server that does not know a line may repeat it.
                Some(command) if command.verb.is_secret() && reply.code / 10 == 50 => silent(reply),
                _ => reply.clone(),
            },
        };
        if self.facts.errors.len() >= FtpFacts::MAX_ERRORS {
            self.facts.errors.remove(FtpFacts::MAX_ERRORS / 2);
        }
        self.facts.errors.push(error);
        self.facts.error_count = self.facts.error_count.saturating_add(1);
    }
}

impl Asks {
    fn of(verb: FtpVerb, argument: &[u8]) -> Asks {
        let port = |setup, found: Option<(IpAddr, u16)>| {
            found.map(|(address, port)| Asks::Port(setup, address, port))
        };
        let first = argument
            .first()
            .map(|byte| char::from(byte.to_ascii_uppercase()));
        let asks = match verb.name() {
            "PORT" => port(FtpSetup::Port, address::port(argument)),
            "EPRT" => port(FtpSetup::Eprt, address::extended_port(argument)),
            "REST" => str::from_utf8(argument)
                .ok()
                .and_then(|text| text.parse().ok())
                .map(Asks::Restart),
            "MODE" => first.map(|mode| Asks::Stream(mode == 'S')),
            "TYPE" => first.map(|kind| Asks::Image(kind == 'I')),
            "PROT" => first.map(Asks::Level),
            _ => None,
        };
        asks.unwrap_or(Asks::Nothing)
    }
}

/// A reply without its text.
fn silent(reply: &FtpReply) -> FtpReply {
    FtpReply {
        text: Box::default(),
        ..*reply
    }
}

/// The size in a preliminary reply: `(1234 bytes)`.
fn announced_size(text: &str) -> Option<u64> {
    let before = text
        .split(" byte")
        .next()
        .filter(|before| before.len() < text.len())?;
    let digits = before.rsplit('(').next()?;
    digits.parse().ok()
}

/// A bounded copy.
fn text(bytes: &[u8], bound: usize) -> Box<str> {
    String::from_utf8_lossy(bytes.get(..bound).unwrap_or(bytes)).into()
}

/// A line without the commands of Telnet (RFC 854): those before ABOR, and doubled bytes of 255.
fn without_telnet(line: &[u8]) -> Cow<'_, [u8]> {
    const IAC: u8 = 255;
    if !line.contains(&IAC) {
        return line.into();
    }
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        let skipped = match (byte, after.first()) {
            (&IAC, Some(&IAC)) => {
                plain.push(IAC);
                1
            }
            // WILL, WON'T, DO and DON'T have an option behind them.
            (&IAC, Some(251..=254)) => 2,
            (&IAC, Some(240..=250)) => 1,
            // The Data Mark of a Synch may come behind bytes that are not in the stream.
            (&IAC | 242, _) if plain.is_empty() => 0,
            _ => {
                plain.push(*byte);
                0
            }
        };
        rest = after.get(skipped..).unwrap_or(&[]);
    }
    plain.into()
}
