//! `tcp.window-scale-mismatch`: one side reads the other's window without its scale, or a device on the way does.

use wirewhy_flow::{Connection, Endpoint, Side, WrittenWindow};

use crate::wording::{count, number, socket};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.window-scale-mismatch",
    group: Group::Tcp,
    title: "A window is taken as written, although it is scaled",
    severity: Severity::Warning,
    means: "The window field has 16 bits, and both sides agree in their SYNs by what factor to scale it. A device on the way removed or \
            ignores that agreement: a window of 64 kB that is written as 501 is taken for 501 bytes. Transfers crawl, or everything \
            beyond the written number is dropped.",
    recognised: "A sender whose segments end again and again exactly where the window as written ends, and never go beyond it, although the \
                 other side scales: it says so in its SYN, or its windows are a small fraction of the unscaled one in its SYN-ACK. Or \
                 losses that nearly all begin beyond the window as written, with nothing beyond it that arrives.",
    look_alikes: "Where both sides offered no scale the window is meant as written. A receiver whose application does not read closes its \
                  window step by step: tcp.zero-window. A sender that fills scaled windows is limited by the receiver's buffer.",
    check_next: &[
        "Compare the SYN and SYN-ACK at both ends: is the window scale option (kind 3) the same there?",
        "Look for a firewall, a load balancer or a WAN optimizer that strips or normalizes TCP options, or that joined the connection late.",
        "As a test, net.ipv4.tcp_window_scaling=0 at one end: slower than it should be, but no longer stuck.",
    ],
    explained_by: &[],
    reportable: Reportable::SteadyRate,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Tcp(Signs::TELLTALE, detect),
};

/// How the mismatch shows.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    /// The sender does not scale what the other side scales.
    NotScaled,
    /// The other side offered no scale as seen here, yet its windows are scaled.
    OptionMissing,
    /// What lies beyond the window as written is dropped on the way.
    DroppedBeyond,
}

/// By how much the windows of a side must fall short of the one in its SYN-ACK before they are scaled ones: a receive buffer
/// does not shrink to an eighth, and scales in use are 6 and more.
const SHRUNK: u32 = 8;

/// How many losses beyond the window there must be for each within it.
const MOSTLY: u32 = 5;

fn detect(connection: &Connection, limits: &Limits) -> Option<Finding> {
    [Side::Client, Side::Server].into_iter().find_map(|from| {
        let (own, peer) = (connection.side(from), connection.side(from.other()));
        let window = &own.tcp.delivery.signs.as_deref()?.window;
        let kind = kind_of(connection, own, peer, window, limits)?;
        Some(finding(connection, from, window, kind))
    })
}

fn kind_of(
    connection: &Connection,
    own: &Endpoint,
    peer: &Endpoint,
    window: &WrittenWindow,
    limits: &Limits,
) -> Option<Kind> {
    // Whether a scale is in use is known from both SYNs only.
    let handshake = &connection.tcp.handshake;
    if handshake.first_syn.is_none() || handshake.syn_ack.is_none() {
        return None;
    }
    let (own_scale, peer_scale) = (own.tcp.offer.window_scale, peer.tcp.offer.window_scale);
    let fills = window.filled >= limits.filled_windows && !window.exceeded;
    let scales = own_scale.is_some() && peer_scale.is_some_and(|scale| scale > 0);
    if scales && fills {
        return Some(Kind::NotScaled);
    }
    let drops = window.lost_beyond >= limits.lost_segments
        // What was repeated and lost again is found within.
        && window.lost_within.saturating_mul(MOSTLY) <= window.lost_beyond
        && !window.passed
        && own.tcp.delivery.largest_delivered >= limits.large_packet_bytes;
    if scales && drops {
        return Some(Kind::DroppedBeyond);
    }
    let shrunk = u32::from(window.largest).saturating_mul(SHRUNK) <= peer.tcp.max_window;
    let removed = own_scale.is_some() && peer_scale.is_none();
    (removed && fills && shrunk).then_some(Kind::OptionMissing)
}

