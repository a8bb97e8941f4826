//! `ftp.data-connection-failed`: a data connection that was announced failed, or never came.

use std::net::IpAddr;

use wirewhy_detect::wording::{size, socket_of};
use wirewhy_detect::{
    Confidence, Culprit, Facts, Finding, Group, Record, Reportable, Role, Severity, Value,
    demands_resumption,
};
use wirewhy_flow::{Connection, Interval, Side, Vantage};
use wirewhy_protocol::{FtpData, FtpFacts, FtpSetup, FtpTransfer};

use crate::ftp::{BROKEN, Candidate, FtpConnections, seen_from_control};
use crate::rule::{Detector, Rule};

pub(crate) const RECORD: Record = Record {
    code: "ftp.data-connection-failed",
    group: Group::Ftp,
    title: "An FTP data connection failed",
    severity: Severity::Error,
    means: "FTP carries files and lists on connections of their own. The control connection announced one (PORT, EPRT, PASV, EPSV), and it \
            could not be opened, broke off, or never came. The login works, and every list or transfer hangs or fails.",
    recognised: "The announced address and port are tied to the connection made to it, whichever of both was seen to end first, and its \
                 own cause is named. Where none was made the server's 425 is the proof. A note where the server announced an address \
                 that is not its own and the client used the right one; a warning where another attempt succeeded.",
    look_alikes: "A recording of port 21 alone holds no data connection; then only the server's reply is known.",
    check_next: &[
        "Passive mode: are the server's passive ports (vsftpd pasv_min_port, ProFTPD PassivePorts, pure-ftpd -p) open in every firewall?",
        "A private address in the reply to PASV: set the public one (vsftpd pasv_address, ProFTPD MasqueradeAddress, pure-ftpd -P).",
        "Active mode: the client's firewall or NAT must let the server connect; use passive mode instead.",
        "With TLS no firewall or NAT can read the announcement: open a fixed range of passive ports.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection,
};

/// What is wrong with one announced data connection.
#[derive(Debug)]
struct Failed<'a> {
    severity: Severity,
    confidence: Confidence,
    culprit: Culprit,
    /// What happened, behind the announcement.
    words: String,
    candidate: Option<&'a Candidate>,
}

/// The worst failure of a data connection of this session.
pub(crate) fn finding(
    control: &Connection,
    ftp: &FtpFacts,
    connections: &FtpConnections,
) -> Option<Finding> {
    let failed = ftp.data.iter().enumerate().filter_map(|(index, data)| {
        let candidate = connections.candidate(control, ftp, index, data);
        let mut failed = judge(control, ftp, index, data, candidate)?;
        if failed.severity == Severity::Error && is_made_good(control, ftp, index, connections) {
            failed.severity = Severity::Warning;
            failed.words.push_str("; a later attempt succeeded");
        }
        Some((data, failed))
    });
    let (data, failed) = failed.reduce(|worst, next| match next.1.severity > worst.1.severity {
        true => next,
        false => worst,
    })?;
    Some(describe(control, data, failed))
}

/// A connection that failed to open right behind an exchange on a control connection that cannot be read: likely the
/// announced one.
pub(crate) fn sealed(
    control: &Connection,
    ftp: &FtpFacts,
    connections: &FtpConnections,
) -> Option<Finding> {
    let mut data = connections.beside_sealed(control);
    let (data, failure) = data.find_map(|data| {
        let mut replies = ftp.sealed_replies.iter();
        let announced = replies.any(|reply| {
            let after = data.first.time.since(reply.mark.time);
            (Interval::ZERO..=SEALED).contains(&after)
        });
        let failure = data.failure.filter(|_| announced && !data.opened)?;
        Some((data, failure))
    })?;
    let passive = data.client.0 == control.client.address;
    let culprit = match passive {
        true => failure.culprit,
        false => seen_from_control(failure.culprit, FtpSetup::Port),
    };
    let (address, port) = data.server;
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit,
        summary: format!(
            "what is likely the data connection of this encrypted session, to {}, did not open: {} (stream {}); no firewall or NAT \
             can read which port the session announces",
            socket_of(address, port),
            failure.code,
            data.stream
        ),
        frames: vec![data.first.frame],
        facts: Facts::default()
            .with("announced_address", address)
            .with("announced_port", port)
            .with("data_stream", data.stream)
            .with("data_cause", failure.code),
        consequence_of: None,
    })
}

/// How soon behind an exchange of the control connection a data connection begins.
const SEALED: Interval = Interval::from_secs(2);

