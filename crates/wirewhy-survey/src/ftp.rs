//! Control and data connections of FTP, to be found from one another, whichever is noted first.

use std::collections::VecDeque;
use std::net::IpAddr;

use wirewhy_detect::{
    Confidence, Culprit, Diagnosis, Finding, Limits, Role, Severity, code, ftp_session,
    is_sealed_ftp, refused_unresumed, unresumed_finding,
};
use wirewhy_flow::{Connection, Interval, Mark, Side, Unopened};
use wirewhy_packet::Timestamp;
use wirewhy_protocol::{FtpData, FtpFacts, FtpSetup};

use crate::detectors::ftp::{control_lost, data_connection_failed};
use crate::recent::RecentTable;

/// The latest control connections of FTP, and connections that may be data connections.
#[derive(Debug, Default)]
pub(crate) struct FtpConnections {
    /// Announced data connections, by the address and port that is to be connected to.
    announced: RecentTable<(IpAddr, u16), Vec<Announced>>,
    /// Control connections whose commands cannot be read, by client and server.
    sealed: RecentTable<(IpAddr, IpAddr), Vec<SealedControl>>,
    /// What may be a data connection, by server.
    candidates: RecentTable<(IpAddr, u16), Candidates>,
}

/// How many are kept of one address and port, or of one pair of hosts.
const KEPT: usize = 16;

/// How long after the end of the session an announced data connection may still begin.
const LATE: Interval = Interval::from_secs(60);

/// How long after the end of a session that cannot be read a connection may still belong to it.
const SEALED_LATE: Interval = Interval::from_secs(2);

/// A data connection that a control connection announced.
#[derive(Clone, Debug)]
struct Announced {
    /// The stream of the control connection.
    control: u32,
    /// Who is to connect; `None` where it is not known.
    by: Option<IpAddr>,
    asked: Mark,
    until: Timestamp,
    /// What became of the transfer.
    transfer: Option<Transfer>,
}

/// What became of a transfer, as far as the findings of its data connection depend on it.
#[derive(Clone, Debug)]
struct Transfer {
    verb: &'static str,
    code: Option<u16>,
    aborted: bool,
}

/// A control connection that cannot be read.
#[derive(Clone, Debug)]
struct SealedControl {
    stream: u32,
    first: Timestamp,
    last: Timestamp,
    /// When the server sent its latest records, where that is known.
    replies: Vec<Timestamp>,
}

impl SealedControl {
    /// Whether a connection that began then follows a reply of the server closely: where all replies are known, for that is
    /// where it was announced.
    fn announces(&self, start: Timestamp) -> bool {
        let known = (1..FtpFacts::MAX_SEALED).contains(&self.replies.len());
        let soon =
            |reply: &Timestamp| (Interval::ZERO..=SEALED_LATE).contains(&start.since(*reply));
        self.first <= start
            && start <= self.last.after(SEALED_LATE)
            && (!known || self.replies.iter().any(soon))
    }
}

/// The latest candidates of one address and port. Few ports are connected to more than once.
#[derive(Clone, Debug, Default)]
struct Candidates {
    earlier: VecDeque<Candidate>,
    latest: Option<Candidate>,
}

impl Candidates {
    fn add(&mut self, candidate: Candidate) {
        if self.latest.is_none() {
            self.latest = Some(candidate);
            return;
        }
        self.earlier
            .retain(|other| other.stream != candidate.stream);
        let before = self.latest.replace(candidate);
        let stream = self.latest.as_ref().map(|latest| latest.stream);
        self.earlier
            .extend(before.filter(|before| Some(before.stream) != stream));
        if self.earlier.len() >= KEPT {
            self.earlier.pop_front();
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.earlier.iter().chain(&self.latest)
    }
}

/// A connection that may be a data connection.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) stream: u32,
    pub(crate) client: (IpAddr, u16),
    pub(crate) server: (IpAddr, u16),
    pub(crate) first: Mark,
    pub(crate) last: Mark,
    /// Whether it opened.
    pub(crate) opened: bool,
    /// Whether both sides closed it, and neither reset it.
    pub(crate) closed: bool,
    /// Bytes of the client and of the server.
    pub(crate) bytes: [u64; 2],
    /// Its root cause, where it failed.
    pub(crate) failure: Option<Failure>,
    /// The finding about the first reset of it, however severe.
    pub(crate) reset: Option<Failure>,
    /// The side that closed first.
    pub(crate) closed_first: Option<Side>,
    /// Its end, where the server closed it behind a TLS handshake in which no session was resumed.
    pub(crate) unresumed: Option<Mark>,
}

