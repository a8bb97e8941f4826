//! `tcp.refused`: the answer to the SYN is a reset.

use std::net::IpAddr;

use wirewhy_flow::{Connection, Event, Position, Reset, Side, TtlSeen, Unopened};
use wirewhy_packet::Interval;

use super::{resets, syns};
use crate::resets::refuses_unseen_syn;
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.refused",
    group: Group::Tcp,
    title: "Connection refused",
    severity: Severity::Error,
    means: "The attempt to open was answered by a reset. The application sees \"connection refused\" at once.",
    recognised: "A reset that acknowledges exactly the SYN (RFC 9293 section 3.10.7.1), before any SYN-ACK; or one that acknowledges \
                 something else, where nothing better comes. The hop count and the delay of the reset are held against other \
                 packets of the same host.",
    look_alikes: "A closed port and a firewall that rejects on the host itself send the same packet. A device on the way that \
                  answers in the host's name shows in a smaller distance: fewer hops and a reset faster than any round trip \
                  to the host. Hop counts alone do not convict: routes differ.",
    check_next: &[
        "On the server: does anything listen there (ss -ltnp)? On this address, or only on 127.0.0.1 or another family?",
        "Look for reject rules (nft list ruleset | grep reject; iptables -S | grep REJECT) on the server and before it.",
        "Was the service restarting at that time (journalctl -u SERVICE)?",
    ],
    explained_by: &[Cause::IfAsSevere("tcp.unreachable")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::RESET, detect),
};

/// What tells whether the reset came from as far away as the host.
struct Distance {
    /// How many hops nearer than the host's other packets, where both counts are of one class.
    hops_nearer: Option<i16>,
    /// Faster than any round trip to the host.
    faster: bool,
    /// The hop count equals that of the host's other packets.
    same_ttl: bool,
}

/// The reset that refused an attempt, and what it shows.
struct RefusedAttempt<'a> {
    event: &'a Event,
    reset: &'a Reset,
    /// How long after the SYN that it answers; `None` where none was seen.
    delay: Option<Interval>,
    asked: Option<&'a Event>,
    distance: Distance,
}

fn refusals(connection: &Connection) -> impl Iterator<Item = (&Event, &Reset)> {
    let is_open =
        connection.tcp.handshake.syn_ack.is_some() || connection.tcp.handshake.ack.is_some();
    resets(connection, Side::Server).filter(move |(_, reset)| {
        let answers = matches!(
            reset.position,
            Position::AnswersSyn | Position::IgnoredInSynSent
        );
        !is_open && (answers || refuses_unseen_syn(connection, reset))
    })
}

