//! `tcp.slow-path`: round trips take long, and nothing is lost.

use wirewhy_flow::{Connection, Endpoint, Interval};

use crate::wording::{socket, span};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.slow-path",
    group: Group::Tcp,
    title: "The path is slow: long round trips without loss",
    severity: Severity::Note,
    means: "Every question takes half a second or more to get across and back, and nothing is lost on the way. Applications that ask often \
            feel slow, although both hosts answer at once: the time goes into distance (a satellite) or a full queue.",
    recognised: "The handshake and the acknowledgement of data both take more than 0.5 s, and no segment was sent twice.",
    look_alikes: "An acknowledgement in time and an answer long after it is the application: tcp.slow-response. Only the SYN-ACK late: \
                  tcp.slow-handshake. Retransmissions: tcp.packet-loss.",
    check_next: &[
        "mtr from the client shows at which hop the time is added.",
        "Is it so at rest, too (distance), or only under load (a queue: compare ping with and without a transfer)?",
        "On a mobile or satellite link: fewer, larger requests, connections kept open.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::SLOW_OPENING, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let handshake = &connection.tcp.handshake;
    let opening = connection.round_trip().handshake?;
    if handshake.syns != 1 || handshake.syn_acks != 1 || opening <= limits.slow_path {
        return None;
    }
    let (client, server) = (&connection.client, &connection.server);
    let again = |side: &Endpoint| side.tcp.counts.retransmissions > 0;
    if again(client) || again(server) {
        return None;
    }
    let data = by_data(connection)?;
    let least = data.min(opening);
    (data > limits.slow_path).then(|| Finding {
        code: RECORD.code,
        severity: Severity::Note,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Path, None).at_most(Confidence::Likely),
        summary: format!(
            "a round trip between {} and {} takes {} or more, with nothing lost: the path is slow",
            client.address,
            socket(server),
            span(least),
        ),
        frames: [
            handshake.syn_ack,
            client.first_payload,
            server.first_payload,
        ]
        .into_iter()
        .flatten()
        .map(|mark| mark.frame)
        .collect(),
        facts: Facts::default()
            .with("handshake_seconds", opening)
            .with("data_round_trip_seconds", data)
            .with("threshold_seconds", limits.slow_path)
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    })
}

/// The shortest round trip of data over the whole path: from the capture point to each side and back. The part to a side to
/// which no data was sent is taken from the handshake.
fn by_data(connection: &Connection) -> Option<Interval> {
    let [to_server, to_client] =
        [&connection.client, &connection.server].map(|side| side.tcp.shortest_round_trip());
    to_server.or(to_client)?;
    let handshake = connection.round_trip();
    Some(to_server.or(handshake.to_server)? + to_client.or(handshake.to_client)?)
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};
    use crate::{Outcome, Severity};

    /// A request, acknowledged after `acknowledged`, answered 16 ms later.
    fn request(opened: f64, acknowledged: f64) -> String {
        let answered = opened + acknowledged + 0.016;
        format!(
            "0.000 > S 0:0(0)
             {opened:.3} < SA 0:0(0) ack 1
             {:.3} > A 1:1(0) ack 1
             {:.3} > PA 1:36(35) ack 1
             {:.3} < A 1:1(0) ack 36
             {answered:.3} < PA 1:941(940) ack 36
             {:.3} > A 36:36(0) ack 941
             {:.3} > FA 36:36(0) ack 941
             {:.3} < FA 941:941(0) ack 37
             {:.3} > A 37:37(0) ack 942",
            opened + 0.001,
            opened + 0.001,
            opened + acknowledged,
            answered + 0.001,
            answered + 0.1,
            answered + 0.1 + opened,
            answered + 0.101 + opened,
        )
    }

    #[test]
    fn every_round_trip_takes_most_of_a_second() {
        let diagnosis = diagnosis(&request(0.88, 1.16));
        let root = diagnosis.root_cause().unwrap();
        assert_eq!(
            (root.code, root.severity),
            ("tcp.slow-path", Severity::Note)
        );
        assert_eq!(diagnosis.outcome(), Outcome::Ok);
    }

    #[test]
    fn a_handshake_alone_proves_no_slow_path() {
        assert!(codes(&request(0.88, 0.03)).is_empty());
    }

    #[test]
    fn a_usual_path_is_silent() {
        assert!(codes(&request(0.03, 0.03)).is_empty());
    }

    #[test]
    fn a_segment_sent_twice_is_loss_and_no_slow_path() {
        let twice = request(0.88, 1.16).replacen(
            "< A 1:1(0) ack 36",
            "> PA 1:36(35) ack 1\n 2.100 < A 1:1(0) ack 36",
            1,
        );
        assert!(!codes(&twice).contains(&"tcp.slow-path"));
    }
}