/// A connection that was made in place of an announced data connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instead<'a> {
    /// To the announced place, by a host that was not to connect.
    OtherHost(&'a Candidate),
    /// By the side whose turn it was not.
    OtherSide(&'a Candidate),
}

/// Why a candidate failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) culprit: Culprit,
    pub(crate) confidence: Confidence,
}

/// What a data connection belongs to.
#[derive(Clone, Debug)]
struct Tie {
    control: u32,
    /// What is known of the transfer; `None` where the control connection cannot be read.
    transfer: Option<Transfer>,
    confidence: Confidence,
}

/// Findings that a healthy data connection has: an empty list, or an upload, in which the server never sends.
const USUAL: [&str; 4] = [
    code::TCP_CLOSED_WITHOUT_DATA,
    code::TCP_NO_RESPONSE,
    code::TCP_HALF_CLOSED,
    code::TCP_SLOW_RESPONSE,
];

/// Findings about a reset that ends an open connection.
const RESETS: [&str; 4] = [
    code::RST_ABORT,
    code::RST_UNREAD_DATA,
    code::RST_NO_CONNECTION,
    code::RST_GAVE_UP,
];

/// Replies by which a server reports that a data connection broke off.
pub(crate) const BROKEN: [u16; 4] = [421, 425, 426, 451];

