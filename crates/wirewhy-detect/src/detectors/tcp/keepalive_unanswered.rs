//! `tcp.keepalive-unanswered`: an idle connection turns out to be dead.

use wirewhy_flow::{Connection, Side};

use super::blame_for_silence;
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
    Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.keepalive-unanswered",
    group: Group::Tcp,
    title: "Probes get no answer",
    severity: Severity::Error,
    means: "A connection that was idle, or whose window was closed, was probed, and no answer came: the other host, or the state of a \
            device between, is gone. The application learns of it only when the probes run out.",
    recognised: "At least 3 probes in a row (a byte or none, just below the next sequence number, on an idle connection or one whose window \
                 is closed) and no packet of the other side after the first.",
    look_alikes: "Probes of a closed window that are answered, with the window still closed: tcp.zero-window. Data that goes unanswered: \
                  tcp.peer-vanished.",
    check_next: &[
        "Compare the idle time before the first probe with the timers of firewalls, NATs and balancers on the path.",
        "Was the other host restarted or its address taken away?",
    ],
    explained_by: &[
        Cause::IfAsSevere("ftp.control-lost"),
        Cause::IfAsSevere("tcp.unreachable"),
        Cause::IfAsSevere("tcp.backend-unreachable"),
    ],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let (from, run, kind) = [Side::Client, Side::Server].into_iter().find_map(|from| {
        let trouble = connection.side(from).tcp.trouble()?;
        [
            (trouble.unanswered_keep_alives, KEEP_ALIVE),
            (trouble.unanswered_window_probes, WINDOW),
        ]
        .into_iter()
        .find(|(run, _)| run.count >= limits.unanswered_keep_alives)
        .map(|(run, kind)| (from, run, kind))
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
            probes(run.count, kind),
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
            .with("window_closed", kind != KEEP_ALIVE)
            .with("idle_before_seconds", idle)
            .with("span_seconds", last.time.since(first.time))
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    })
}

const KEEP_ALIVE: &str = "keep-alive probe";
const WINDOW: &str = "probe of a closed window";

fn probes(many: u32, kind: &str) -> String {
    let (noun, rest) = kind.split_once(" of ").unwrap_or((kind, ""));
    let of = if rest.is_empty() { "" } else { " of " };
    format!("{}{of}{rest}", count(u64::from(many), noun))
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};

    const OPEN: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > A 11:11(0) ack 11";

    #[test]
    fn three_probes_into_the_void() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}\n 60.0 > A 10:10(0) ack 11\n 61.0 > A 10:10(0) ack 11\n 62.0 > A 10:10(0) ack 11\n 70.0 end"
        ));
        assert_eq!(
            diagnosis.root_cause().unwrap().code,
            "tcp.keepalive-unanswered"
        );
    }

    const CLOSED: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > A 1:1001(1000) ack 1
         0.06 < A 1:1(0) ack 1001 win 0";

    #[test]
    fn a_receiver_that_vanishes_with_its_window_closed() {
        let diagnosis = diagnosis(&format!(
            "{CLOSED}
             0.30 > A 1000:1000(0) ack 1
             0.32 < A 1:1(0) ack 1001 win 0
             0.80 > A 1000:1000(0) ack 1
             1.80 > A 1000:1000(0) ack 1
             3.80 > A 1000:1000(0) ack 1
             7.80 > A 1000:1000(0) ack 1
             20.0 > RA 1001:1001(0) ack 1"
        ));
        assert_eq!(
            diagnosis.root_cause().unwrap().code,
            "tcp.keepalive-unanswered"
        );
    }

    #[test]
    fn a_window_that_stays_closed_with_every_probe_answered() {
        let mut lines = CLOSED.to_owned();
        for (sent, answered) in [(0.3, 0.32), (0.8, 0.82), (1.8, 1.82), (3.8, 3.82)] {
            lines +=
                &format!("\n {sent} > A 1000:1000(0) ack 1\n {answered} < A 1:1(0) ack 1001 win 0");
        }
        assert_eq!(codes(&(lines + "\n 20.0 end")), ["tcp.zero-window"]);
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
