//! `tcp.port-collision`: two clients use the same address and port at one time.

use wirewhy_flow::{Collision, Connection};

use crate::wording::{socket, span};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.port-collision",
    group: Group::Tcp,
    title: "Two clients have the same address and port",
    severity: Severity::Error,
    means: "A SYN came into a connection that was open between the same addresses and ports, and it was sent by another host. A NAT gave one \
            port to two clients: it ran out of them, it has no memory of the first, or two of them share an address. The server answers the \
            second with the numbers of the first, the second client resets it, and both lose.",
    recognised: "A SYN with a new number inside an open connection of the same four-tuple, with another hop count or another timestamp clock \
                 than the packets before it, or with packets of the first client behind it.",
    look_alikes: "One client that restarts and uses its port again: hop count and clock are the same, tcp.stale-connection. After a close \
                  ports are used again, and nothing is wrong.",
    check_next: &[
        "On the NAT: how long does it remember an established connection (Linux: nf_conntrack_tcp_timeout_established), and do its ports run out?",
        "Are there two NATs with one outside address, or a pair that does not share its state?",
        "nft: masquerade fully-random spreads the ports; more outside addresses give more of them.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::COLLISION, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let collision = connection.collision.as_deref()?;
    let signs = signs(collision);
    let confidence = match signs {
        Evidence {
            continues: true, ..
        }
        | Evidence { hops: true, .. } => Confidence::Likely,
        Evidence { clock: true, .. } => Confidence::Possible,
        _ => return None,
    };
    let opened = connection.tcp.handshake.syn_ack.is_some();
    let recovered = collision.is_later && opened;
    let (client, server) = (&connection.client, &connection.server);
    let (seen, own) = collision.ttl;
    let mut evidence = Vec::new();
    if signs.hops {
        evidence.push(format!("its hop count is {own} and was {}", seen.max));
    }
    if signs.clock {
        evidence.push("its timestamps are of another clock".to_owned());
    }
    if let Some(mark) = collision.continues {
        evidence.push(format!("the first client goes on in frame {}", mark.frame));
    }
    let end = match (collision.is_later, recovered) {
        (true, true) => "; it opened in the end",
        (true, false) => "; it never opened",
        (false, _) => "; this connection lost its port to it",
    };
    Some(Finding {
        code: RECORD.code,
        severity: if recovered {
            Severity::Warning
        } else {
            Severity::Error
        },
        confidence,
        culprit: Culprit::new(Role::Path, None).at_most(Confidence::Likely),
        summary: format!(
            "a SYN from {} to {} came into an open connection of the same ports, {} after its last packet, from another host: {}{end}",
            socket(client),
            socket(server),
            span(collision.idle),
            evidence.join(", "),
        ),
        frames: [Some(collision.syn), collision.continues]
            .into_iter()
            .flatten()
            .map(|mark| mark.frame)
            .collect(),
        facts: Facts::default()
            .with("other_stream", collision.stream)
            .with("is_later", collision.is_later)
            .with("idle_seconds", collision.idle)
            .with("syn_hop_count", own)
            .with("earlier_hop_count", seen.max)
            .with("other_clock", signs.clock)
            .with("earlier_goes_on", signs.continues)
            .with("outstanding_bytes", collision.outstanding),
        consequence_of: None,
    })
}

/// What shows that another host sent the SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Evidence {
    hops: bool,
    clock: bool,
    continues: bool,
}

fn signs(collision: &Collision) -> Evidence {
    let (seen, own) = collision.ttl;
    Evidence {
        hops: seen.first.is_some() && !(seen.min..=seen.max).contains(&own),
        clock: collision.other_clock,
        continues: collision.continues.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::diagnose_all;
    use crate::{Confidence, Severity};

    /// A connection that works, and 5 s later a SYN with these words from the same port.
    fn trace(syn: &str, then: &str) -> String {
        format!(
            "0.000 > S 0:0(0) <mss 1460,ts 100000 0>
             0.020 < SA 0:0(0) ack 1 <mss 1460,ts 7000 100000>
             0.021 > A 1:1(0) ack 1 <nop,nop,ts 100021 7000>
             0.030 > PA 1:11(10) ack 1 <nop,nop,ts 100030 7000>
             0.050 < PA 1:11(10) ack 11 <nop,nop,ts 7050 100030>
             0.051 > A 11:11(0) ack 11 <nop,nop,ts 100051 7050>
             5.000 > S 900000000:900000000(0) {syn}
             5.020 < A 11:11(0) ack 11 <nop,nop,ts 12000 100051>
             5.021 > R 11:11(0) win 0
             6.000 > S 900000000:900000000(0) {syn}
             {then}"
        )
    }

    const OPENS: &str = "6.020 < SA 800000000:800000000(0) ack 900000001
         6.021 > A 900000001:900000001(0) ack 800000001
         6.100 > FA 900000001:900000001(0) ack 800000001
         6.120 < FA 800000001:800000001(0) ack 900000002
         6.121 > A 900000002:900000002(0) ack 800000002";

    fn roots(lines: &str) -> Vec<Option<(&'static str, Severity, Confidence)>> {
        let diagnosis = diagnose_all(lines);
        diagnosis
            .iter()
            .map(|diagnosis| {
                let root = diagnosis.root_cause()?;
                Some((root.code, root.severity, root.confidence))
            })
            .collect()
    }

    #[test]
    fn a_syn_with_another_hop_count() {
        let roots = roots(&trace("<mss 1460,ts 105000 0> ttl 61", OPENS));
        let found = |severity| Some(("tcp.port-collision", severity, Confidence::Likely));
        assert_eq!(roots, [found(Severity::Error), found(Severity::Warning)]);
    }

    #[test]
    fn another_clock_alone_is_possible() {
        let roots = roots(&trace("<mss 1460,ts 40 0>", OPENS));
        let found = |severity| Some(("tcp.port-collision", severity, Confidence::Possible));
        assert_eq!(roots, [found(Severity::Error), found(Severity::Warning)]);
    }

    #[test]
    fn the_first_client_goes_on_behind_the_syn() {
        let continues = "6.500 > PA 11:21(10) ack 11 <nop,nop,ts 106500 7050>
             6.520 < R 11:11(0) win 0
             20.0 end";
        let roots = roots(&trace("<mss 1460>", continues));
        let found = Some(("tcp.port-collision", Severity::Error, Confidence::Likely));
        assert_eq!(roots.get(1), Some(&found));
    }

    #[test]
    fn the_same_client_with_its_own_clock_is_a_stale_connection() {
        let roots = roots(&trace("<mss 1460,ts 105000 0>", OPENS));
        assert_eq!(roots.first(), Some(&None));
        assert_eq!(roots[1].unwrap().0, "tcp.stale-connection");
    }

    #[test]
    fn a_port_used_again_after_a_close_is_no_collision() {
        let closed = trace("<mss 1460,ts 40 0> ttl 61", OPENS).replace(
            "5.000 > S",
            "1.000 > FA 11:11(0) ack 11\n 1.020 < FA 11:11(0) ack 12\n 1.021 > A 12:12(0) ack 12\n 5.000 > S",
        );
        let roots = roots(&closed);
        assert!(
            roots
                .iter()
                .flatten()
                .all(|(code, ..)| *code != "tcp.port-collision")
        );
    }
}
