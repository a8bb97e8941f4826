//! `tcp.sack-mangled`: selective acknowledgements name bytes that were never sent.

use wirewhy_flow::{Connection, MangledSack, Side};

use crate::wording::{count, socket};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.sack-mangled",
    group: Group::Tcp,
    title: "A device shifts sequence numbers and leaves SACK as it is",
    severity: Severity::Warning,
    means: "A firewall rewrites sequence numbers (to make them harder to guess, or because it changed the length of what was sent) and does \
            not rewrite the selective acknowledgements that name them. The sender cannot use them: each loss costs a timeout in place of a \
            quick repetition.",
    recognised: "SACK blocks (RFC 2018) that lie outside everything the other side sent, and about equally far off each time.",
    look_alikes: "A block below the acknowledgement number reports a duplicate (D-SACK, RFC 2883) and is in order. Where the recording missed \
                  packets, blocks may name what it did not see; then only what is far away counts.",
    check_next: &[
        "Switch the randomization of sequence numbers off on the firewall (Cisco ASA: set connection random-sequence-number disable).",
        "Compare sequence numbers and SACK blocks of one connection on both sides of the device.",
        "As a cure, let the device remove the SACK-permitted option, or net.ipv4.tcp_sack=0 at one end.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TELLTALE, detect),
};

/// How far blocks of one connection may lie apart and still be off by one number: what is in flight.
const SPREAD: i64 = 1 << 24;

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    [Side::Client, Side::Server].into_iter().find_map(|from| {
        let sack = &connection.side(from).tcp.delivery.signs.as_deref()?.sack;
        let (least, most) = sack.ahead?;
        let alike = i64::from(most) - i64::from(least) <= SPREAD;
        let nearly_all = sack.right.saturating_mul(10) <= sack.acks;
        let again = sack.acks >= limits.mangled_sacks;
        (again && nearly_all && alike).then(|| finding(connection, from, sack, (least, most)))
    })
}

fn finding(
    connection: &Connection,
    from: Side,
    sack: &MangledSack,
    (least, most): (i32, i32),
) -> Finding {
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Path, None),
        summary: format!(
            "{} of {} named bytes that {} never sent, {least} to {most} beyond the acknowledgement: a device shifts sequence numbers \
             and leaves the option as it is",
            count(u64::from(sack.acks), "SACK block"),
            socket(peer),
            socket(own),
        ),
        frames: sack.frames.clone(),
        facts: Facts::default()
            .with("sender", from.name())
            .with("blocks", sack.acks)
            .with("right_blocks", sack.right)
            .with("least_offset_bytes", crate::Value::Signed(least.into()))
            .with("most_offset_bytes", crate::Value::Signed(most.into()))
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::codes;

    /// A download of which one segment in five is lost and sent again; `shift` is added to the edges of every SACK block.
    fn download(shift: u32, d_sack: bool) -> String {
        let mut lines = "0.000 > S 0:0(0) <mss 1000,sackOK>
             0.030 < SA 0:0(0) ack 1 <mss 1000,sackOK>
             0.031 > A 1:1(0) ack 1
             0.032 > PA 1:11(10) ack 1\n"
            .to_owned();
        let mut at = 0.1;
        for round in 0..4 {
            let base = 1 + round * 2_000;
            let block = if d_sack {
                format!("{base}:{}", base + 1_000)
            } else {
                format!("{}:{}", base + 1_000 + shift, base + 2_000 + shift)
            };
            lines += &format!("{at:.3} < A {base}:{}(1000) ack 11\n", base + 1_000);
            lines += &format!(
                "{:.3} < A {}:{}(1000) ack 11\n",
                at + 0.001,
                base + 1_000,
                base + 2_000
            );
            if d_sack {
                lines += &format!("{:.3} > A 11:11(0) ack {}\n", at + 0.03, base + 2_000);
                lines += &format!(
                    "{:.3} > A 11:11(0) ack {} <sack {block}>\n",
                    at + 0.04,
                    base + 2_000
                );
            } else {
                lines += &format!("{:.3} > A 11:11(0) ack {base} <sack {block}>\n", at + 0.03);
                lines += &format!("{:.3} < A {base}:{}(1000) ack 11\n", at + 0.3, base + 1_000);
                lines += &format!("{:.3} > A 11:11(0) ack {}\n", at + 0.33, base + 2_000);
            }
            at += 0.5;
        }
        lines
    }

    #[test]
    fn blocks_off_by_a_constant() {
        assert!(codes(&download(700_000_000, false)).contains(&"tcp.sack-mangled"));
    }

    #[test]
    fn blocks_of_what_arrived_are_right() {
        assert!(!codes(&download(0, false)).contains(&"tcp.sack-mangled"));
    }

    #[test]
    fn a_duplicate_reported_below_the_acknowledgement_is_right() {
        assert!(!codes(&download(0, true)).contains(&"tcp.sack-mangled"));
    }
}
