//! Gateways whose connections to the servers behind them are in the same recording: which of those made a gateway answer 502, 503 or
//! 504.

use std::net::IpAddr;
use std::sync::Arc;

use wirewhy_detect::wording::{count, socket_of};
use wirewhy_detect::{Confidence, Culprit, Diagnosis, Finding, Role, Severity, Value, code};
use wirewhy_flow::{Connection, EventKind, Unopened};
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::{Refusals, Request};

use crate::latest::Latest;
use crate::recent::RecentTable;

/// Connections of hosts that may be gateways, and what gateways answered.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    /// Connections that failed, by who made them.
    failed: RecentTable<Host, Latest<Upstream>>,
    /// Answers for which servers behind a gateway may be the reason, by gateway.
    answers: RecentTable<Host, Latest<Answer>>,
}

/// A host as it is known on both sides: by its address, or as the capturing host, which may use several, the loopback address among
/// them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Host {
    Address(IpAddr),
    Capturing,
}

/// A connection of a gateway that failed.
#[derive(Clone, Debug)]
struct Upstream {
    stream: u32,
    server: (IpAddr, u16),
    code: &'static str,
    culprit: Culprit,
    opened: bool,
    /// Whether the server had answered in it before.
    is_reused: bool,
    begun: Timestamp,
    /// When the first side closed or reset it.
    ended: Timestamp,
    request: Option<Arc<Request>>,
}

/// An answer of a gateway.
#[derive(Clone, Debug)]
struct Answer {
    stream: u32,
    gateway: (IpAddr, u16),
    /// Whether the gateway is the capturing host.
    is_own: bool,
    status: u16,
    request: Arc<Request>,
    answered: Timestamp,
}

/// How many are kept of one host.
const KEPT: usize = 64;

/// A gateway closes a connection that it has given up when it has answered its client.
const CLOSES_WITHIN: Interval = Interval::from_millis(100);

impl Upstreams {
    /// Takes in one connection that is over.
    pub(crate) fn note(&mut self, diagnosis: &Diagnosis) {
        let connection = &diagnosis.connection;
        let mut findings = diagnosis.findings.iter();
        if let Some(answer) = findings.find_map(|finding| Answer::of(connection, finding)) {
            for host in hosts(connection.server.address, answer.is_own) {
                self.answers.entry(host).add(answer.clone(), KEPT);
            }
        }
        let root = diagnosis.root_cause();
        let Some(root) = root.filter(|root| root.severity == Severity::Error) else {
            return;
        };
        let is_own = is_of_capturing_host(connection);
        for host in hosts(connection.client.address, is_own) {
            self.failed
                .entry(host)
                .add(Upstream::of(connection, root), KEPT);
        }
    }

    /// Takes in an attempt that opened nothing.
    pub(crate) fn note_unopened(&mut self, attempt: &Unopened, finding: &Finding) {
        let ((client, _), first) = (attempt.client(), attempt.first());
        let is_own = client.is_loopback() || attempt.outgoing() == Some(true);
        for host in hosts(client, is_own) {
            let upstream = Upstream {
                stream: attempt.stream(),
                server: attempt.server(),
                code: finding.code,
                culprit: finding.culprit,
                opened: false,
                is_reused: false,
                begun: first.time,
                ended: attempt.last().time,
                request: None,
            };
            self.failed.entry(host).add(upstream, KEPT);
        }
    }

