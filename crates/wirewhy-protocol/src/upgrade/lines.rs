//! Protocols of lines: SMTP, FTP, POP3, NNTP, IMAP, ManageSieve and IRC.

use super::admission::Admission;
use super::facts::{Upgrade, UpgradeProtocol, UpgradeVerdict};
use super::start_tls::{MAX_MESSAGE, ReadOutcome, StartTls, text};
use crate::session::Refusal;
use crate::types::{AppProtocol, Mark};

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Smtp,
    Ftp,
    /// One of these two: the client's commands will tell.
    SmtpOrFtp,
    Pop3,
    Nntp,
    Imap,
    ManageSieve,
    Irc,
}

impl Kind {
    fn of(protocol: AppProtocol) -> Option<Kind> {
        Some(match protocol {
            AppProtocol::Smtp => Kind::Smtp,
            AppProtocol::Ftp => Kind::Ftp,
            AppProtocol::SmtpOrFtp => Kind::SmtpOrFtp,
            AppProtocol::Pop3 => Kind::Pop3,
            AppProtocol::Nntp => Kind::Nntp,
            AppProtocol::Imap => Kind::Imap,
            AppProtocol::ManageSieve => Kind::ManageSieve,
            AppProtocol::Irc => Kind::Irc,
            _ => return None,
        })
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Lines {
    kind: Kind,
    /// Commands of the client; servers answer them in order.
    commands: u32,
    /// Answers of the server, the greeting being the first: the answer to command n is number n.
    answers: u32,
    /// The command that asks for TLS.
    asks: Option<u32>,
    /// The command that asks what the server can do.
    lists: Option<u32>,
    /// The command that may end the time for asking, if it succeeds.
    enters: Option<u32>,
    /// The tags of the commands that ask and enter, in IMAP.
    tags: [Option<Box<[u8]>>; 2],
    /// The answer being given over several lines.
    open: Open,
    /// The last answer, whose command may not have been seen yet.
    last: Option<Answer>,
    admission: Admission,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Open {
    No,
    /// Until a line with this code and a space.
    Code([u8; 3]),
    /// Until a line of a single dot.
    Dot,
}

#[derive(Clone, PartialEq, Debug)]
struct Answer {
    number: u32,
    verdict: UpgradeVerdict,
    reply: Box<str>,
    mark: Mark,
}

/// The first line, its end apart, and its length with it.
fn line(bytes: &[u8]) -> Result<(&[u8], usize), ReadOutcome> {
    match bytes.iter().position(|&byte| byte == b'\n') {
        Some(end) if end <= MAX_MESSAGE => {
            let line = bytes.get(..end).unwrap_or(&[]);
            Ok((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
        }
        None if bytes.len() <= MAX_MESSAGE => Err(ReadOutcome::More),
        _ => Err(ReadOutcome::Done),
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t' | b'[' | b']'))
        .filter(|word| !word.is_empty())
}

fn is(word: Option<&[u8]>, names: &[&str]) -> bool {
    word.is_some_and(|word| {
        names
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
    })
}

fn has(line: &[u8], name: &str) -> bool {
    words(line).any(|word| is(Some(word), &[name]))
}

/// What a device makes of an announcement it does not want read: the same length in X's.
fn is_masked(line: &[u8]) -> bool {
    let word = line.get(4..).unwrap_or(&[]);
    word.len() >= 4
        && word
            .iter()
            .rev()
            .skip(1)
            .all(|byte| byte.eq_ignore_ascii_case(&b'X'))
}

impl Lines {
    pub(super) fn new(kind: Kind) -> Lines {
        Lines {
            kind,
            commands: 0,
            answers: 0,
            asks: None,
            lists: None,
            enters: None,
            tags: [None, None],
            open: Open::No,
            last: None,
            admission: Admission::default(),
        }
    }

    fn settle(&mut self, kind: Kind, facts: &mut Upgrade) {
        self.kind = kind;
        facts.protocol = match kind {
            Kind::Smtp | Kind::SmtpOrFtp => UpgradeProtocol::Smtp,
            Kind::Ftp => UpgradeProtocol::Ftp,
            Kind::Pop3 => UpgradeProtocol::Pop3,
            Kind::Nntp => UpgradeProtocol::Nntp,
            Kind::Imap => UpgradeProtocol::Imap,
            Kind::ManageSieve => UpgradeProtocol::ManageSieve,
            Kind::Irc => UpgradeProtocol::Irc,
        };
    }
}

impl StartTls for Lines {
    fn client(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (line, used) = match line(bytes) {
            Ok(line) => line,
            Err(outcome) => return outcome,
        };
        self.commands = self.commands.saturating_add(1);
        let mut spoken = words(line);
        let first = spoken.next();
        let second = spoken.next();
        if self.kind == Kind::SmtpOrFtp {
            if is(first, &["EHLO", "HELO", "LHLO", "STARTTLS", "MAIL"]) {
                self.settle(Kind::Smtp, facts);
            } else if is(
                first,
                &["AUTH", "USER", "FEAT", "PBSZ", "PROT", "OPTS", "SYST"],
            ) {
                self.settle(Kind::Ftp, facts);
            }
        }
        self.admission.asked(first.unwrap_or(&[]), self.commands);
        let plain_for_good = match self.kind {
            Kind::Smtp | Kind::SmtpOrFtp => is(first, &["DATA", "BDAT"]),
            Kind::Nntp => !is(
                first,
                &[
                    "CAPABILITIES",
                    "MODE",
                    "STARTTLS",
                    "AUTHINFO",
                    "HELP",
                    "DATE",
                    "QUIT",
                ],
            ),
            Kind::Irc => is(first, &["JOIN", "PRIVMSG"]),
            Kind::Ftp | Kind::Pop3 | Kind::Imap | Kind::ManageSieve => false,
        };
        if plain_for_good {
            return ReadOutcome::Done;
        }
        let asks = match self.kind {
            Kind::Smtp | Kind::SmtpOrFtp | Kind::Nntp | Kind::ManageSieve | Kind::Irc => {
                is(first, &["STARTTLS"])
            }
            Kind::Ftp => is(first, &["AUTH"]) && is(second, &["TLS", "SSL", "TLS-C", "TLS-P"]),
            Kind::Pop3 => is(first, &["STLS"]),
            Kind::Imap => is(second, &["STARTTLS"]),
        };
        let tag = || first.filter(|_| self.kind == Kind::Imap).map(Box::from);
        if asks {
            self.tags[0] = tag();
            self.asks = Some(self.commands);
            facts.ask(mark);
            self.conclude(facts);
        } else if is(
            first,
            &["EHLO", "LHLO", "FEAT", "CAPA", "CAPABILITIES", "CAPABILITY"],
        ) {
            self.lists = Some(self.commands);
        } else if is(first, &["PASS", "APOP", "AUTH", "AUTHENTICATE", "AUTHINFO"])
            // POP3's AUTH alone asks for a list of mechanisms.
            && second.is_some()
            && !matches!(self.kind, Kind::Smtp | Kind::SmtpOrFtp)
        {
            self.enters = Some(self.commands);
        } else if is(second, &["LOGIN", "AUTHENTICATE"]) {
            self.tags[1] = tag();
        }
        ReadOutcome::Used(used)
    }

    fn server(&mut self, facts: &mut Upgrade, bytes: &[u8], mark: Mark) -> ReadOutcome {
        let (line, used) = match line(bytes) {
            Ok(line) => line,
            Err(outcome) => return outcome,
        };
        let finished = match self.kind {
            Kind::Smtp | Kind::Ftp | Kind::SmtpOrFtp | Kind::Nntp => self.coded(facts, line, mark),
            Kind::Pop3 => self.signed(facts, line, mark),
            Kind::ManageSieve => self.worded(facts, line, mark),
            Kind::Imap => self.tagged(facts, line, mark),
            Kind::Irc => self.numbered(facts, line, mark),
        };
        if finished {
            ReadOutcome::Done
        } else if facts.verdict == UpgradeVerdict::Accepted {
            ReadOutcome::Over(used)
        } else {
            ReadOutcome::Used(used)
        }
    }

    fn refusal(&self) -> Option<&Refusal> {
        self.admission.refusal()
    }

    /// No greeting stands inside but that of ManageSieve (RFC 5804 section 2.2). FTP is read on as a session of its own.
    fn inside(&self) -> Option<Box<dyn StartTls>> {
        let answers = match self.kind {
            Kind::Ftp | Kind::SmtpOrFtp | Kind::Irc => return None,
            Kind::ManageSieve => 0,
            Kind::Smtp | Kind::Pop3 | Kind::Nntp | Kind::Imap => 1,
        };
        Some(Box::new(Lines {
            answers,
            ..Lines::new(self.kind)
        }))
    }

    /// Whether a command says goodbye, or asks what the server is and can.
    fn is_small_talk(&self, line: &[u8]) -> bool {
        const WORDS: [&str; 13] = [
            "QUIT",
            "LOGOUT",
            "NOOP",
            "RSET",
            "EHLO",
            "HELO",
            "LHLO",
            "FEAT",
            "CAPA",
            "CAPABILITY",
            "CAPABILITIES",
            "CAP",
            "HELP",
        ];
        let line = line.trim_ascii();
        let mut spoken = words(line);
        let command = match self.kind {
            Kind::Imap => spoken.nth(1),
            _ => spoken.next(),
        };
        line.is_empty() || is(command, &WORDS)
    }

    fn learn(&mut self, protocol: AppProtocol, facts: &mut Upgrade) {
        if self.kind == Kind::SmtpOrFtp
            && let Some(kind) = Kind::of(protocol).filter(|&kind| kind != Kind::SmtpOrFtp)
        {
            self.settle(kind, facts);
        }
    }
}

impl Lines {
    /// The answer to the command that asks, if it is the last one given.
    fn conclude(&mut self, facts: &mut Upgrade) {
        if facts.verdict != UpgradeVerdict::Unanswered || self.kind == Kind::Imap {
            return;
        }
        if let Some(last) = &self.last
            && self.asks == Some(last.number)
        {
            facts.answer(last.verdict, Some(last.reply.clone()), last.mark);
        }
    }

    /// An answer is complete.
    fn answered(&mut self, facts: &mut Upgrade, line: &[u8], mark: Mark, verdict: UpgradeVerdict) {
        self.last = Some(Answer {
            number: self.answers,
            verdict,
            reply: text(line),
            mark,
        });
        self.conclude(facts);
        self.answers = self.answers.saturating_add(1);
    }

    /// Whether the answer being given is to the command that lists.
    fn is_list(&self) -> bool {
        self.lists == Some(self.answers)
    }

    /// A line of a server that answers with codes of three digits; true where no question can follow.
    fn coded(&mut self, facts: &mut Upgrade, line: &[u8], mark: Mark) -> bool {
        if self.open == Open::Dot {
            self.listed(facts, line);
            if line == b"." {
                self.open = Open::No;
                self.answers = self.answers.saturating_add(1);
            }
            return false;
        }
        let code = line
            .first_chunk::<3>()
            .copied()
            .filter(|code| code.iter().all(u8::is_ascii_digit));
        if self.is_list() && matches!(self.kind, Kind::Smtp | Kind::Ftp | Kind::SmtpOrFtp) {
            self.listed(facts, line);
        }
        let code = match (self.open, code) {
            (Open::Code(open), Some(code)) if open == code => code,
            (Open::Code(_), _) => return false,
            (_, Some(code)) => code,
            // Whatever it is, it is none of these protocols.
            (_, None) => return true,
        };
        if line.get(3) == Some(&b'-') {
            self.open = Open::Code(code);
            return false;
        }
        self.open = Open::No;
        if self.kind == Kind::Smtp || self.kind == Kind::SmtpOrFtp && self.answers == 0 {
            self.admission.coded(code, line, self.answers, mark);
        }
        let entered = self.enters == Some(self.answers);
        match (self.kind, &code) {
            // Preliminary: the answer proper follows.
            (Kind::Ftp | Kind::SmtpOrFtp, [b'1', ..]) => return false,
            (Kind::Ftp, b"230") => return true,
            (Kind::Nntp, b"281") if entered => return true,
            (Kind::Nntp, [b'4' | b'5', ..]) if entered => {
                self.admission.answered(self.kind, line, false, mark);
            }
            (Kind::Nntp, b"100" | b"101") => {
                if self.is_list() {
                    facts.offered = Some(false);
                }
                self.open = Open::Dot;
                return false;
            }
            _ => {}
        }
        let accepts: &[u8; 3] = match self.kind {
            Kind::Ftp => b"234",
            Kind::Nntp => b"382",
            _ => b"220",
        };
        // RFC 3207 section 4, RFC 4642 section 2.2, RFC 4217 section 4: nothing goes on before TLS.
        let demands = match self.kind {
            Kind::Smtp => &code == b"530" && has(line, "STARTTLS"),
            Kind::Nntp => &code == b"483",
            Kind::Ftp => matches!(&code, b"421" | b"522" | b"530" | b"550") && has(line, "TLS"),
            _ => false,
        };
        if demands && facts.asked.is_none() {
            facts.reply = Some(text(line));
        }
        let verdict = if &code == accepts {
            UpgradeVerdict::Accepted
        } else {
            UpgradeVerdict::Refused
        };
        self.answered(facts, line, mark, verdict);
        false
    }

    /// A line of the list of what the server can do.
    fn listed(&mut self, facts: &mut Upgrade, line: &[u8]) {
        let offers = match self.kind {
            Kind::Smtp | Kind::SmtpOrFtp if !line.starts_with(b"250") => return,
            Kind::Smtp | Kind::SmtpOrFtp => {
                is(words(line.get(4..).unwrap_or(&[])).next(), &["STARTTLS"])
            }
            Kind::Ftp if !line.starts_with(b"211") && self.open == Open::No => return,
            Kind::Ftp => {
                let mut words = line.split(|byte| !byte.is_ascii_alphanumeric());
                words.any(|word| is(Some(word), &["AUTH"]))
                    && words.any(|word| is(Some(word), &["TLS", "SSL"]))
            }
            Kind::Pop3 => is(words(line).next(), &["STLS"]),
            Kind::Nntp => is(words(line).next(), &["STARTTLS"]),
            Kind::ManageSieve | Kind::Imap | Kind::Irc => return,
        };
        if offers {
            facts.offered = Some(true);
        } else {
            facts.offered.get_or_insert(false);
            if self.kind == Kind::Smtp && is_masked(line) && facts.asked.is_none() {
                facts.reply = Some(text(line));
            }
        }
    }

    /// A line of POP3.
    fn signed(&mut self, facts: &mut Upgrade, line: &[u8], mark: Mark) -> bool {
        if self.open == Open::Dot {
            self.listed(facts, line);
            if line == b"." {
                self.open = Open::No;
                self.answers = self.answers.saturating_add(1);
            }
            return false;
        }
        let positive = line.starts_with(b"+OK");
        // A login of several steps (RFC 5034 section 4) goes on with the client's next line.
        let continues = !positive && line.starts_with(b"+");
        if continues && self.enters == Some(self.answers) {
            self.enters = self.answers.checked_add(1);
        }
        if self.enters == Some(self.answers) && (positive || line.starts_with(b"-ERR")) {
            self.admission.answered(self.kind, line, positive, mark);
        }
        if positive && self.enters == Some(self.answers) && self.kind == Kind::Pop3 {
            return true;
        }
        if positive && self.is_list() {
            facts.offered = Some(false);
            self.open = Open::Dot;
            return false;
        }
        let verdict = if positive {
            UpgradeVerdict::Accepted
        } else {
            UpgradeVerdict::Refused
        };
        self.answered(facts, line, mark, verdict);
        false
    }

    /// A line of ManageSieve: capabilities in quotes, then OK, NO or BYE.
    fn worded(&mut self, facts: &mut Upgrade, line: &[u8], mark: Mark) -> bool {
        let mut spoken = line.split(|byte| matches!(byte, b' ' | b'(' | b'"'));
        let first = spoken.find(|word| !word.is_empty());
        if line.starts_with(b"\"") {
            if is(first, &["STARTTLS"]) {
                facts.offered = Some(true);
            } else {
                facts.offered.get_or_insert(false);
            }
            return false;
        }
        let positive = is(first, &["OK"]);
        if !positive && !is(first, &["NO", "BYE"]) {
            return false;
        }
        if self.enters == Some(self.answers) {
            self.admission.answered(self.kind, line, positive, mark);
            if positive {
                return true;
            }
        }
        let verdict = if positive {
            UpgradeVerdict::Accepted
        } else {
            UpgradeVerdict::Refused
        };
        self.answered(facts, line, mark, verdict);
        false
    }

    /// A line of IMAP.
    fn tagged(&mut self, facts: &mut Upgrade, line: &[u8], mark: Mark) -> bool {
        let mut spoken = words(line);
        let first = spoken.next();
        let second = spoken.next();
        let untagged = is(first, &["*"]);
        if has(line, "CAPABILITY") && (untagged || is(second, &["OK"])) {
            // What it could before a login it need not list after it.
            let offered = has(line, "STARTTLS") || facts.offered == Some(true);
            facts.offered = Some(offered);
        }
        let words = || {
            let tag = line.iter().position(|&byte| byte == b' ');
            line.get(tag.unwrap_or(0)..).unwrap_or(&[])
        };
        if untagged {
            // In place of a greeting; later it is the answer to LOGOUT, or said to one that was let in.
            if is(second, &["BYE"]) && self.answers == 0 {
                self.admission.answered(self.kind, words(), false, mark);
            }
            self.answers = self.answers.saturating_add(1);
            return is(second, &["PREAUTH"]);
        }
        let [asks, enters] = &self.tags;
        if enters.is_some() && first == enters.as_deref() {
            let accepted = is(second, &["OK"]);
            self.admission.answered(self.kind, words(), accepted, mark);
            return accepted;
        }
        if asks.is_some() && first == asks.as_deref() && facts.verdict == UpgradeVerdict::Unanswered
        {
            let verdict = if is(second, &["OK"]) {
                UpgradeVerdict::Accepted
            } else {
                UpgradeVerdict::Refused
            };
            facts.answer(verdict, Some(text(line)), mark);
        }
        false
    }

    /// A line of IRC.
    fn numbered(&mut self, facts: &mut Upgrade, line: &[u8], mark: Mark) -> bool {
        let from = usize::from(line.starts_with(b":"));
        let mut spoken = words(line).skip(from);
        let command = spoken.next();
        if is(command, &["CAP"]) && has(line, "LS") {
            let offers = words(line).any(|word| is(Some(word), &["tls", ":tls"]));
            if offers {
                facts.offered = Some(true);
            } else {
                facts.offered.get_or_insert(false);
            }
        }
        if facts.verdict != UpgradeVerdict::Unanswered {
            return is(command, &["001"]);
        }
        let verdict = match command {
            Some(b"670") => UpgradeVerdict::Accepted,
            Some(b"691") => UpgradeVerdict::Refused,
            Some(b"421" | b"451") if has(line, "STARTTLS") => UpgradeVerdict::Refused,
            _ => return false,
        };
        facts.answer(verdict, Some(text(line)), mark);
        false
    }
}