fn describe(control: &Connection, data: &FtpData, failed: Failed<'_>) -> Finding {
    let transfer = data.transfer.as_ref();
    let what = transfer.map_or_else(
        || "a transfer".to_owned(),
        |transfer| {
            let argument = transfer.command.argument.as_deref();
            let verb = transfer.command.verb.name();
            argument.map_or_else(|| verb.to_owned(), |argument| format!("{verb} {argument}"))
        },
    );
    let address = announced(control, data);
    let own = control.server.address;
    let reply = transfer.and_then(|transfer| transfer.ended.as_ref());
    let replied = reply
        .filter(|reply| reply.code >= 400)
        .map_or(String::new(), |reply| {
            format!("; the server answered {}", reply.code)
        });
    let candidate = failed.candidate;
    Finding {
        code: RECORD.code,
        severity: failed.severity,
        confidence: failed.confidence,
        culprit: failed.culprit,
        summary: format!(
            "the data connection of {what}, announced by {} as {}, {}{replied}",
            data.setup.name(),
            socket_of(address, data.port),
            failed.words,
        ),
        frames: [
            Some(data.agreed.frame),
            candidate.map(|candidate| candidate.first.frame),
            transfer.map(|transfer| transfer.command.mark.frame),
            reply.map(|reply| reply.mark.frame),
        ]
        .into_iter()
        .flatten()
        .collect(),
        facts: Facts::default()
            .with("setup", data.setup.name())
            .with("announced_address", address)
            .with("announced_port", data.port)
            .with("address_is_own", !data.setup.is_passive() || address == own)
            .with("data_stream", candidate.map(|candidate| candidate.stream))
            .with(
                "data_cause",
                candidate
                    .and_then(|candidate| candidate.failure)
                    .map_or(Value::Absent, |failure| failure.code.into()),
            )
            .with("reply", reply.map(|reply| reply.code)),
        consequence_of: None,
    }
}

fn announced(control: &Connection, data: &FtpData) -> IpAddr {
    data.address.unwrap_or(control.server.address)
}

/// What is wrong with an announced data connection, if anything.
fn judge<'a>(
    control: &Connection,
    ftp: &FtpFacts,
    index: usize,
    data: &FtpData,
    candidate: Option<&'a Candidate>,
) -> Option<Failed<'a>> {
    let transfer = data.transfer.as_ref();
    let foreign = foreign(control, data);
    // That is a matter of TLS, and the reply says so.
    if transfer.is_some_and(|transfer| demands_resumption(ftp, transfer)) {
        return None;
    }
    if transfer.is_some_and(|transfer| transfer.aborted.is_some()) {
        return None;
    }
    if transfer.is_some_and(FtpTransfer::succeeded) {
        return ignored_address(control, data, candidate).or_else(|| cut_short(data, candidate));
    }
    let server = Culprit::new(Role::Server, control.server.address);
    let Some(candidate) = candidate else {
        let reply = transfer.and_then(|transfer| transfer.ended.as_ref());
        if let Some(foreign) = foreign
            && reply.is_none_or(|reply| reply.code == 425)
            && is_left(control, ftp, index)
        {
            return Some(Failed {
                severity: Severity::Error,
                confidence: Confidence::Likely,
                culprit: server.at_most(Confidence::Likely),
                words: format!("was not made{foreign}"),
                candidate: None,
            });
        }
        return (reply?.code == 425).then(|| never_came(control, data));
    };
    if !candidate.opened {
        let failure = candidate.failure?;
        let culprit = match &foreign {
            Some(_) if candidate.server.0 != control.server.address => {
                server.at_most(Confidence::Likely)
            }
            _ => seen_from_control(failure.culprit, data.setup),
        };
        return Some(Failed {
            severity: Severity::Error,
            confidence: failure.confidence.max(Confidence::Likely),
            culprit,
            words: format!(
                "did not open: {} (stream {}){}",
                failure.code,
                candidate.stream,
                foreign.unwrap_or_default()
            ),
            candidate: Some(candidate),
        });
    }
    let code = transfer.and_then(|transfer| transfer.ended.as_ref().map(|reply| reply.code));
    let broken = code.is_some_and(|code| BROKEN.contains(&code));
    let failure = candidate.failure.or(candidate.reset.filter(|_| broken));
    if let Some(failure) = failure
        && (broken || code.is_none())
    {
        return Some(Failed {
            severity: Severity::Error,
            confidence: failure.confidence,
            culprit: seen_from_control(failure.culprit, data.setup),
            words: format!("broke off: {} (stream {})", failure.code, candidate.stream),
            candidate: Some(candidate),
        });
    }
    let stream = candidate.stream;
    let (culprit, words) = match code? {
        426 => closed_early(control, data, candidate),
        425 => (
            Role::Unknown.into(),
            format!("opened (stream {stream}) and was not accepted"),
        ),
        _ => return None,
    };
    Some(Failed {
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit,
        words,
        candidate: Some(candidate),
    })
}