impl FtpConnections {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, diagnosis: &Diagnosis) {
        if self.note_control(&diagnosis.connection) {
            return;
        }
        let Some(candidate) = Candidate::of(diagnosis) else {
            return;
        };
        self.candidates.entry(candidate.server).add(candidate);
    }

    /// Takes in an attempt that opened nothing: it may be one at a data connection.
    pub(crate) fn note_unopened(&mut self, attempt: &Unopened, finding: Option<&Finding>) {
        let server = attempt.server();
        if is_data_port(server.1) {
            let candidate = Candidate::of_unopened(attempt, finding);
            self.candidates.entry(server).add(candidate);
        }
    }

    /// Takes in a control connection, ongoing or not; false where it is none.
    pub(crate) fn note_control(&mut self, connection: &Connection) -> bool {
        let sealed = is_sealed_ftp(connection);
        if sealed {
            let hosts = (connection.client.address, connection.server.address);
            let known = self.sealed.entry(hosts);
            known.retain(|other| other.stream != connection.stream);
            if known.len() >= KEPT {
                known.remove(0);
            }
            known.push(SealedControl {
                stream: connection.stream,
                first: connection.first.time,
                last: connection.last.time,
                replies: ftp_session(connection).map_or_else(Vec::new, |ftp| {
                    let replies = ftp.sealed_replies.iter();
                    replies.map(|reply| reply.mark.time).collect()
                }),
            });
        }
        let Some(ftp) = ftp_session(connection) else {
            return sealed;
        };
        for (index, data) in ftp.data.iter().enumerate() {
            let announced = Announced::new(connection, ftp, index, data);
            for key in places(connection, data) {
                let known = self.announced.entry(key);
                known.retain(|other| {
                    other.control != connection.stream || other.asked != announced.asked
                });
                if known.len() >= KEPT {
                    known.remove(0);
                }
                known.push(announced.clone());
            }
        }
        true
    }

    /// Whether data connections can bear on a connection without a finding: it is a control connection.
    pub(crate) fn may_concern(connection: &Connection) -> bool {
        ftp_session(connection).is_some_and(|ftp| !ftp.data.is_empty()) || is_sealed_ftp(connection)
    }

    /// Adds and changes what the connections of a session show about one another.
    pub(crate) fn revise(&self, diagnosis: &mut Diagnosis, limits: &Limits) {
        let connection = &diagnosis.connection;
        if let Some(ftp) = ftp_session(connection) {
            let failed = data_connection_failed::finding(connection, ftp, self);
            let unresumed = self.unresumed(connection);
            let sealed = match failed.is_none() && unresumed.is_none() {
                true => data_connection_failed::sealed(connection, ftp, self),
                false => None,
            };
            diagnosis.findings.extend(failed);
            // A code is reported once: what is certain of it stays.
            if let Some(unresumed) = unresumed {
                let known = |finding: &Finding| finding.code == unresumed.code;
                diagnosis
                    .findings
                    .retain(|finding| !known(finding) || finding.severity == Severity::Error);
                if !diagnosis.findings.iter().any(known) {
                    diagnosis.findings.push(unresumed);
                }
            }
            diagnosis.findings.extend(sealed);
            let lost = control_lost::finding(diagnosis, self, limits);
            diagnosis.findings.extend(lost);
        } else if !diagnosis.findings.is_empty()
            && let Some(tie) = self.tie(connection)
        {
            revise_data(diagnosis, &tie);
        }
    }

    /// Whether a connection may be a data connection of a session that is known.
    pub(crate) fn may_tie(&self, connection: &Connection) -> bool {
        self.may_tie_any() && self.tie(connection).is_some()
    }

    /// Whether there is a session that a connection may belong to.
    pub(crate) fn may_tie_any(&self) -> bool {
        !self.announced.is_empty() || !self.sealed.is_empty()
    }

    /// The control connection of a data connection.
    fn tie(&self, connection: &Connection) -> Option<Tie> {
        let (client, server) = (&connection.client, &connection.server);
        let start = connection.first;
        let announced = self.announced.get(&(server.address, server.port));
        let fitting = announced.into_iter().flatten().filter(|announced| {
            announced.control != connection.stream && announced.fits(client.address, start)
        });
        if let Some(announced) = fitting.max_by_key(|announced| announced.asked.frame) {
            return Some(Tie {
                control: announced.control,
                transfer: announced.transfer.clone(),
                confidence: Confidence::Certain,
            });
        }
        let hosts = [client.address, server.address];
        let sealed = self.sealed_control(hosts, start.time);
        let sealed = sealed
            .filter(|control| control.stream != connection.stream && server.port >= UNPRIVILEGED)?;
        Some(Tie {
            control: sealed.stream,
            transfer: None,
            confidence: Confidence::Likely,
        })
    }

    /// The control connection that cannot be read to which a connection of two hosts that began then belongs: the latest one
    /// that was open, or had closed a moment before.
    fn sealed_control(&self, hosts: [IpAddr; 2], start: Timestamp) -> Option<&SealedControl> {
        let [one, other] = hosts;
        let known = [(one, other), (other, one)];
        let known = known.iter().filter_map(|hosts| self.sealed.get(hosts));
        let fitting = known.flatten().filter(|control| control.announces(start));
        fitting.max_by_key(|control| (start <= control.last, control.first))
    }

    /// The connection that was made for an announced data connection: the latest attempt at it.
    pub(crate) fn candidate(
        &self,
        control: &Connection,
        ftp: &FtpFacts,
        index: usize,
        data: &FtpData,
    ) -> Option<&Candidate> {
        let announced = Announced::new(control, ftp, index, data);
        let places = places(control, data);
        let known = places.iter().filter_map(|place| self.candidates.get(place));
        let mut known: Vec<&Candidate> = known
            .flat_map(Candidates::iter)
            .filter(|candidate| {
                announced.fits(candidate.client.0, candidate.first)
                    && !self.is_announced_later(&announced, candidate)
            })
            .collect();
        known.sort_by_key(|candidate| candidate.first.frame);
        // The first that opened is used; those before it are attempts.
        let opened = known.iter().find(|candidate| candidate.opened).copied();
        opened.or(known.last().copied())
    }

    /// What was opened while an announced data connection was expected, and is not it: a connection to its place by a host
    /// that was not to connect, or one between the hosts of the session by the side whose turn it was not. The first of them
    /// that no session announced.
    pub(crate) fn instead(
        &self,
        control: &Connection,
        ftp: &FtpFacts,
        index: usize,
        data: &FtpData,
    ) -> Option<Instead<'_>> {
        let announced = Announced::new(control, ftp, index, data);
        let places = places(control, data);
        let hosts = [control.client.address, control.server.address];
        let [by, to] = match data.setup.is_passive() {
            true => [hosts[1], hosts[0]],
            false => hosts,
        };
        let is_free = |data: &&Candidate| {
            let claims = self.announced.get(&data.server);
            announced.is_in_time(data.first)
                && !claims
                    .into_iter()
                    .flatten()
                    .any(|claim| claim.fits(data.client.0, data.first))
        };
        let known = places.iter().filter_map(|place| self.candidates.get(place));
        let other_host = known.flat_map(Candidates::iter).find(is_free);
        if let Some(data) = other_host {
            return Some(Instead::OtherHost(data));
        }
        let known = self.candidates.values().flat_map(Candidates::iter);
        known
            .filter(|data| data.client.0 == by && data.server.0 == to)
            .filter(is_free)
            .min_by_key(|data| data.first.frame)
            .map(Instead::OtherSide)
    }

    /// The refusal of a data connection whose TLS session was not resumed, on a control connection that cannot be read.
    fn unresumed(&self, control: &Connection) -> Option<Finding> {
        let data = self.beside_sealed(control);
        let mut refused = data.filter_map(|data| Some((data, data.unresumed?)));
        refused.find_map(|(data, end)| unresumed_finding(control, data.stream, data.first, end))
    }

    /// Connections that may be data connections of a control connection that cannot be read, in order.
    pub(crate) fn beside_sealed(
        &self,
        control: &Connection,
    ) -> impl Iterator<Item = &Candidate> + use<'_> {
        let own = [control.client.address, control.server.address];
        let reversed = [control.server.address, control.client.address];
        let known = match is_sealed_ftp(control) {
            true => self.candidates.values(),
            false => Default::default(),
        };
        let mut data: Vec<&Candidate> = known
            .flat_map(Candidates::iter)
            .filter(|data| {
                let hosts = [data.client.0, data.server.0];
                if hosts != own && hosts != reversed {
                    return false;
                }
                let owner = self.sealed_control(hosts, data.first.time);
                owner.is_some_and(|owner| owner.stream == control.stream)
            })
            .collect();
        data.sort_by_key(|data| data.first.frame);
        data.into_iter()
    }

    /// Whether a connection belongs to a later announcement of the same place.
    fn is_announced_later(&self, announced: &Announced, candidate: &Candidate) -> bool {
        let others = self.announced.get(&candidate.server);
        others.into_iter().flatten().any(|other| {
            other.asked.frame > announced.asked.frame
                && other.fits(candidate.client.0, candidate.first)
        })
    }
}

