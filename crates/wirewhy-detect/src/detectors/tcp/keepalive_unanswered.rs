//! `tcp.keepalive-unanswered`: an idle connection turns out to be dead.

use wirewhy_flow::{Connection, Side};

use super::blame_for_silence;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.keepalive-unanswered",
    group: Group::Tcp,
    title: "Keep-alive probes get no answer",
    severity: Severity::Error,
    means: "An idle connection was probed, and nobody answered: the other host, or the state of a device between, is gone. The application \
            learns of it only when the probes run out.",
    recognised: "At least 3 keep-alive probes in a row (a byte or none, just below the next sequence number, on an idle connection) and no \
                 packet of the other side after the first.",
    look_alikes: "Probes of a closed window look alike but follow an advertised window of 0: tcp.zero-window. Data that goes unanswered: \
                  tcp.peer-vanished.",
    check_next: &[
        "Compare the idle time before the first probe with the timers of firewalls, NATs and balancers on the path.",
        "Was the other host restarted or its address taken away?",
    ],
    explained_by: &[Cause::IfAsSevere("tcp.unreachable")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let (from, run) = [Side::Client, Side::Server].into_iter().find_map(|from| {
        let run = connection.side(from).tcp.trouble()?.unanswered_keep_alives;
        (run.count >= limits.unanswered_keep_alives).then_some((from, run))
    })?;
    let (first, last) = (run.first?, run.last?);
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let culprit = blame_for_silence(connection, from.other());
    let idle = peer.last.map(|heard| first.time.since(heard.time));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit,
        summary: format!(
            "{} of {} over {} got no answer from {}{}",
            count(u64::from(run.count), "keep-alive probe"),
            socket(own),
            span(last.time.since(first.time)),
            socket(peer),
            idle.map_or(String::new(), |idle| format!(
                ", after {} of silence",
                span(idle)
            )),
        ),
        frames: [
            Some(last.frame),
            Some(first.frame),
            peer.last.map(|heard| heard.frame),
        ]
        .into_iter()
        .flatten()
        .collect(),
        facts: Facts::default()
            .with("silent_side", from.other().name())
            .with("probes", run.count)
            .with("idle_before_seconds", idle)
            .with("span_seconds", last.time.since(first.time))
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, judged};

    const OPEN: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > A 11:11(0) ack 11";

    #[test]
    fn three_probes_into_the_void() {
        let judged = judged(&format!(
            "{OPEN}\n 60.0 > A 10:10(0) ack 11\n 61.0 > A 10:10(0) ack 11\n 62.0 > A 10:10(0) ack 11\n 70.0 end"
        ));
        assert_eq!(
            judged.root_cause().unwrap().code,
            "tcp.keepalive-unanswered"
        );
    }

    #[test]
    fn answered_probes_keep_it_alive() {
        let mut lines = OPEN.to_owned();
        for n in 1..6 {
            lines += &format!(
                "\n {}.0 > A 10:10(0) ack 11\n {}.02 < A 11:11(0) ack 11",
                n * 60,
                n * 60
            );
        }
        lines += "\n 310.0 > FA 11:11(0) ack 11\n 310.1 < FA 11:11(0) ack 12\n 310.2 > A 12:12(0) ack 12";
        assert!(codes(&lines).is_empty());
    }
}
