//! `tcp.reordering`: segments overtake each other.

use wirewhy_flow::{Connection, Side};

use crate::wording::{socket, span};
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
    Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.reordering",
    group: Group::Tcp,
    title: "Packets overtake each other on the way",
    severity: Severity::Warning,
    means: "Segments arrive in another order than they were sent. Nothing is lost, but the sender takes it for loss, sends again what \
            arrived and slows down.",
    recognised: "Segments that fill a hole and were sent before the ones that overtook them: by the sender's IP identification, by its \
                 timestamp, or, without either, within a few milliseconds; above 1 % of a direction's data segments and at least 3.",
    look_alikes: "A segment that fills a hole and was sent later is a retransmission: tcp.packet-loss. A capture that writes several \
                  queues out of order shows the same; then the times run backwards as well.",
    check_next: &[
        "Look for parallel links that share packets instead of flows (bonding in balance-rr, ECMP per packet).",
        "Check whether the capture itself did it: capture.time-backwards beside this.",
    ],
    explained_by: &[],
    reportable: Reportable::SteadyRate,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TROUBLE, detect),
};

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    let from = [Side::Client, Side::Server]
        .into_iter()
        .max_by_key(|from| {
            connection
                .side(*from)
                .tcp
                .trouble()
                .map_or(0, |trouble| trouble.reordered)
        })?;
    let own = connection.side(from);
    let trouble = own.tcp.trouble()?;
    let sent = own.counts.payload_packets.max(1);
    let share = f64::from(trouble.reordered) / sent as f64;
    if trouble.reordered < limits.reordered_segments || share <= limits.reordering_share {
        return None;
    }
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!(
            "{} of {sent} data segments from {} were overtaken ({:.1} %), by up to {}",
            trouble.reordered,
            socket(own),
            share * 100.0,
            span(trouble.longest_reordering),
        ),
        frames: trouble.reordered_frames.clone(),
        facts: Facts::default()
            .with(
                "direction",
                if from == Side::Client {
                    "client-to-server"
                } else {
                    "server-to-client"
                },
            )
            .with("reordered", trouble.reordered)
            .with("data_segments", sent)
            .with("reordered_share", crate::Value::Share(share))
            .with("longest_seconds", trouble.longest_reordering)
            .with("spurious_retransmissions", trouble.spurious)
            .with("reported_duplicates", trouble.reported_duplicates),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::codes;

    /// Forty segments of which the third of every ten arrives behind its follower, sent again later or merely overtaken.
    fn stream(ids_rise: bool) -> String {
        let mut lines =
            "0.000 > S 0:0(0)\n 0.040 < SA 0:0(0) ack 1\n 0.041 > A 1:1(0) ack 1\n".to_owned();
        let mut order: Vec<u32> = (0..40).collect();
        for swap in [2usize, 12, 22, 32] {
            order.swap(swap, swap + 1);
        }
        for (place, n) in order.iter().enumerate() {
            let (at, seq) = (0.1 + place as f64 * 0.001, 1 + n * 100);
            let id = if ids_rise {
                100 + n
            } else {
                100 + u32::try_from(place).unwrap()
            };
            lines += &format!("{at:.4} < A {seq}:{}(100) ack 1 id {id}\n", seq + 100);
        }
        lines
            + "0.300 > A 1:1(0) ack 4001\n 0.4 < FA 4001:4001(0) ack 1\n 0.5 > FA 1:1(0) ack 4002\n 0.6 < A 4002:4002(0) ack 2"
    }

    #[test]
    fn overtaken_by_the_order_of_identifications() {
        assert_eq!(codes(&stream(true)), ["tcp.reordering"]);
    }

    #[test]
    fn sent_later_is_loss() {
        assert_eq!(codes(&stream(false)), ["tcp.packet-loss"]);
    }
}