/// Who closed a data connection before its transfer was done.
fn closed_early(control: &Connection, data: &FtpData, candidate: &Candidate) -> (Culprit, String) {
    let of_client = candidate
        .closed_first
        .map(|side| (side == Side::Client) == data.setup.is_passive());
    let (culprit, who) = match of_client {
        Some(true) => (
            Culprit::new(Role::Client, control.client.address),
            "the client",
        ),
        Some(false) => (
            Culprit::new(Role::Server, control.server.address),
            "the server",
        ),
        None => (Role::Unknown.into(), "one side"),
    };
    let words = format!("was closed early by {who} (stream {})", candidate.stream);
    (culprit.at_most(Confidence::Likely), words)
}

/// No connection was made, says the server.
fn never_came<'a>(control: &Connection, data: &FtpData) -> Failed<'a> {
    let passive = data.setup.is_passive();
    let at_client = control.vantage() == Vantage::ClientSide;
    let at_server = control.vantage() == Vantage::ServerSide;
    // Who is to connect sent nothing, where the capture was taken at its side.
    let culprit = match passive {
        true if at_client => Culprit::new(Role::Client, control.client.address),
        false if at_server => Culprit::new(Role::Server, control.server.address),
        _ => Role::Unknown.into(),
    };
    let who = if passive { "the client" } else { "the server" };
    Failed {
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: culprit.at_most(Confidence::Possible),
        words: format!("was not made: no SYN of {who} is in the recording"),
        candidate: None,
    }
}

/// The server announced an address that is not its own: what to add to the sentence.
fn foreign(control: &Connection, data: &FtpData) -> Option<String> {
    let address = data.address.filter(|_| data.setup.is_passive())?;
    let own = control.server.address;
    if address == own {
        return None;
    }
    Some(match is_private(address) && !is_private(own) {
        true => format!("; {address} is a private address, and the server was reached at {own}"),
        false => format!("; the server was reached at {own}"),
    })
}

/// The server announced an address that is not its own, and the client connected to the right one.
fn ignored_address<'a>(
    control: &Connection,
    data: &FtpData,
    candidate: Option<&'a Candidate>,
) -> Option<Failed<'a>> {
    let foreign = foreign(control, data)?;
    let candidate = candidate
        .filter(|candidate| candidate.opened && candidate.server.0 == control.server.address)?;
    Some(Failed {
        severity: Severity::Note,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Server, control.server.address),
        words: format!(
            "worked, as the client used the address of the control connection in its place (stream {}){foreign}",
            candidate.stream
        ),
        candidate: Some(candidate),
    })
}

/// The server reported success, and fewer bytes came than it had announced.
fn cut_short<'a>(data: &FtpData, candidate: Option<&'a Candidate>) -> Option<Failed<'a>> {
    let transfer = data.transfer.as_ref()?;
    let candidate =
        candidate.filter(|candidate| candidate.closed && candidate.failure.is_none())?;
    let announced = transfer.size.filter(|_| {
        transfer.is_image && transfer.restart == 0 && transfer.command.verb.name() == "RETR"
    })?;
    let [client, server] = candidate.bytes;
    let got = if data.setup.is_passive() {
        server
    } else {
        client
    };
    (got < announced).then(|| Failed {
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Role::Server.into(),
        words: format!(
            "ended after {} of {} that the server had announced (stream {})",
            size(got),
            size(announced),
            candidate.stream
        ),
        candidate: Some(candidate),
    })
}

/// Whether the client went on without the data connection: it closed, or announced another.
fn is_left(control: &Connection, ftp: &FtpFacts, index: usize) -> bool {
    let client = &control.client;
    index.saturating_add(1) < ftp.data.len()
        || client.tcp.fin.is_some()
        || client.tcp.counts.resets > 0
}