/// The lowest port that needs no privilege.
const UNPRIVILEGED: u16 = 1024;

/// The port of a server's data connections (RFC 959 section 5.2), from which it connects; nothing listens there.
const DATA: u16 = 20;

/// Where an announced data connection may be made to: the announced address, and the server's own where a client ignores it.
pub(crate) fn places(control: &Connection, data: &FtpData) -> Vec<(IpAddr, u16)> {
    let own = control.server.address;
    let announced = data.address.unwrap_or(own);
    let mut places = vec![(announced, data.port)];
    if data.setup.is_passive() && announced != own {
        places.push((own, data.port));
    }
    places
}

impl Announced {
    /// Whether a connection of this client that began there may be the announced one.
    fn fits(&self, client: IpAddr, first: Mark) -> bool {
        self.by.is_none_or(|by| by == client) && self.is_in_time(first)
    }

    /// Whether the announced connection is expected when another one began.
    fn is_in_time(&self, first: Mark) -> bool {
        self.asked.time <= first.time && first.time <= self.until
    }

    fn new(control: &Connection, ftp: &FtpFacts, index: usize, data: &FtpData) -> Announced {
        let by = match data.setup {
            FtpSetup::Pasv | FtpSetup::Epsv => Some(control.client.address),
            FtpSetup::Port | FtpSetup::Eprt => {
                (data.address == Some(control.client.address)).then_some(control.server.address)
            }
        };
        let next = index.checked_add(1).and_then(|next| ftp.data.get(next));
        let wanted = data.transfer.as_ref();
        let wanted = wanted.filter(|_| data.refused_at_once().is_none());
        Announced {
            control: control.stream,
            by,
            asked: Mark {
                frame: data.asked.frame,
                time: data.asked.time,
            },
            until: next.map_or(control.last.time.after(LATE), |next| next.asked.time),
            transfer: wanted.map(|transfer| Transfer {
                verb: transfer.command.verb.name(),
                code: transfer.ended.as_ref().map(|reply| reply.code),
                aborted: transfer.aborted.is_some(),
            }),
        }
    }
}

