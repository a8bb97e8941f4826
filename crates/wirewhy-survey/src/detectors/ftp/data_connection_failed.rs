//! `ftp.data-connection-failed`: a data connection that was announced failed, or never came.

use std::net::IpAddr;

use wirewhy_detect::wording::{size, socket_of};
use wirewhy_detect::{
    Confidence, Culprit, Facts, Finding, Group, Record, Reportable, Role, Severity, Value,
    demands_resumption,
};
use wirewhy_flow::{Connection, Interval, Side, Vantage};
use wirewhy_protocol::{FtpData, FtpFacts, FtpSetup, FtpTransfer};

use super::mismatch;
use crate::ftp::{BROKEN, Candidate, FtpConnections, seen_from_control};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "ftp.data-connection-failed",
    group: Group::Ftp,
    title: "An FTP data connection failed",
    severity: Severity::Error,
    means: "FTP carries files and lists on connections of their own. The control connection announced one (PORT, EPRT, PASV, EPSV), and it \
            could not be opened, broke off, or never came. The login works, and every list or transfer hangs or fails.",
    recognised: "The announced address and port are tied to the connection made to it, whichever of both was seen to end first, and its \
                 own cause is named. Where none was made the server's 425 is the proof; where another host connected in its place, or the \
                 side whose turn it was not, that is named. A note where the server announced an address \
                 that is not its own and the client used the right one; a warning where another attempt succeeded.",
    look_alikes: "A recording of port 21 alone holds no data connection; then only the server's reply is known.",
    check_next: &[
        "Passive mode: are the server's passive ports (vsftpd pasv_min_port, ProFTPD PassivePorts, pure-ftpd -p) open in every firewall?",
        "A private address in the reply to PASV: set the public one (vsftpd pasv_address, ProFTPD MasqueradeAddress, pure-ftpd -P).",
        "Active mode: the client's firewall or NAT must let the server connect; use passive mode instead.",
        "Another address or the wrong side connects: one address for control and data at both ends (NAT pools, servers with several \
         addresses; vsftpd pasv_promiscuous and port_promiscuous), and one mode for one transfer.",
        "With TLS no firewall or NAT can read the announcement: open a fixed range of passive ports.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Connection,
};

/// What is wrong with one announced data connection.
#[derive(Debug)]
pub(super) struct Failed<'a> {
    severity: Severity,
    confidence: Confidence,
    pub(super) culprit: Culprit,
    /// What happened, behind the announcement.
    pub(super) words: String,
    pub(super) candidate: Option<&'a Candidate>,
}

/// The worst failure of a data connection of this session.
pub(crate) fn finding(
    control: &Connection,
    ftp: &FtpFacts,
    connections: &FtpConnections,
) -> Option<Finding> {
    let failed = ftp.data.iter().enumerate().filter_map(|(index, data)| {
        let candidate = connections.candidate(control, ftp, index, data);
        let mut failed = diagnose(control, ftp, index, data, candidate)?;
        if failed.severity == Severity::Error && is_made_good(control, ftp, index, connections) {
            failed.severity = Severity::Warning;
            failed.words.push_str("; a later attempt succeeded");
        }
        Some((index, data, failed))
    });
    let (index, data, mut failed) =
        failed.reduce(|worst, next| match next.2.severity > worst.2.severity {
            true => next,
            false => worst,
        })?;
    let never_opened = failed.candidate.is_none_or(|candidate| !candidate.opened);
    let mismatch = match never_opened {
        true => mismatch::name(control, ftp, (index, data), connections, &mut failed),
        false => None,
    };
    Some(describe(control, data, failed, mismatch))
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

fn describe(
    control: &Connection,
    data: &FtpData,
    failed: Failed<'_>,
    mismatch: Option<&'static str>,
) -> Finding {
    let transfer = data.transfer.as_ref();
    let wanted = transfer.filter(|_| data.refused_at_once().is_none());
    let what = wanted.map_or_else(
        || "a transfer".to_owned(),
        |transfer| {
            let argument = transfer.command.argument.as_deref();
            let verb = transfer.command.verb.name();
            argument.map_or_else(|| verb.to_owned(), |argument| format!("{verb} {argument}"))
        },
    );
    let address = announced(control, data);
    let own = match data.setup.is_passive() {
        true => control.server.address,
        false => control.client.address,
    };
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
            .with("address_is_own", address == own)
            .with("mismatch", mismatch)
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
fn diagnose<'a>(
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
    // Who announced an address that is not its own.
    let announcer = match data.setup.is_passive() {
        true => Culprit::new(Role::Server, control.server.address),
        false => Culprit::new(Role::Client, control.client.address),
    };
    let Some(candidate) = candidate else {
        let reply = transfer.and_then(|transfer| transfer.ended.as_ref());
        if let Some(foreign) = foreign
            && reply.is_none_or(|reply| reply.code == 425 || data.refused_at_once().is_some())
            && is_left(control, ftp, index)
        {
            return Some(Failed {
                severity: Severity::Error,
                confidence: Confidence::Likely,
                culprit: announcer.at_most(Confidence::Likely),
                words: format!("was not made{foreign}"),
                candidate: None,
            });
        }
        let is_missing = reply?.code == 425 || data.refused_at_once().is_some();
        return is_missing.then(|| never_came(control, data));
    };
    if !candidate.opened {
        let failure = candidate.failure?;
        let culprit = match &foreign {
            Some(_) if candidate.server.0 != control.server.address => {
                announcer.at_most(Confidence::Likely)
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

/// The announced address is not the one that the control connection has at that end: what to add to the sentence.
fn foreign(control: &Connection, data: &FtpData) -> Option<String> {
    let address = data.address?;
    let (own, which) = match data.setup.is_passive() {
        true => (control.server.address, "the server was reached at"),
        false => (control.client.address, "the client's address here is"),
    };
    if address == own {
        return None;
    }
    Some(match is_private(address) && !is_private(own) {
        true => format!("; {address} is a private address, and {which} {own}"),
        false => format!("; {which} {own}"),
    })
}

/// The server announced an address that is not its own, and the client connected to the right one.
fn ignored_address<'a>(
    control: &Connection,
    data: &FtpData,
    candidate: Option<&'a Candidate>,
) -> Option<Failed<'a>> {
    let foreign = foreign(control, data).filter(|_| data.setup.is_passive())?;
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
    let transfer = failed.transfer.as_ref();
    let wanted = transfer
        .filter(|_| failed.refused_at_once().is_none())
        .map(|transfer| &transfer.command);
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
mod tests;