impl<'a> RefusedAttempt<'a> {
    fn of(connection: &'a Connection, limits: &Limits) -> Option<RefusedAttempt<'a>> {
        let (event, reset) = refusals(connection).next()?;
        // The client may ask again after a refusal: what this one answers is the latest SYN before it.
        let asked = syns(connection)
            .filter(|syn| syn.frame < event.frame)
            .last();
        let delay = asked
            .map(|syn| event.time.since(syn.time))
            .filter(|delay| *delay >= Interval::ZERO);
        Some(RefusedAttempt {
            event,
            reset,
            delay,
            asked,
            distance: Distance::of(
                (reset.ttl, connection.host_context.server_ttl),
                (delay, connection.host_context.server_round_trip),
                limits,
            ),
        })
    }

    /// A host acknowledges the SYN it refuses. What does not was written by another device, or for another connection.
    fn is_misfit(&self) -> bool {
        self.reset.position == Position::IgnoredInSynSent
    }

    fn verdict(&self, connection: &Connection) -> Finding {
        let sure = match self.is_misfit() {
            true => Confidence::Possible,
            false => Confidence::Certain,
        };
        let wordless = wordless(
            self.event.frame,
            connection.server.address,
            &self.distance,
            sure,
        );
        match self.asked {
            Some(_) => wordless,
            None => Finding {
                confidence: Confidence::Possible,
                ..wordless
            },
        }
    }
}

/// What is concluded of a reset in the name of a server, where it is `sure` that it answers the SYN.
fn wordless(reset: u64, server: IpAddr, distance: &Distance, sure: Confidence) -> Finding {
    let (role, confidence) = distance.verdict();
    let address = (role == Role::Server).then_some(server);
    let culprit = Culprit::new(role, address).at_most(sure);
    Finding {
        frames: vec![reset],
        ..Finding::brief(&RECORD, Severity::Error, confidence, culprit)
    }
}

/// What is concluded, without words.
pub(crate) fn verdict(connection: &Connection, limits: &Limits) -> Option<Finding> {
    Some(RefusedAttempt::of(connection, limits)?.verdict(connection))
}

/// The same of an attempt of one SYN, if a reset refused it.
pub(crate) fn verdict_on(attempt: &Unopened, limits: &Limits) -> Option<Finding> {
    let reset = attempt.refused()?;
    let delay = reset.time.since(attempt.first().time);
    let delay = Some(delay).filter(|delay| *delay >= Interval::ZERO);
    let distance = Distance::of(
        (attempt.reset_ttl()?, attempt.server_ttl()),
        (delay, attempt.server_round_trip()),
        limits,
    );
    let (server, _) = attempt.server();
    Some(wordless(
        reset.frame,
        server,
        &distance,
        Confidence::Certain,
    ))
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let refusal = RefusedAttempt::of(connection, limits)?;
    let verdict = refusal.verdict(connection);
    let RefusedAttempt {
        event,
        reset,
        delay,
        asked,
        ref distance,
    } = refusal;
    let misfit = refusal.is_misfit();
    let server = &connection.server;
    let reason = match (verdict.culprit.role, distance.hops_nearer) {
        (Role::Path, Some(hops)) => format!(
            "; it came from {hops} hop(s) nearer than that host's other packets{}, so a device on the way answered in its name",
            if distance.faster {
                " and faster than any round trip to it"
            } else {
                ""
            },
        ),
        (Role::Path, None) => {
            "; it came faster than any round trip to that host, so a device on the way answered"
                .to_owned()
        }
        _ if misfit => {
            "; it does not acknowledge the SYN, so the client must ignore it: a device on the way answers, or a host that takes \
             the SYN for another connection"
                .to_owned()
        }
        _ if distance.same_ttl => "; hop count as in that host's other packets".to_owned(),
        _ => String::new(),
    };
    let took = delay.map_or(String::new(), |delay| format!(" after {}", span(delay)));
    Some(Finding {
        summary: format!(
            "{} refused the connection with a reset{took}{reason}",
            socket(server)
        ),
        frames: [Some(event.frame), asked.map(|syn| syn.frame)]
            .into_iter()
            .flatten()
            .chain(
                refusals(connection)
                    .map(|(other, _)| other.frame)
                    .filter(|frame| *frame != event.frame),
            )
            .collect(),
        facts: Facts::default()
            .with("round_trip_seconds", delay)
            .with(
                "host_round_trip_seconds",
                connection.host_context.server_round_trip,
            )
            .with("ttl", reset.ttl)
            .with(
                "host_ttl",
                connection
                    .host_context
                    .server_ttl
                    .and_then(|seen| seen.constant()),
            )
            .with("ip_id", reset.ip_id.map(|id| id.id))
            .with("window", reset.window)
            .with("acknowledges_syn", !misfit)
            .with("attempts", connection.tcp.handshake.syns)
            .with("vantage", connection.vantage().name())
            .with("stage", "syn"),
        ..verdict
    })
}

impl Distance {
    /// By hop count and delay of the reset, beside those of the host's other packets.
    fn of(
        (ttl, host): (u8, Option<TtlSeen>),
        (delay, known): (Option<Interval>, Option<Interval>),
        limits: &Limits,
    ) -> Distance {
        let host_ttl = host.and_then(|seen| seen.constant());
        let nearer = host_ttl.map(|host| i16::from(ttl) - i16::from(host));
        let faster = known.zip(delay).is_some_and(|(known, delay)| {
            known > Interval::from_millis(2)
                && delay.0.saturating_mul(i64::from(limits.nearer_round_trip)) < known.0
        });
        Distance {
            // 32 and more is another initial hop count, not a distance (64, 128, 255).
            hops_nearer: nearer.filter(|hops| (1..32).contains(hops)),
            faster,
            same_ttl: nearer == Some(0),
        }
    }