impl Candidate {
    fn of(diagnosis: &Diagnosis) -> Option<Candidate> {
        let connection = &diagnosis.connection;
        let (client, server) = (&connection.client, &connection.server);
        let may_be = is_data_port(server.port) && connection.tcp.handshake.syns > 0;
        let is_http = connection
            .app
            .as_deref()
            .is_some_and(|app| app.http.requests > 0);
        if !may_be || is_http {
            return None;
        }
        let is_usual = |finding: &&Finding| USUAL.contains(&finding.code);
        let failed = diagnosis
            .root_cause()
            .filter(|root| root.severity == Severity::Error && !is_usual(root));
        let mut findings = diagnosis.findings.iter();
        let reset = findings.find(|finding| RESETS.contains(&finding.code));
        let closed_first = match (client.tcp.fin, server.tcp.fin) {
            (Some(own), Some(other)) if other.frame < own.frame => Some(Side::Server),
            (Some(_), _) => Some(Side::Client),
            (None, Some(_)) => Some(Side::Server),
            (None, None) => None,
        };
        let both_closed = client.tcp.fin.is_some() && server.tcp.fin.is_some();
        Some(Candidate {
            stream: connection.stream,
            client: (client.address, client.port),
            server: (server.address, server.port),
            first: connection.first,
            last: connection.last,
            opened: connection.tcp.handshake.ack.is_some(),
            closed: both_closed && client.tcp.counts.resets + server.tcp.counts.resets == 0,
            bytes: [client, server].map(sent),
            failure: failed.map(Failure::of),
            reset: reset.map(Failure::of),
            closed_first,
            unresumed: refused_unresumed(connection),
        })
    }

    fn of_unopened(attempt: &Unopened, finding: Option<&Finding>) -> Candidate {
        Candidate {
            stream: attempt.stream(),
            client: attempt.client(),
            server: attempt.server(),
            first: attempt.first(),
            last: attempt.last(),
            opened: false,
            closed: false,
            bytes: [0, 0],
            failure: finding.map(Failure::of),
            reset: None,
            closed_first: None,
            unresumed: None,
        }
    }
}

impl Failure {
    fn of(finding: &Finding) -> Failure {
        Failure {
            code: finding.code,
            culprit: finding.culprit,
            confidence: finding.confidence,
        }
    }
}

/// Whether a server may wait for data connections there.
fn is_data_port(port: u16) -> bool {
    port >= UNPRIVILEGED || port == DATA
}