/// Whether a later data connection of the session carried the same transfer, or any where none was asked for yet.
fn is_made_good(
    control: &Connection,
    ftp: &FtpFacts,
    index: usize,
    connections: &FtpConnections,
) -> bool {
    let Some(failed) = ftp.data.get(index) else {
        return false;
    };
    let wanted = failed.transfer.as_ref().map(|transfer| &transfer.command);
    let later = ftp.data.iter().enumerate().skip(index.saturating_add(1));
    later.into_iter().any(|(later, data)| {
        let Some(transfer) = data
            .transfer
            .as_ref()
            .filter(|transfer| transfer.succeeded())
        else {
            return false;
        };
        let same = wanted.is_none_or(|wanted| {
            wanted.verb == transfer.command.verb && wanted.argument == transfer.command.argument
        });
        let candidate = connections.candidate(control, ftp, later, data);
        same && candidate.is_none_or(|candidate| candidate.opened)
    })
}

/// Whether an address is of no use beyond a site or a host: RFC 1918, RFC 6598, RFC 4193, link-local, loopback, unspecified.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(address) => {
            let [first, ..] = address.segments();
            address.is_loopback()
                || address.is_unspecified()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::Control;
    use super::*;
    use crate::testing::judge_all;
    use wirewhy_detect::{Judged, Outcome};

    /// A connection that opens, carries `bytes` of the server, and is closed by it.
    fn whole(number: u32, at: f64, bytes: u32) -> String {
        let line = |after: f64, text: &str| format!("{:.3} #{number} {text}\n", at + after);
        let end = 1 + bytes;
        let data = match bytes {
            0 => String::new(),
            _ => line(0.03, &format!("< PA 1:{end}({bytes}) ack 1")),
        };
        [
            line(0.0, "> S 0:0(0)"),
            line(0.01, "< SA 0:0(0) ack 1"),
            line(0.02, "> A 1:1(0) ack 1"),
            data,
            line(0.04, &format!("< FA {end}:{end}(0) ack 1")),
            line(0.05, &format!("> FA 1:1(0) ack {}", end + 1)),
            line(0.06, &format!("< A {}:{}(0) ack 2", end + 1, end + 1)),
        ]
        .concat()
    }

    fn unanswered(number: u32, at: f64) -> String {
        format!(
            "{at:.3} #{number} > S 0:0(0)\n{:.3} #{number} > S 0:0(0)\n{:.3} #{number} > S 0:0(0)\n",
            at + 1.0,
            at + 3.0
        )
    }

    /// The control connection and the others, judged.
    fn run(control: &Control) -> (Judged, Vec<Judged>) {
        let mut judged = judge_all(&control.trace());
        let control = judged.remove(0);
        assert_eq!(control.connection.server.port, 21);
        (control, judged)
    }

    fn failed(control: &Control) -> Finding {
        let (judged, _) = run(control);
        let root = judged.root_cause().cloned().expect("a root cause");
        assert_eq!(root.code, RECORD.code);
        root
    }

    #[test]
    fn a_list_of_nothing_and_an_upload_are_healthy() {
        let mut control = Control::new();
        control.say(1.0, "> PASV");
        control.say(1.1, "< 227 (192,0,2,9,195,80)");
        control.add("#2 server 192.0.2.9:50000");
        control.add(&whole(2, 1.2, 0));
        control.say(1.3, "> LIST");
        control.say(1.4, "< 150 Here.");
        control.say(1.5, "< 226 Done.");
        control.close(2.0);
        let (control, data) = run(&control);
        assert_eq!(
            (control.outcome(), control.findings.len()),
            (Outcome::Ok, 0)
        );
        assert_eq!(data[0].findings, []);
        // Without the session it looks like a server that refuses.
        let alone = judge_all(&format!("server 192.0.2.9:50000\n{}", whole(1, 1.2, 0)));
        assert_eq!(alone[0].findings[0].code, "tcp.closed-without-data");
    }

    #[test]
    fn a_blocked_passive_port() {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.add("#2 server 192.0.2.9:50000");
        control.add(&unanswered(2, 1.2));
        control.close(9.0);
        let found = failed(&control);
        assert!(
            found.summary.contains("tcp.syn-unanswered (stream 1)"),
            "{}",
            found.summary
        );
        assert_eq!(found.severity, Severity::Error);
    }

    #[test]
    fn another_attempt_that_succeeds() {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.add("#2 server 192.0.2.9:50000\n#3 server 192.0.2.9:50001");
        control.add(&unanswered(2, 1.2));
        control.say(6.0, "> PASV");
        control.say(6.1, "< 227 (192,0,2,9,195,81)");
        control.add(&whole(3, 6.2, 100));
        control.say(6.3, "> LIST");
        control.say(6.4, "< 150 Here.");
        control.say(6.5, "< 226 Done.");
        control.close(9.0);
        assert_eq!(failed(&control).severity, Severity::Warning);
    }

    #[test]
    fn a_private_address() {
        let session = |address: &str, connects: Option<&str>| {
            let mut control = Control::new();
            control.say(1.0, "> PASV");
            control.say(1.1, &format!("< 227 ({address},195,80)"));
            if let Some(host) = connects {
                control.add(&format!("#2 server {host}:50000"));
                if host == "192.0.2.9" {
                    control.add(&whole(2, 1.2, 100));
                    control.say(1.3, "> LIST");
                    control.say(1.4, "< 150 Here.");
                    control.say(1.5, "< 226 Done.");
                } else {
                    control.add(&unanswered(2, 1.2));
                }
            }
            control.close(9.0);
            control
        };
        let believed = failed(&session("10,0,0,5", Some("10.0.0.5")));
        assert_eq!(
            (believed.severity, believed.culprit.role),
            (Severity::Error, Role::Server)
        );
        assert!(
            believed.summary.contains("is a private address"),
            "{}",
            believed.summary
        );
        let elsewhere = failed(&session("10,0,0,5", None));
        assert_eq!(
            (elsewhere.severity, elsewhere.culprit.role),
            (Severity::Error, Role::Server)
        );
        let ignored = failed(&session("10,0,0,5", Some("192.0.2.9")));
        assert_eq!(ignored.severity, Severity::Note);
        let (own, _) = run(&session("192,0,2,9", Some("192.0.2.9")));
        assert_eq!(own.findings, []);
    }

    #[test]
    fn an_active_connection_that_is_refused() {
        let mut control = Control::new();
        control.say(1.0, "> PORT 192,0,2,1,156,64");
        control.say(1.1, "< 200 PORT command successful.");
        control.say(1.2, "> LIST");
        control.add("#2 client 192.0.2.9:20\n#2 server 192.0.2.1:40000");
        control.add("1.300 #2 > S 0:0(0)\n1.310 #2 < RA 0:0(0) ack 1");
        control.say(1.4, "< 425 Failed to establish connection.");
        control.close(2.0);
        let found = failed(&control);
        assert!(
            found.summary.contains("tcp.refused (stream 1)"),
            "{}",
            found.summary
        );
        // The server of the data connection is the client of the session.
        assert_ne!(found.culprit.role, Role::Server);
    }

    #[test]
    fn a_client_that_never_connects() {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.say(1.2, "> LIST");
        control.say(9.0, "< 425 Failed to establish connection.");
        control.close(9.5);
        let (judged, _) = run(&control);
        let reply = judged
            .findings
            .iter()
            .find(|found| found.code == "ftp.error-reply");
        assert_eq!(reply.unwrap().consequence_of, Some(RECORD.code));
        assert_eq!(
            failed(&control)
                .culprit_confidence()
                .unwrap_or(Confidence::Possible),
            Confidence::Possible
        );
    }

    #[test]
    fn a_file_that_ends_early() {
        let session = |bytes| {
            let mut control = Control::new();
            control.say(1.0, "> EPSV");
            control.say(1.1, "< 229 Entering (|||50000|)");
            control.add("#2 server 192.0.2.9:50000");
            control.add(&whole(2, 1.2, bytes));
            control.say(1.21, "> RETR a");
            control.say(
                1.22,
                "< 150 Opening BINARY mode data connection for a (1000 bytes).",
            );
            control.say(1.5, "< 226 Transfer complete.");
            control.close(2.0);
            control
        };
        assert!(
            failed(&session(700))
                .summary
                .contains("700 bytes of 1,000 bytes")
        );
        assert_eq!(run(&session(1_000)).0.findings, []);
    }

    #[test]
    fn a_connection_of_another_client_is_not_the_announced_one() {
        let mut control = Control::new();
        control.say(1.0, "> EPSV");
        control.say(1.1, "< 229 Entering (|||50000|)");
        control.close(2.0);
        // Another client at the same port within the minute.
        control.add("#2 server 192.0.2.9:50000\n#2 client 192.0.2.77:40000");
        control.add(&unanswered(2, 5.0));
        let (judged, data) = run(&control);
        assert_eq!(judged.findings, []);
        assert!(!data[0].findings[0].summary.contains("FTP"));
    }
}