    /// Adds to the answer of a gateway which connection made it answer so, and to that one what came of it.
    pub(crate) fn revise(&self, diagnosis: &mut Diagnosis) {
        if self.answers.is_empty() || self.failed.is_empty() {
            return;
        }
        let connection = &diagnosis.connection;
        for finding in &mut diagnosis.findings {
            if let Some(answer) = Answer::of(connection, finding) {
                let attempts = self.behind(&answer);
                if let Some((first, others)) = attempts.split_first() {
                    explain(finding, first, others);
                }
            }
        }
        let Some(answer) = self.answered_for(connection) else {
            return;
        };
        let root = diagnosis.root_cause().map(|root| root.code);
        let mut findings = diagnosis.findings.iter_mut();
        let Some(root) = findings.find(|finding| Some(finding.code) == root) else {
            return;
        };
        root.facts.0.push(("answered_stream", answer.stream.into()));
        root.summary.push_str(&format!(
            "; {} answered {} to its client meanwhile (stream {})",
            socket_of(answer.gateway.0, answer.gateway.1),
            answer.status,
            answer.stream
        ));
    }

    /// Whether a gateway answered its client because of a connection.
    pub(crate) fn bear_on(&self, connection: &Connection) -> bool {
        self.may_bear_on_any() && self.answered_for(connection).is_some()
    }

    /// Whether there is an answer of a gateway that a connection may be the reason of.
    pub(crate) fn may_bear_on_any(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The connections that made a gateway answer so: all that failed between the request and the answer, where they went to one
    /// server and failed in one way.
    fn behind(&self, answer: &Answer) -> Vec<&Upstream> {
        let mut found: Vec<&Upstream> = Vec::new();
        for host in hosts(answer.gateway.0, answer.is_own) {
            let failed = self.failed.get(&host);
            for upstream in failed.into_iter().flat_map(Latest::iter) {
                let is_known = found.iter().any(|known| known.stream == upstream.stream);
                if upstream.fits(answer) && !is_known {
                    found.push(upstream);
                }
            }
        }
        found.sort_by_key(|upstream| (upstream.begun, upstream.stream));
        let kind = |upstream: &Upstream| (upstream.server, upstream.code);
        let Some(first) = found.first().map(|first| kind(first)) else {
            return found;
        };
        let is_one = found.iter().all(|upstream| kind(upstream) == first);
        // One attempt is not the reason of the answers to two clients.
        let claims = self.answers_beside(answer, &found);
        if !is_one || claims > found.len() {
            found.clear();
        }
        found
    }

    /// How many answers of a gateway these attempts may be the reason of.
    fn answers_beside(&self, answer: &Answer, attempts: &[&Upstream]) -> usize {
        let mut streams: Vec<u32> = hosts(answer.gateway.0, answer.is_own)
            .filter_map(|host| self.answers.get(&host))
            .flat_map(Latest::iter)
            .filter(|other| attempts.iter().any(|upstream| upstream.fits(other)))
            .map(|other| other.stream)
            .collect();
        streams.sort_unstable();
        streams.dedup();
        streams.len()
    }

    /// The answer that a connection of a gateway is the reason of.
    fn answered_for(&self, connection: &Connection) -> Option<&Answer> {
        let is_own = is_of_capturing_host(connection);
        let mut known = hosts(connection.client.address, is_own)
            .filter_map(|host| self.answers.get(&host))
            .flat_map(Latest::iter);
        known.find(|answer| {
            let mut attempts = self.behind(answer).into_iter();
            attempts.any(|upstream| upstream.stream == connection.stream)
        })
    }
}

impl Upstream {
    fn of(connection: &Connection, root: &Finding) -> Upstream {
        let http = connection.app.as_deref().map(|app| &app.http);
        let sides = [&connection.client, &connection.server];
        let closed = sides.into_iter().filter_map(|side| side.tcp.fin);
        let mut events = connection.events.iter();
        let reset = events.find(|event| matches!(event.kind, EventKind::Reset(_)));
        let ended = closed
            .map(|fin| fin.time)
            .chain(reset.map(|event| event.time));
        Upstream {
            stream: connection.stream,
            server: (connection.server.address, connection.server.port),
            code: root.code,
            culprit: root.culprit,
            opened: connection.tcp.handshake.ack.is_some(),
            is_reused: connection.server.counts.payload_bytes > 0,
            begun: connection.first.time,
            ended: ended.min().unwrap_or(connection.last.time),
            request: http.and_then(|http| http.last_request.clone()),
        }
    }