    fn verdict(&self) -> (Role, Confidence) {
        match (self.hops_nearer.is_some(), self.faster) {
            (true, true) => (Role::Path, Confidence::Likely),
            (true, false) | (false, true) => (Role::Path, Confidence::Possible),
            (false, false) if self.same_ttl => (Role::Server, Confidence::Certain),
            (false, false) => (Role::Server, Confidence::Likely),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, findings, only};
    use crate::{Confidence, Role};

    #[test]
    fn a_closed_port() {
        let found = only("0.00 > S 0:0(0)\n 0.05 < RA 0:0(0) ack 1 abs-seq win 0 id 0");
        assert_eq!(found.code, "tcp.refused");
        assert_eq!(
            (found.culprit.role, found.confidence),
            (Role::Server, Confidence::Likely)
        );
        assert_eq!(found.frames, [2, 1]);
    }

    #[test]
    fn a_client_that_asks_again_is_refused_again() {
        let found = only(
            "0.00 > S 0:0(0)
             0.05 < RA 0:0(0) ack 1 abs-seq win 0 id 0
             0.55 > S 0:0(0)
             0.60 < RA 0:0(0) ack 1 abs-seq win 0 id 0",
        );
        assert_eq!((found.code, found.frames), ("tcp.refused", vec![2, 1, 4]));
    }

    #[test]
    fn a_filter_nearer_by_is_told_from_the_host() {
        let found = findings(
            "0.00 #1 > S 0:0(0)
             0.05 #1 < SA 0:0(0) ack 1
             0.10 #1 > A 1:1(0) ack 1
             0.20 #2 > S 0:0(0)
             0.21 #2 < RA 0:0(0) ack 1 abs-seq win 0 id 0 ttl 61
             1.00 #1 > FA 1:1(0) ack 1
             1.05 #1 < FA 1:1(0) ack 2
             1.10 #1 > A 2:2(0) ack 2",
        );
        let found = found
            .iter()
            .find(|found| found.code == "tcp.refused")
            .unwrap();
        assert_eq!(
            (found.culprit.role, found.confidence),
            (Role::Path, Confidence::Likely)
        );
    }

    #[test]
    fn another_initial_hop_count_is_no_distance() {
        let found = findings(
            "0.00 #1 > S 0:0(0)
             0.05 #1 < SA 0:0(0) ack 1
             0.10 #1 > A 1:1(0) ack 1
             0.20 #2 > S 0:0(0)
             0.25 #2 < RA 0:0(0) ack 1 abs-seq win 0 id 0 ttl 248",
        );
        let found = found
            .iter()
            .find(|found| found.code == "tcp.refused")
            .unwrap();
        assert_eq!(
            (found.culprit.role, found.confidence),
            (Role::Server, Confidence::Likely)
        );
    }

    #[test]
    fn a_reset_the_client_must_ignore_refuses_unless_something_better_comes() {
        let wrong = "0.0 > S 0:0(0)\n 0.1 < RA 0:0(0) ack 77 abs-seq";
        let found = only(&format!("{wrong}\n 9.0 end"));
        assert_eq!(
            (found.code, found.culprit_confidence()),
            ("tcp.refused", Some(Confidence::Possible))
        );
        let opened = format!("{wrong}\n 0.11 < SA 0:0(0) ack 1\n 0.12 > A 1:1(0) ack 1");
        assert!(!codes(&opened).contains(&"tcp.refused"));
    }

    #[test]
    fn refused_first_and_accepted_later_is_no_refusal() {
        let codes = codes(
            "0.00 > S 0:0(0)
             0.05 < RA 0:0(0) ack 1 abs-seq win 0
             0.50 > S 0:0(0)
             0.55 < SA 0:0(0) ack 1
             0.60 > A 1:1(0) ack 1",
        );
        assert!(!codes.contains(&"tcp.refused"));
    }
}
