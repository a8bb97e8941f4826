//! `tcp.packet-loss`: segments are lost and sent again.

use wirewhy_flow::{Connection, Side, Trouble};

use super::{path_mtu, peer_vanished};
use crate::wording::{socket, span};
use crate::{
    Cause, Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.packet-loss",
    group: Group::Tcp,
    title: "Packets are lost on the way",
    severity: Severity::Warning,
    means: "Segments had to be sent again because they did not arrive. Transfers slow down; each timeout stalls them for 200 ms or more.",
    recognised: "Retransmissions after duplicate ACKs, SACK or a timeout, or holes filled later than reordering explains, above 1 % of a \
                 direction's data segments and at least 3. Copies made by the recording, probes, and repetitions of what had arrived are \
                 not counted.",
    look_alikes: "Frames recorded twice: capture.duplicate-packets. Segments that overtake each other: tcp.reordering. Only large ones are \
                  lost: tcp.mtu-blackhole. Nothing comes back any more: tcp.peer-vanished.",
    check_next: &[
        "mtr -T -P PORT HOST from both ends shows where it begins; loss that shows at one hop only is that router's manners.",
        "Look at interface errors and drops on both hosts and the switches between (ip -s link, ethtool -S).",
        "Bursts at high rates point to a policer or a full queue, steady loss at any rate to a bad link.",
    ],
    explained_by: &[
        Cause::Always("tcp.fragmentation-needed"),
        Cause::IfAsSevere("tcp.mtu-blackhole"),
        Cause::IfAsSevere("tcp.checksum-drop"),
        Cause::IfAsSevere("tcp.peer-vanished"),
        Cause::IfAsSevere("tcp.one-way-path"),
        Cause::IfAsSevere("tcp.window-scale-mismatch"),
        Cause::IfAsSevere("tcp.sack-mangled"),
        Cause::IfAsSevere("tcp.accept-queue-full"),
        Cause::IfAsSevere("rst.idle-expired"),
    ],
    reportable: Reportable::SteadyRate,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let mut lossy = [Side::Client, Side::Server].into_iter().filter_map(|from| {
        let trouble = connection.side(from).tcp.trouble()?;
        let explained = path_mtu::black_hole(connection, from, limits).is_some()
            || peer_vanished::unanswered(connection, from, limits).is_some();
        let sent = connection.side(from).counts.payload_packets.max(1);
        let share = f64::from(trouble.losses()) / sent as f64;
        let enough = trouble.losses() >= limits.lost_segments && share > limits.loss_share;
        (enough && !explained).then_some((from, trouble, sent, share))
    });
    let worst = lossy.next()?;
    let other = lossy.next();
    let worst = other
        .filter(|other| other.1.losses() > worst.1.losses())
        .unwrap_or(worst);
    Some(finding(connection, worst, other.is_some()))
}

fn finding(
    connection: &Connection,
    (from, trouble, sent, share): (Side, &Trouble, u64, f64),
    both: bool,
) -> Finding {
    let own = connection.side(from);
    let peer = connection.side(from.other());
    let kinds = [
        (trouble.fast, "after duplicate ACKs"),
        (trouble.timeout, "after a timeout"),
        (
            trouble
                .tail_probes
                .saturating_sub(trouble.reported_duplicates),
            "found by a tail-loss probe",
        ),
        (trouble.lost_before, "lost before the capture point"),
    ];
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("{count} {how}"))
        .collect();
    let stalled = if trouble.stalled.0 > 0 {
        format!(
            "; {} spent waiting for timeouts, the longest {}",
            span(trouble.stalled),
            span(trouble.longest_stall)
        )
    } else {
        String::new()
    };
    Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!(
            "{} of {sent} data segments from {} to {} were lost ({:.1} %: {}){stalled}{}",
            trouble.losses(),
            socket(own),
            socket(peer),
            share * 100.0,
            kinds.join(", "),
            if both {
                "; the other direction loses packets too"
            } else {
                ""
            },
        ),
        frames: trouble.frames.clone(),
        facts: Facts::default()
            .with(
                "direction",
                if from == Side::Client {
                    "client-to-server"
                } else {
                    "server-to-client"
                },
            )
            .with("lost", trouble.losses())
            .with("data_segments", sent)
            .with("lost_share", crate::Value::Share(share))
            .with("fast", trouble.fast)
            .with("timeout", trouble.timeout)
            .with("lost_before_capture", trouble.lost_before)
            .with("tail_probes", trouble.tail_probes)
            .with("spurious", trouble.spurious)
            .with("reported_duplicates", trouble.reported_duplicates)
            .with("stalled_seconds", trouble.stalled)
            .with("longest_stall_seconds", trouble.longest_stall)
            .with("both_directions", both)
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{codes, diagnosis};

    /// Sixty segments one after another; those in `lost` are sent again after a timeout.
    fn download(lost: &[u32]) -> String {
        let mut lines = "0.000 > S 0:0(0) <mss 1000,sackOK>
             0.020 < SA 0:0(0) ack 1 <mss 1000,sackOK>
             0.021 > A 1:1(0) ack 1
             0.022 > PA 1:11(10) ack 1\n"
            .to_owned();
        let mut at = 0.05;
        for n in 0..60u32 {
            let (seq, end) = (1 + n * 1000, 1001 + n * 1000);
            lines += &format!("{at:.3} < A {seq}:{end}(1000) ack 11\n");
            if lost.contains(&n) {
                at += 0.25;
                lines += &format!("{at:.3} < A {seq}:{end}(1000) ack 11\n");
            }
            at += 0.02;
            lines += &format!("{at:.3} > A 11:11(0) ack {end}\n");
        }
        lines
            + "9.000 < FA 60001:60001(0) ack 11\n 9.020 > FA 11:11(0) ack 60002\n 9.040 < A 60002:60002(0) ack 12"
    }

    #[test]
    fn three_timeouts_of_sixty_segments() {
        let diagnosis = diagnosis(&download(&[10, 20, 30]));
        assert_eq!(diagnosis.root_cause().unwrap().code, "tcp.packet-loss");
    }

    #[test]
    fn two_of_sixty_prove_no_rate() {
        assert!(codes(&download(&[10, 20])).is_empty());
    }

    #[test]
    fn frames_recorded_twice_are_no_loss() {
        let time = |line: &str| {
            line.trim()
                .split(' ')
                .next()
                .unwrap()
                .parse::<f64>()
                .unwrap()
        };
        let doubled: String = download(&[])
            .lines()
            .map(|line| format!("{line}\n{:.4} dup ttl-1\n", time(line) + 0.0001))
            .collect();
        assert!(codes(&doubled).is_empty());
    }

    #[test]
    fn a_clean_download_is_silent() {
        assert!(codes(&download(&[])).is_empty());
    }
}
