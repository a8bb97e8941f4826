//! `tcp.backend-unreachable`: a device accepts in the server's name, and cannot go on.

use wirewhy_flow::{Connection, Interval, Mark, Side};

use super::resets;
use crate::wording::{count, socket, span};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.backend-unreachable",
    group: Group::Tcp,
    title: "Accepted by a device that cannot reach the server behind it",
    severity: Severity::Error,
    means: "Something in front of the server (a SYN proxy, a load balancer, a port forwarder) completed the handshake before it asked the \
            server, and the server does not answer it. The client sees an open connection that goes nowhere: a window that never opens, or a \
            reset at once.",
    recognised: "A SYN-ACK with a window of 0 that never opens, although the client completed the handshake. Or a reset of the server's side \
                 within a second of the handshake and before it acknowledged or sent a byte, on at least three connections to one service, \
                 since one that worked last or before one that worked first; with or without the ACK flag.",
    look_alikes: "An application that refuses some clients resets them alone. A full accept queue that is set to reset (Linux: \
                  tcp_abort_on_overflow) shows by the connections that are kept without a byte. A client that resets behind the handshake is \
                  tcp.handshake-aborted, or a health check. A SYN-ACK with a window of 0 that opens a round trip later is how a SYN proxy \
                  works in health. A window that closes later: tcp.zero-window.",
    check_next: &[
        "From the device that accepts: does the server behind it answer (nc -vz SERVER PORT)? Is its pool empty, are its health checks failing?",
        "Linux: nft list ruleset | grep synproxy; docker ps and the published port; kubectl get endpoints.",
        "On the server itself: ss -ltn; does it listen on that port, and does its firewall let the device in?",
    ],
    explained_by: &[],
    reportable: Reportable::SynAckUnanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = &connection.tcp.handshake;
    let (accepted, opened) = (handshake.syn_ack?, handshake.ack?);
    let server = &connection.server;
    let closed = server.tcp.trouble()?.window.closed_since?;
    let never_open = server.tcp.max_window == 0 && closed.frame == accepted.frame;
    let waited = connection.last.time.since(opened.time);
    let given_up = server.tcp.counts.resets > 0
        || connection.client.tcp.fin.is_some()
        || connection.client.tcp.counts.resets > 0;
    let patient = connection.heard_after(opened.time) >= limits.silence;
    if !never_open || !(given_up || patient) || connection.client.counts.packets < 2 {
        return None;
    }
    let probes = connection
        .client
        .tcp
        .trouble()
        .map_or(0, |trouble| trouble.window_probes);
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Server, server.address).at_most(Confidence::Possible),
        summary: format!(
            "{} accepted with a window of 0 and never opened it in {}: a device answers in its name (SYN proxy) and cannot reach it; the \
             path to the server or the server itself is down",
            socket(server),
            span(waited),
        ),
        frames: [Some(accepted.frame), Some(opened.frame)]
            .into_iter()
            .flatten()
            .collect(),
        facts: Facts::default()
            .with("pattern", "window-never-opened")
            .with("waited_seconds", waited)
            .with("window_probes", probes)
            .with("vantage", connection.vantage().name())
            .with("stage", connection.stage().name()),
        consequence_of: None,
    })
}

/// How soon behind the handshake a reset counts as being right behind it: a local connect that is refused, or one that fails
/// after a retry or two.
const RIGHT_BEHIND: Interval = Interval::from_secs(1);

/// The server's reset right behind the handshake, before it acknowledged or sent a byte, and how long behind.
#[must_use]
pub fn reset_behind_handshake(connection: &Connection) -> Option<(Mark, Interval)> {
    let opened = connection.tcp.handshake.ack?;
    let (client, server) = (&connection.client, &connection.server);
    let (event, reset) = resets(connection, Side::Server).next()?;
    let behind = event.time.since(opened.time);
    let first = client.tcp.isn?.advance(1);
    let nothing_taken = reset.ack.is_none_or(|ack| ack == first)
        && server.tcp.acknowledged.is_none_or(|ack| ack == first);
    let client_left = client.tcp.fin.is_some_and(|fin| fin.time <= event.time)
        || resets(connection, Side::Client).any(|(other, _)| other.time <= event.time);
    // Without the ACK flag it does not say what had arrived: before any data it is about none.
    let asked = reset.ack.is_none()
        && client
            .first_payload
            .is_some_and(|asked| asked.time < event.time);
    let silent = server.counts.payload_packets == 0 && server.tcp.fin.is_none();
    let prompt = behind >= Interval::ZERO && behind <= RIGHT_BEHIND;
    (silent && prompt && nothing_taken && !client_left && !asked).then(|| (event.mark(), behind))
}

/// The finding about a connection that was reset right behind the handshake, one of `times` to that service.
#[must_use]
pub fn reset_again(
    connection: &Connection,
    (reset, behind): (Mark, Interval),
    times: u32,
) -> Finding {
    let server = &connection.server;
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Possible,
        culprit: Culprit::new(Role::Server, server.address).at_most(Confidence::Possible),
        summary: format!(
            "{} accepted and reset the connection {} behind the handshake, as it did {}, before a byte was exchanged: what accepts there \
             cannot reach the server behind it, or the application refuses every client",
            socket(server),
            span(behind),
            count(u64::from(times), "time"),
        ),
        frames: vec![reset.frame],
        facts: Facts::default()
            .with("pattern", "reset-behind-handshake")
            .with("after_seconds", behind)
            .with("connections", times)
            .with("vantage", connection.vantage().name())
            .with("stage", connection.stage().name()),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};

    const ACCEPTED: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1 win 0
         0.03 > A 1:1(0) ack 1";

    #[test]
    fn a_window_that_never_opens() {
        let diagnosis = diagnosis(&format!(
            "{ACCEPTED}
             0.25 > A 0:0(0) ack 1
             0.70 > A 0:0(0) ack 1
             1.60 > A 0:0(0) ack 1
             3.40 > A 0:0(0) ack 1
             9.00 end"
        ));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(root.code, "tcp.backend-unreachable");
        assert_eq!(
            diagnosis
                .connection
                .client
                .tcp
                .trouble()
                .unwrap()
                .window_probes,
            4
        );
    }

    #[test]
    fn a_window_that_opens_a_round_trip_later_is_a_proxy_at_work() {
        let codes = codes(&format!(
            "{ACCEPTED}
             0.05 < A 1:1(0) ack 1 win 64240
             0.06 > PA 1:11(10) ack 1
             0.08 < PA 1:11(10) ack 11
             0.09 > FA 11:11(0) ack 11
             0.11 < FA 11:11(0) ack 12
             0.12 > A 12:12(0) ack 12"
        ));
        assert!(codes.is_empty(), "{codes:?}");
    }

    #[test]
    fn a_recording_that_ends_at_once_shows_nothing() {
        assert!(codes(&format!("{ACCEPTED}\n 0.50 end")).is_empty());
    }
}
