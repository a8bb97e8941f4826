//! Which connections a finding beyond them explains, and which findings beyond connections only add to their entry.

use std::net::{IpAddr, SocketAddr};

use wirewhy_detect::{Finding, Value};
use wirewhy_survey::GroupFinding;

use super::causes::Service;

/// What comes of an attempt that a service or a path does not take.
const ATTEMPTS: &[&str] = &[
    "tcp.syn-unanswered",
    "tcp.refused",
    "tcp.unreachable",
    "tcp.handshake-aborted",
    "tcp.synack-unanswered",
];

/// What comes of attempts while a flood fills the queues of a service.
const FLOODED: &[&str] = &[
    "tcp.syn-unanswered",
    "tcp.synack-unanswered",
    "tcp.handshake-aborted",
    "tcp.accept-queue-full",
];

/// What comes of attempts at a host that does not answer on the link.
const UNFOUND: &[&str] = &["tcp.syn-unanswered", "tcp.unreachable"];

/// What comes of connections that a device on the path forgets.
const FORGOTTEN: &[&str] = &[
    "rst.idle-expired",
    "tcp.peer-vanished",
    "tcp.keepalive-unanswered",
    "rst.close-race",
    "tcp.no-response",
];

/// The connections that a finding beyond them explains.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) whose: Whose,
    /// The root causes that come of it; all where none is named.
    codes: Vec<String>,
    /// How many connections it counted, where these are not all that have these causes.
    counted: Option<u64>,
}

/// Whose connections are explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// Those of a client.
    Source(IpAddr),
    /// Those to a service.
    Service(Service),
    /// Those to a host.
    Host(IpAddr),
}

impl Reach {
    /// The connections whose failure is nothing but this finding: their entries are folded under it.
    pub(super) fn explained_by(found: &GroupFinding) -> Option<Reach> {
        let mut counted = None;
        let (whose, codes) = match found.finding.code {
            "service.down" => (service(found)?, causes(&found.finding)),
            "host.syn-flood" => (service(found)?, listed(FLOODED)),
            "host.port-scan" => (Whose::Source(host(found)?), listed(ATTEMPTS)),
            "arp.unanswered" => (Whose::Host(host(found)?), listed(UNFOUND)),
            "host.idle-timer" => {
                counted = match found.finding.facts.value("connections") {
                    Some(Value::Count(connections)) => Some(*connections),
                    _ => Some(0),
                };
                (Whose::Host(host(found)?), listed(FORGOTTEN))
            }
            _ => return None,
        };
        Some(Reach {
            whose,
            codes,
            counted,
        })
    }

    /// Whether so many connections are no more than it counted.
    pub(super) fn accounts_for(&self, connections: u64) -> bool {
        self.counted.is_none_or(|counted| connections <= counted)
    }

    /// The connections about which this finding says more: it is folded under their entry.
    pub(super) fn adds_to(found: &GroupFinding) -> Option<Reach> {
        let (whose, codes) = match found.finding.code {
            // Where the connections show a cause behind the reason that the attempts share, it is their entry that explains.
            "service.down" | "service.flaky" => (service(found)?, causes(&found.finding)),
            "host.idle-timer" => (Whose::Host(host(found)?), listed(FORGOTTEN)),
            _ => return None,
        };
        Some(Reach {
            whose,
            codes,
            counted: None,
        })
    }

    /// Whether connections with this root cause are among them.
    pub(super) fn covers(&self, code: &str) -> bool {
        self.codes.is_empty() || self.codes.iter().any(|known| known == code)
    }

    /// Whether connections to this service are.
    pub(super) fn holds(&self, (address, port): Service) -> bool {
        match self.whose {
            Whose::Source(_) => false,
            Whose::Service(service) => service == (address, port),
            Whose::Host(host) => host == address,
        }
    }
}

fn listed(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

fn service(found: &GroupFinding) -> Option<Whose> {
    let socket: SocketAddr = found.subject.parse().ok()?;
    Some(Whose::Service((socket.ip(), socket.port())))
}

fn host(found: &GroupFinding) -> Option<IpAddr> {
    found.subject.parse().ok()
}

/// The root causes that a finding about many attempts counts.
fn causes(finding: &Finding) -> Vec<String> {
    let Some(Value::List(causes)) = finding.facts.value("causes") else {
        return Vec::new();
    };
    let code = |cause: &Value| {
        let Value::Object(fields) = cause else {
            return None;
        };
        let (_, value) = fields.iter().find(|(name, _)| *name == "code")?;
        match value {
            Value::Text(code) => Some(code.clone()),
            _ => None,
        }
    };
    causes.iter().filter_map(code).collect()
}