/// How many bytes a side sent, each counted once.
fn sent(side: &wirewhy_flow::Endpoint) -> u64 {
    let ends = side.tcp.next.zip(side.tcp.isn);
    let numbers = ends.map_or(0, |(next, isn)| {
        u64::try_from(next.distance_from(isn)).unwrap_or(0)
    });
    // The SYN and the FIN have a number each; beyond 2 GiB the numbers have gone round.
    let bytes = numbers.saturating_sub(1 + u64::from(side.tcp.fin.is_some()));
    match side.counts.payload_bytes > u64::from(u32::MAX / 2) {
        true => side.counts.payload_bytes,
        false => bytes,
    }
}

/// What the session of a data connection shows about its findings.
fn revise_data(diagnosis: &mut Diagnosis, tie: &Tie) {
    let opened = diagnosis.connection.tcp.handshake.ack.is_some();
    let transfer = tie.transfer.as_ref();
    let code = transfer.and_then(|transfer| transfer.code);
    let succeeded = code.is_some_and(|code| (200..300).contains(&code));
    let ended_well = [&diagnosis.connection.client, &diagnosis.connection.server]
        .into_iter()
        .all(|side| side.tcp.counts.resets == 0);
    diagnosis.findings.retain(|finding| {
        !(opened && USUAL.contains(&finding.code) && (transfer.is_some() || ended_well))
    });
    let mut findings = diagnosis.findings.iter();
    let has_failed = findings.any(|finding| finding.severity == Severity::Error);
    let broken = code.is_some_and(|code| BROKEN.contains(&code)) && !has_failed;
    for finding in &mut diagnosis.findings {
        let is_reset = RESETS.contains(&finding.code);
        let words = match transfer {
            Some(transfer) if opened && is_reset && transfer.aborted => {
                finding.severity = Severity::Note;
                format!("the client had aborted this {} (ABOR)", transfer.verb)
            }
            Some(_) if opened && is_reset && succeeded => {
                finding.severity = Severity::Note;
                "the server reported the transfer complete".to_owned()
            }
            Some(transfer) if opened && is_reset && broken => {
                finding.severity = Severity::Error;
                format!("it carried a {} that did not end", transfer.verb)
            }
            _ if finding.severity < Severity::Error => continue,
            Some(transfer) => format!("it was for a {}", transfer.verb),
            None if tie.confidence == Confidence::Certain => "it is a data connection".to_owned(),
            None => "it is likely a data connection".to_owned(),
        };
        finding.facts.0.push(("control_stream", tie.control.into()));
        let words = format!("; {words} (FTP, stream {})", tie.control);
        finding.summary.push_str(&words);
    }
}

/// The same culprit as the control connection names it, whose client is the server of an active data connection.
pub(crate) fn seen_from_control(culprit: Culprit, setup: FtpSetup) -> Culprit {
    let role = match culprit.role {
        Role::Client if !setup.is_passive() => Role::Server,
        Role::Server if !setup.is_passive() => Role::Client,
        role => role,
    };
    Culprit { role, ..culprit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_of_an_encrypted_session_follows_a_reply() {
        let at = |seconds| Timestamp::from_secs_nanos(seconds, 0);
        let control = |replies: &[i64]| SealedControl {
            stream: 0,
            first: at(10),
            last: at(60),
            replies: replies.iter().map(|seconds| at(*seconds)).collect(),
        };
        let read = control(&[11, 20]);
        assert!(read.announces(at(12)) && read.announces(at(21)));
        assert!(!read.announces(at(19)) && !read.announces(at(40)));
        // Where the replies are not all known, the time of the session decides.
        for unread in [control(&[]), control(&[55; FtpFacts::MAX_SEALED])] {
            assert!(unread.announces(at(40)) && unread.announces(at(61)));
            assert!(!unread.announces(at(9)) && !unread.announces(at(63)));
        }
    }
}
