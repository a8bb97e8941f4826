//! `tcp.peer-vanished`: from one moment on nothing comes back.

use wirewhy_flow::{Connection, Endpoint, Interval, Mark, Run, Side};

use super::{blame_for_silence, path_mtu, resets};
use crate::wording::{count, socket, span};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Rule, Severity,
    Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.peer-vanished",
    group: Group::Tcp,
    title: "The other side vanished in the middle of the connection",
    severity: Severity::Error,
    means: "The connection worked, then one side's data went unanswered: it is sent again and again, and nothing comes back, not even \
            an empty ACK. A cable, a route, a firewall's state, or the host itself is gone.",
    recognised: "Data that was sent again and never acknowledged, and no packet of the other side after it, for 3 s of the recording; or \
                 at least 3 retransmissions in a row over a second or more.",
    look_alikes: "Where the other side is heard while only large packets fail: tcp.mtu-blackhole. Where it acknowledges but its \
                  application is silent: tcp.no-response. A capture that lost one direction shows the same: look for \
                  capture.one-direction.",
    check_next: &[
        "Is the other host up, and was it, or a firewall on the path, restarted at that time?",
        "After an idle time: a NAT or firewall may have forgotten the connection; compare the idle time with its timers.",
        "Did other connections over the same path stop at the same moment?",
    ],
    explained_by: &[
        Cause::IfAsSevere("ftp.control-lost"),
        Cause::IfAsSevere("tcp.unreachable"),
        Cause::IfAsSevere("tls.client-hello-dropped"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.one-way-path"),
        Cause::IfAsSevere("tcp.accept-queue-full"),
        Cause::IfAsSevere("tcp.mtu-blackhole"),
        Cause::IfAsSevere("tcp.keepalive-unanswered"),
    ],
    reportable: Reportable::Unanswered,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

/// The retransmissions of `from` that nothing answered, if they are enough.
pub(super) fn unanswered(connection: &Connection, from: Side, limits: &Limits) -> Option<Run> {
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let run = own.tcp.trouble()?.unanswered;
    let (first, last) = (run.first?, run.last?);
    let insists = run.count >= limits.unanswered_retransmissions
        && last.time.since(first.time) >= limits.unanswered_span;
    // Of a FIN that is lost behind everything else nothing hangs: it must be repeated often.
    let outstanding = own.tcp.unacknowledged_by(&peer.tcp) > u32::from(own.tcp.fin.is_some());
    // A recording of one direction shows no acknowledgement of anything.
    let waits =
        outstanding && peer.was_seen() && connection.heard_after(first.time) >= limits.silence;
    (insists || waits).then_some(run)
}

/// The first side whose retransmissions nothing answered, and those.
fn abandoned(connection: &Connection, limits: &Limits) -> Option<(Side, Run)> {
    [Side::Client, Side::Server]
        .into_iter()
        .find_map(|from| Some((from, unanswered(connection, from, limits)?)))
}

/// How long the connection had been idle before the first segment that nothing answered.
pub(crate) fn idle(connection: &Connection, limits: &Limits) -> Option<Interval> {
    let (from, run) = abandoned(connection, limits)?;
    idle_between(connection.side(from.other()), run.first?)
}

fn idle_between(peer: &Endpoint, first: Mark) -> Option<Interval> {
    peer.last.map(|heard| first.time.since(heard.time))
}

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let (from, run) = abandoned(connection, limits)?;
    if path_mtu::black_hole(connection, from, limits).is_some() || !connection.is_open() {
        return None;
    }
    let (first, last) = (run.first?, run.last?);
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let outstanding = own.tcp.unacknowledged_by(&peer.tcp);
    let only_fin = own.tcp.fin.is_some() && outstanding <= 1;
    let culprit = blame_for_silence(connection, from.other());
    let silent = peer.last.map(|heard| connection.heard_after(heard.time));
    let idle = idle_between(peer, first);
    let reset = resets(connection, from).next().map(|(event, _)| event.time);
    let waited = reset.map_or(connection.heard_after(first.time), |reset| {
        reset.since(first.time)
    });
    Some(Finding {
        code: RECORD.code,
        severity: if only_fin {
            Severity::Warning
        } else {
            Severity::Error
        },
        confidence: Confidence::Likely,
        culprit,
        summary: format!(
            "{} fell silent: {} of {} in {} went unanswered{}{}",
            socket(peer),
            count(u64::from(run.count), "retransmission"),
            socket(own),
            span(waited),
            if only_fin {
                "; only the end of the connection is left unconfirmed"
            } else {
                ""
            },
            if culprit.address.is_some() {
                "; they reached its side, so it is the host that keeps silent"
            } else {
                "; the path or the host is gone, which look the same from here"
            },
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
            .with("retransmissions", run.count)
            .with("span_seconds", last.time.since(first.time))
            .with("silent_seconds", silent)
            .with("idle_before_seconds", idle)
            .with("outstanding_bytes", outstanding)
            .with("vantage", connection.vantage().name())
            .with("stage", connection.stage().name()),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::Role;
    use crate::testing::{codes, only};

    const OPEN: &str = "0.00 > S 0:0(0)
         0.02 < SA 0:0(0) ack 1
         0.03 > A 1:1(0) ack 1
         0.04 > PA 1:11(10) ack 1
         0.06 < PA 1:11(10) ack 11
         0.07 > A 11:11(0) ack 11";

    #[test]
    fn a_request_into_the_void() {
        let found = only(&format!(
            "{OPEN}
             5.00 > PA 11:21(10) ack 11
             5.22 > PA 11:21(10) ack 11
             5.66 > PA 11:21(10) ack 11
             6.50 > PA 11:21(10) ack 11
             8.20 > PA 11:21(10) ack 11
             20.0 end"
        ));
        assert_eq!(
            (found.code, found.culprit.role),
            ("tcp.peer-vanished", Role::Unknown)
        );
    }

    #[test]
    fn one_repeat_is_enough_where_the_capture_runs_on() {
        let lost = format!("{OPEN}\n 5.00 > PA 11:21(10) ack 11\n 8.00 > PA 11:21(10) ack 11");
        assert_eq!(
            only(&format!("{lost}\n 20.0 end")).code,
            "tcp.peer-vanished"
        );
        assert!(codes(&format!("{lost}\n 9.0 end")).is_empty());
    }

    #[test]
    fn data_that_is_not_sent_again_was_acknowledged_out_of_sight() {
        let codes = codes(&format!("{OPEN}\n 5.00 > PA 11:21(10) ack 11\n 60.0 end"));
        assert!(!codes.contains(&"tcp.peer-vanished"));
    }

    #[test]
    fn a_fin_that_is_repeated_once_harms_little() {
        let codes = codes(&format!(
            "{OPEN}\n 5.00 > FA 11:11(0) ack 11\n 5.30 > FA 11:11(0) ack 11\n 60.0 end"
        ));
        assert!(!codes.contains(&"tcp.peer-vanished"));
    }

    #[test]
    fn an_answer_in_the_end_is_loss_and_no_disappearance() {
        let codes = codes(&format!(
            "{OPEN}
             5.00 > PA 11:21(10) ack 11
             5.22 > PA 11:21(10) ack 11
             5.66 > PA 11:21(10) ack 11
             6.50 > PA 11:21(10) ack 11
             6.52 < PA 11:21(10) ack 21
             6.60 > FA 21:21(0) ack 21
             6.62 < FA 21:21(0) ack 22
             6.64 > A 22:22(0) ack 22"
        ));
        assert_eq!(codes, ["tcp.packet-loss"]);
    }
}