    /// Whether it was made, and failed, between a request and its answer; one that was used before failed in that time.
    fn fits(&self, answer: &Answer) -> bool {
        // Client and gateway may be one host.
        if self.server == answer.gateway {
            return false;
        }
        let (begun, answered) = (answer.request.begun.time, answer.answered);
        let begins = begun <= self.begun && self.begun <= answered;
        if !self.opened {
            return begins;
        }
        let serves = begins || self.is_reused && self.begun < begun;
        let fails = begun <= self.ended && self.ended <= answered.after(CLOSES_WITHIN);
        let same_request = self.request.as_deref().is_none_or(|asked| {
            asked.method() == answer.request.method() && asked.target() == answer.request.target()
        });
        serves && fails && same_request
    }
}

impl Answer {
    /// What a finding is about, if it is an answer for which a server behind a gateway may be the reason.
    fn of(connection: &Connection, finding: &Finding) -> Option<Answer> {
        if ![code::HTTP_ERROR_STATUS, code::HTTP_CONNECT_REFUSED].contains(&finding.code) {
            return None;
        }
        let Some(Value::Count(status @ 502..=504)) = finding.facts.value("status") else {
            return None;
        };
        let trouble = connection.app.as_deref()?.http.trouble.as_deref()?;
        let mut kinds = trouble.refusals.iter();
        let kind: &Refusals = kinds.find(|kind| {
            u64::from(kind.status) == *status
                && finding.frames.first() == Some(&kind.first.answered.frame)
        })?;
        let server = &connection.server;
        Some(Answer {
            stream: connection.stream,
            gateway: (server.address, server.port),
            is_own: connection.outgoing.last() == Some(&Some(true)),
            status: kind.status,
            request: kind.first.request.clone()?,
            answered: kind.first.answered.time,
        })
    }
}

/// Whether the client is the capturing host: what is on its loopback interface is its own.
fn is_of_capturing_host(connection: &Connection) -> bool {
    connection.client.address.is_loopback() || connection.outgoing.first() == Some(&Some(true))
}

fn hosts(address: IpAddr, is_capturing: bool) -> impl Iterator<Item = Host> {
    let capturing = is_capturing.then_some(Host::Capturing);
    [Some(Host::Address(address)), capturing]
        .into_iter()
        .flatten()
}

/// Adds the reason to an answer of a gateway.
fn explain(finding: &mut Finding, first: &Upstream, others: &[&Upstream]) {
    let (address, port) = first.server;
    let mut streams = vec![first.stream];
    streams.extend(others.iter().map(|upstream| upstream.stream));
    let more = match others.len() {
        0 => String::new(),
        more => format!(
            " and {}",
            count(u64::try_from(more).unwrap_or(u64::MAX), "other")
        ),
    };
    finding.summary.push_str(&format!(
        "; its own connection to {} failed meanwhile: {} (stream {}{more})",
        socket_of(address, port),
        first.code,
        first.stream
    ));
    finding.facts.0.extend([
        ("upstream_address", address.into()),
        ("upstream_port", port.into()),
        ("upstream_streams", streams.into()),
        ("upstream_cause", first.code.into()),
    ]);
    if first.culprit.role == Role::Server {
        let confidence = first.culprit.confidence.min(Confidence::Likely);
        finding.culprit = Culprit::new(Role::Server, address).at_most(confidence);
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::{Finding, Role};

    use crate::testing::diagnose_all;

    /// A client, connection `stream`, that asks a gateway at `at` and is answered `took` seconds later.
    fn asked(stream: u32, at: f64, took: f64, status: &str) -> String {
        let answer = format!("HTTP/1.1 {status}\\r\\nContent-Length: 0\\r\\n\\r\\n");
        let length = answer.replace("\\r", "r").replace("\\n", "n").len();
        let (end, next) = (1 + length, 2 + length);
        let time = |after: f64| format!("{:.3}", at + after);
        let after = |more: f64| time(took + more);
        format!(
            "#{stream} server 192.0.2.9:80
             {} #{stream} > S 0:0(0)
             {} #{stream} < SA 0:0(0) ack 1
             {} #{stream} > A 1:1(0) ack 1
             {} #{stream} > PA 1:29(28) ack 1 \"GET /a HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\"
             {} #{stream} < PA 1:{end}({length}) ack 29 \"{answer}\"
             {} #{stream} > FA 29:29(0) ack {end}
             {} #{stream} < FA {end}:{end}(0) ack 30
             {} #{stream} > A 30:30(0) ack {next}\n",
            time(-0.03),
            time(-0.02),
            time(-0.01),
            time(0.0),
            after(0.0),
            after(0.01),
            after(0.02),
            after(0.03),
        )
    }

    /// A connection of the gateway to a server, which refuses it.
    fn refused(stream: u32, at: f64, server: &str) -> String {
        format!(
            "#{stream} client 192.0.2.9:{}
             #{stream} server {server}
             {at:.3} #{stream} > S 0:0(0)
             {:.3} #{stream} < RA 0:0(0) ack 1\n",
            50_000 + stream,
            at + 0.001,
        )
    }

    /// A connection of the gateway that asks for the same, and is answered so; nothing where it is answered nothing.
    fn passed_on(stream: u32, at: f64, target: &str, answer: Option<&str>) -> String {
        let get = format!("GET {target} HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n");
        let asked = get.replace("\\r", "r").replace("\\n", "n").len() + 1;
        let mut lines = format!(
            "#{stream} client 192.0.2.9:{}
             #{stream} server 198.51.100.7:8080
             {at:.3} #{stream} > S 0:0(0)
             {:.3} #{stream} < SA 0:0(0) ack 1
             {:.3} #{stream} > A 1:1(0) ack 1
             {:.3} #{stream} > PA 1:{asked}({}) ack 1 \"{get}\"\n",
            50_000 + stream,
            at + 0.001,
            at + 0.002,
            at + 0.003,
            asked - 1,
        );
        let end = match answer {
            Some(status) => {
                let answer = format!("HTTP/1.1 {status}\\r\\nContent-Length: 0\\r\\n\\r\\n");
                let length = answer.replace("\\r", "r").replace("\\n", "n").len();
                lines += &format!(
                    "{:.3} #{stream} < PA 1:{}({length}) ack {asked} \"{answer}\"\n",
                    at + 0.01,
                    length + 1
                );
                length + 1
            }
            None => 1,
        };
        lines
            + &format!(
                "{:.3} #{stream} < FA {end}:{end}(0) ack {asked}
                 {:.3} #{stream} > FA {asked}:{asked}(0) ack {}
                 {:.3} #{stream} < A {}:{}(0) ack {}\n",
                at + 0.011,
                at + 0.012,
                end + 1,
                at + 0.013,
                end + 1,
                end + 1,
                asked + 1,
            )
    }

    /// The root cause of each connection of these, in order of time.
    fn roots(parts: &[String]) -> Vec<Option<Finding>> {
        let mut settings = Vec::new();
        let mut lines: Vec<(f64, String)> = Vec::new();
        for line in parts.iter().flat_map(|part| part.lines()).map(str::trim) {
            match line.split_once(' ').map(|(time, _)| time.parse()) {
                Some(Ok(time)) => lines.push((time, line.to_owned())),
                _ => settings.push(line.to_owned()),
            }
        }
        lines.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        settings.extend(lines.into_iter().map(|(_, line)| line));
        let diagnosis = diagnose_all(&settings.join("\n"));
        let root = diagnosis
            .iter()
            .map(|diagnosis| diagnosis.root_cause().cloned());
        root.collect()
    }

    fn tied(found: Option<&Finding>) -> bool {
        found.is_some_and(|found| found.facts.value("upstream_streams").is_some())
    }

    #[test]
    fn the_refusal_behind_a_bad_gateway() {
        let found = roots(&[
            asked(1, 1.0, 0.01, "502 Bad Gateway"),
            refused(2, 1.002, "198.51.100.7:8080"),
        ]);
        let [Some(answer), Some(refusal)] = &found[..] else {
            panic!("{found:#?}")
        };
        assert!(
            answer.summary.ends_with(
                "; its own connection to 198.51.100.7:8080 failed meanwhile: tcp.refused (stream 1)"
            ),
            "{}",
            answer.summary
        );
        assert_eq!(
            answer.facts.value("upstream_cause"),
            Some(&"tcp.refused".into())
        );
        assert_eq!(answer.culprit.role, Role::Server);
        assert_eq!(
            answer.culprit.address,
            Some("198.51.100.7".parse().unwrap())
        );
        assert!(
            refusal
                .summary
                .ends_with("; 192.0.2.9:80 answered 502 to its client meanwhile (stream 0)"),
            "{}",
            refusal.summary
        );
    }

    #[test]
    fn retries_at_one_server_are_one_reason() {
        let found = roots(&[
            asked(1, 1.0, 3.01, "503 Service Unavailable"),
            refused(2, 1.002, "198.51.100.7:8080"),
            refused(3, 2.002, "198.51.100.7:8080"),
            refused(4, 3.002, "198.51.100.7:8080"),
        ]);
        let streams = found[0].as_ref().unwrap().facts.value("upstream_streams");
        assert_eq!(streams, Some(&vec![1_u32, 2, 3].into()));
    }

    #[test]
    fn two_servers_that_failed_are_no_one_reason() {
        let found = roots(&[
            asked(1, 1.0, 0.01, "502 Bad Gateway"),
            refused(2, 1.002, "198.51.100.7:8080"),
            refused(3, 1.003, "198.51.100.8:8080"),
        ]);
        assert!(!tied(found[0].as_ref()));
    }

    #[test]
    fn one_attempt_is_not_the_reason_of_two_answers() {
        let found = roots(&[
            asked(1, 1.0, 0.02, "502 Bad Gateway"),
            asked(2, 1.001, 0.02, "502 Bad Gateway"),
            refused(3, 1.005, "198.51.100.7:8080"),
        ]);
        assert!(!tied(found[0].as_ref()) && !tied(found[1].as_ref()));
    }

    #[test]
    fn what_failed_before_or_after_is_no_reason() {
        for at in [0.5, 1.5] {
            let found = roots(&[
                asked(1, 1.0, 0.01, "502 Bad Gateway"),
                refused(2, at, "198.51.100.7:8080"),
            ]);
            assert_eq!(found.iter().filter(|found| tied(found.as_ref())).count(), 0);
        }
    }

    #[test]
    fn a_healthy_server_behind_it_is_no_reason() {
        let found = roots(&[
            asked(1, 1.0, 0.02, "502 Bad Gateway"),
            passed_on(2, 1.002, "/a", Some("200 OK")),
        ]);
        assert!(!tied(found[0].as_ref()));
        assert_eq!(found[1], None);
    }

    #[test]
    fn a_server_that_closed_without_an_answer_to_the_same_request() {
        let behind = |target: &str| {
            roots(&[
                asked(1, 1.0, 0.02, "502 Bad Gateway"),
                passed_on(2, 1.002, target, None),
            ])
        };
        assert!(tied(behind("/a")[0].as_ref()));
        // The request of another client.
        assert!(!tied(behind("/b")[0].as_ref()));
    }

    #[test]
    fn an_error_of_the_gateways_own_program_is_not_for_others() {
        let found = roots(&[
            asked(1, 1.0, 0.01, "500 Internal Server Error"),
            refused(2, 1.002, "198.51.100.7:8080"),
        ]);
        assert!(!tied(found[0].as_ref()));
    }
}
