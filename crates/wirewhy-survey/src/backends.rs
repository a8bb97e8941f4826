//! Connections that a service reset right behind the handshake, and those that it served.

use std::net::IpAddr;

use wirewhy_detect::{
    Diagnosis, Finding, Limits, Severity, code, reset_again, reset_behind_handshake,
};
use wirewhy_flow::{Connection, Ended, Healthy};
use wirewhy_packet::Timestamp;

use crate::recent::RecentTable;

/// What services did with the connections they accepted.
#[derive(Debug, Default)]
pub(crate) struct Backends(RecentTable<(IpAddr, u16), Accepted>);

/// The connections that one service accepted, by when they began.
#[derive(Clone, Debug, Default)]
struct Accepted {
    /// Those that were served: the first and the last.
    served: Option<(Timestamp, Timestamp)>,
    /// Those that were kept without a byte: from the first on, until the last was over.
    held: Option<(Timestamp, Timestamp)>,
    /// Those that were reset right behind the handshake; of the first ones.
    reset: Vec<Timestamp>,
}

/// How many resets are remembered of one service.
const KEPT: usize = 1_024;

impl Backends {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, connection: &Connection) {
        if connection.tcp.handshake.ack.is_none() {
            return;
        }
        let key = (connection.server.address, connection.server.port);
        let known = self.0.entry(key);
        let began = connection.first.time;
        if reset_behind_handshake(connection).is_some() {
            if known.reset.len() < KEPT {
                known.reset.push(began);
            }
        } else if connection.server.counts.payload_packets > 0 {
            widen(&mut known.served, (began, began));
        } else if connection.server.tcp.counts.resets == 0 {
            let over = connection.ended == Ended::Closed;
            let ended = if over {
                connection.last.time
            } else {
                connection.observed_until
            };
            widen(&mut known.held, (began, ended));
        }
    }

    /// Takes in a connection that went well.
    pub(crate) fn note_healthy(&mut self, healthy: &Healthy) {
        let began = healthy.first().time;
        widen(&mut self.0.entry(healthy.server()).served, (began, began));
    }

    /// The finding about a connection that is one of several to be reset right behind the handshake, since the service served
    /// one last or before it served one first. Where others are kept without a byte meanwhile, it is the application that takes
    /// no more.
    pub(crate) fn finding_for(&self, diagnosis: &Diagnosis, limits: &Limits) -> Option<Finding> {
        let connection = &diagnosis.connection;
        let reset = reset_behind_handshake(connection)?;
        if diagnosis.findings.iter().any(is_better_reason) {
            return None;
        }
        let key = (connection.server.address, connection.server.port);
        let known = self.0.get(&key)?;
        let began = connection.first.time;
        let held = known
            .held
            .is_some_and(|(from, until)| (from..=until).contains(&began));
        if held {
            return None;
        }
        let alike: usize = match known.served {
            None => known.reset.len(),
            Some((first, _)) if began < first => {
                known.reset.iter().filter(|one| **one < first).count()
            }
            Some((_, last)) if began > last => {
                known.reset.iter().filter(|one| **one > last).count()
            }
            Some(_) => 0,
        };
        let times = u32::try_from(alike).unwrap_or(u32::MAX);
        (times >= limits.backend_resets).then(|| reset_again(connection, reset, times))
    }
}

fn widen(known: &mut Option<(Timestamp, Timestamp)>, (from, until): (Timestamp, Timestamp)) {
    *known = Some(match *known {
        Some((first, last)) => (first.min(from), last.max(until)),
        None => (from, until),
    });
}

/// An error that says more than that the connection was reset.
fn is_better_reason(finding: &Finding) -> bool {
    let plain = [
        code::RST_ABORT,
        code::RST_NO_CONNECTION,
        code::TLS_HANDSHAKE_RESET,
    ];
    finding.severity == Severity::Error && !plain.contains(&finding.code)
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::Outcome;

    use crate::testing::diagnose_all;

    const RESET: &str = "@.05 #@ < RA 1:1(0) ack 1\n";

    /// Connections that end with these lines (`@` is the number) behind the handshake, and are served where `served` names them.
    fn connections(many: u32, served: &[u32], end: &str) -> String {
        const SERVED: &str = "@.03 #@ > PA 1:11(10) ack 1
             @.05 #@ < PA 1:11(10) ack 11
             @.06 #@ > FA 11:11(0) ack 11
             @.08 #@ < FA 11:11(0) ack 12
             @.09 #@ > A 12:12(0) ack 12\n";
        const OPEN: &str = "@.00 #@ > S 0:0(0)
             @.02 #@ < SA 0:0(0) ack 1
             @.03 #@ > A 1:1(0) ack 1\n";
        (1..=many)
            .flat_map(|n| {
                let end = if served.contains(&n) { SERVED } else { end };
                [OPEN, end].map(|lines| lines.replace('@', &n.to_string()))
            })
            .collect()
    }

    fn roots(lines: &str) -> Vec<Option<&'static str>> {
        let diagnosis = diagnose_all(lines);
        diagnosis
            .iter()
            .map(|diagnosis| diagnosis.root_cause().map(|root| root.code))
            .collect()
    }

    #[test]
    fn three_resets_with_and_without_the_ack_flag() {
        for reset in [RESET, "@.05 #@ < R 1:1(0)\n"] {
            let diagnosis = diagnose_all(&connections(3, &[], reset));
            assert_eq!(diagnosis.len(), 3);
            for one in diagnosis {
                assert_eq!(one.outcome(), Outcome::Failed);
                assert_eq!(one.root_cause().unwrap().code, "tcp.backend-unreachable");
            }
        }
    }

    #[test]
    fn connections_that_worked_between_them_show_that_it_is_in_reach() {
        let lines = connections(7, &[3, 5], RESET);
        assert!(!roots(&lines).contains(&Some("tcp.backend-unreachable")));
    }

    #[test]
    fn connections_kept_without_a_byte_show_a_full_queue() {
        let kept = "0.50 #9 > S 0:0(0)\n 0.52 #9 < SA 0:0(0) ack 1\n 0.53 #9 > A 1:1(0) ack 1\n";
        let lines = format!("{kept}{}", connections(4, &[], RESET));
        assert!(!roots(&lines).contains(&Some("tcp.backend-unreachable")));
    }

    #[test]
    fn before_it_broke_it_worked() {
        let found = roots(&connections(5, &[1, 2], RESET));
        let unreachable = Some("tcp.backend-unreachable");
        assert_eq!(found, [None, None, unreachable, unreachable, unreachable]);
    }

    #[test]
    fn a_client_that_aborts_is_no_matter_of_the_server() {
        let lines = connections(4, &[], "@.05 #@ > RA 1:1(0) ack 1\n");
        assert!(!roots(&lines).contains(&Some("tcp.backend-unreachable")));
    }

    #[test]
    fn a_reset_that_answers_a_request_is_no_matter_of_the_handshake() {
        for reset in ["< RA 1:1(0) ack 11", "< R 1:1(0)"] {
            let asked = format!("@.04 #@ > PA 1:11(10) ack 1\n@.06 #@ {reset}\n");
            let lines = connections(4, &[], &asked);
            assert!(!roots(&lines).contains(&Some("tcp.backend-unreachable")));
        }
    }
}