fn finding(connection: &Connection, from: Side, window: &WrittenWindow, kind: Kind) -> Finding {
    let (own, peer) = (connection.side(from), connection.side(from.other()));
    let largest = number(u64::from(window.largest));
    let summary = match kind {
        Kind::NotScaled => format!(
            "{} filled the window of {} as written {}, {largest} bytes at most, and never sent more, although it scales by {}: its scale \
             did not arrive",
            socket(own),
            socket(peer),
            count(u64::from(window.filled), "time"),
            1_u32 << peer.tcp.offer.window_scale.unwrap_or(0).min(14),
        ),
        Kind::OptionMissing => format!(
            "{} writes windows of {largest} bytes at most after one of {} in its SYN-ACK, which offers no scale; {} filled them {}: a \
             device removed the scale that the windows have",
            socket(peer),
            number(u64::from(peer.tcp.max_window)),
            socket(own),
            count(u64::from(window.filled), "time"),
        ),
        Kind::DroppedBeyond => format!(
            "{} of {} losses from {} to {} began beyond the window as written, {largest} bytes at most, and nothing beyond it arrived: a \
             device on the way does not scale it by {}",
            window.lost_beyond,
            window.lost_beyond.saturating_add(window.lost_within),
            socket(own),
            socket(peer),
            1_u32 << peer.tcp.offer.window_scale.unwrap_or(0).min(14),
        ),
    };
    Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Path, None),
        summary,
        frames: window
            .frames
            .iter()
            .copied()
            .chain(connection.tcp.handshake.syn_ack.map(|mark| mark.frame))
            .collect(),
        facts: Facts::default()
            .with("sender", from.name())
            .with("sender_scale", own.tcp.offer.window_scale)
            .with("receiver_scale", peer.tcp.offer.window_scale)
            .with("largest_written_window_bytes", window.largest)
            .with("largest_window_bytes", peer.tcp.max_window)
            .with("windows_filled", window.filled)
            .with("losses_beyond", window.lost_beyond)
            .with("losses_within", window.lost_within)
            .with("vantage", connection.vantage().name()),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::codes;

    /// An upload of segments of `len` bytes, each acknowledged with a written window of `windows`.
    fn upload(client: &str, server: &str, segments: &[u32], windows: &[u32]) -> String {
        let mut lines = format!(
            "0.000 > S 0:0(0) win 64240 <mss 1460,{client}>
             0.030 < SA 0:0(0) ack 1 win 64240 <mss 1460,{server}>
             0.031 > A 1:1(0) ack 1\n"
        );
        let (mut at, mut seq) = (0.04, 1);
        for (len, window) in segments.iter().zip(windows) {
            let end = seq + len;
            lines += &format!("{at:.3} > PA {seq}:{end}({len}) ack 1\n");
            at += 0.03;
            lines += &format!("{at:.3} < A 1:1(0) ack {end} win {window}\n");
            at += 0.001;
            seq = end;
        }
        lines
            + &format!(
                "{:.3} > FA {seq}:{seq}(0) ack 1\n{:.3} < FA 1:1(0) ack {} win 285\n{:.3} > A {}:{}(0) ack 2\n",
                at,
                at + 0.03,
                seq + 1,
                at + 0.04,
                seq + 1,
                seq + 1
            )
    }

    const SMALL: [u32; 8] = [61, 229, 237, 245, 253, 261, 269, 277];
    const NEXT: [u32; 8] = [229, 237, 245, 253, 261, 269, 277, 285];

    #[test]
    fn an_option_removed_from_the_syn_ack() {
        let lines = upload("nop,wscale 7", "nop", &SMALL, &NEXT);
        assert_eq!(codes(&lines), ["tcp.window-scale-mismatch"]);
    }

    #[test]
    fn behind_the_device_both_options_are_there() {
        let lines = upload("nop,wscale 7", "nop,wscale 7", &SMALL, &NEXT);
        assert_eq!(codes(&lines), ["tcp.window-scale-mismatch"]);
    }

    #[test]
    fn without_scales_small_windows_are_meant() {
        let lines = upload("nop", "nop", &SMALL, &NEXT);
        assert!(codes(&lines).is_empty());
    }

    #[test]
    fn a_small_host_whose_window_is_as_in_its_syn_ack_is_no_mismatch() {
        let lines = upload("nop,wscale 7", "nop", &[536; 8], &[536; 8]).replacen(
            "win 64240 <mss 1460,nop>",
            "win 536 <mss 536>",
            1,
        );
        assert!(codes(&lines).is_empty());
    }

    #[test]
    fn a_sender_that_goes_beyond_the_written_window_scales_it() {
        let whole = upload("nop,wscale 7", "nop,wscale 7", &SMALL, &NEXT);
        let open: String = whole.split_inclusive('\n').take(19).collect();
        assert_eq!(codes(&open), ["tcp.window-scale-mismatch"]);
        // Half a second after the latest window was written the sender knows it.
        let beyond = "0.900 > PA 1833:2433(600) ack 1\n 0.930 < A 1:1(0) ack 2433\n";
        assert!(codes(&(open + beyond)).is_empty());
    }

    /// A download in rounds of four full segments, of which those beyond the written window of two are lost, or others.
    fn download(lost: &[usize]) -> String {
        let mut lines = "0.000 > S 0:0(0) win 64240 <mss 1000,nop,wscale 4>
             0.030 < SA 0:0(0) ack 1 win 64240 <mss 1000,nop,wscale 4>
             0.031 > A 1:1(0) ack 1 win 2100
             0.032 > PA 1:11(10) ack 1 win 2100
             0.060 < A 1:1(0) ack 11\n"
            .to_owned();
        let mut at = 0.1;
        for round in 0..4 {
            let base = 1 + round * 4_000;
            for n in 0..4 {
                let seq = base + n * 1_000;
                at += 0.001;
                lines += &format!("{at:.3} < A {seq}:{}(1000) ack 11\n", seq + 1_000);
            }
            let first = *lost.first().unwrap();
            let arrived = base + u32::try_from(first).unwrap() * 1_000;
            at += 0.03;
            lines += &format!("{at:.3} > A 11:11(0) ack {arrived} win 2100\n");
            for n in lost {
                let seq = base + u32::try_from(*n).unwrap() * 1_000;
                at += 0.3;
                lines += &format!("{at:.3} < A {seq}:{}(1000) ack 11\n", seq + 1_000);
            }
            at += 0.03;
            lines += &format!("{at:.3} > A 11:11(0) ack {} win 2100\n", base + 4_000);
        }
        lines
    }

    #[test]
    fn a_device_that_drops_beyond_the_written_window() {
        assert!(codes(&download(&[2, 3])).contains(&"tcp.window-scale-mismatch"));
    }

    #[test]
    fn losses_anywhere_are_losses() {
        assert_eq!(codes(&download(&[1])), ["tcp.packet-loss"]);
        assert_eq!(codes(&download(&[3])), ["tcp.packet-loss"]);
    }
}
