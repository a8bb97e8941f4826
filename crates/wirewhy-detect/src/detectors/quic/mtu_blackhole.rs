//! `quic.mtu-blackhole`: datagrams of 1,200 bytes vanish, small ones pass.

use wirewhy_flow::{EventKind, Icmp, Interval, Side};

use super::{Reading, flow_marks, frames};
use crate::wording::{count, size, socket, span};
use crate::{
    Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "quic.mtu-blackhole",
    group: Group::Quic,
    title: "Datagrams of full size vanish on the way",
    severity: Severity::Error,
    means: "QUIC needs a path that takes 1,200 bytes of UDP payload: packets of 1,228 bytes over IPv4, 1,248 over IPv6. Here datagrams of \
            that size are lost while smaller ones arrive: a tunnel or link on the way takes less, and the senders do not learn it.",
    recognised: "An ICMP error says that a packet of the connection is too big, and the handshake is not completed; or the client gets \
                 only small datagrams of the server's flight, never those with its Initial packets, which have 1,200 bytes at least; or \
                 small packets (Retry) pass and every datagram of full size behind them is lost.",
    look_alikes: "Larger datagrams that are lost behind a completed handshake probe the path's MTU (RFC 8899): that is in order.",
    check_next: &[
        "Find the narrow link: ping -M do -s 1200 HOST, then smaller sizes.",
        "Tunnels (VPN, GRE, PPPoE inside of others) need an MTU of 1,280 for QUIC, and must not fragment it away.",
        "Does a firewall drop the ICMP message packet too big, or fragments of UDP?",
    ],
    explained_by: &[],
    reportable: Reportable::HandshakeSilence,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Quic(detect),
};

fn detect(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    if reading.is_established() || reading.is_refused() {
        return None;
    }
    too_big(reading, limits)
        .or_else(|| only_small_ones(reading, limits))
        .or_else(|| behind_a_retry(reading, limits))
}

/// An ICMP error about the size.
fn too_big(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let connection = reading.connection;
    let mut events = connection.events.iter();
    let (event, icmp) = events.find_map(|event| match &event.kind {
        EventKind::Icmp(icmp) if is_too_big(icmp) => Some((event, &**icmp)),
        _ => None,
    })?;
    if connection.heard_after(event.time) < limits.silence && reading.quic.closes.is_empty() {
        return None;
    }
    let mtu = icmp
        .mtu
        .map_or_else(String::new, |mtu| format!(" (MTU {mtu})"));
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Path, icmp.reporter),
        summary: format!(
            "{} says that a packet of {} to {} is too big{mtu}: QUIC needs 1,200 bytes of UDP payload, and the handshake{} stops",
            icmp.reporter,
            size(u64::from(icmp.quoted_len)),
            socket(connection.side(event.from.other())),
            reading.for_name(),
        ),
        frames: vec![event.frame, connection.first.frame],
        facts: reading
            .facts()
            .with("reporter", icmp.reporter)
            .with("mtu_bytes", icmp.mtu)
            .with("packet_bytes", icmp.quoted_len)
            .with("sender", event.from.name()),
        consequence_of: None,
    })
}

/// Whether it says that a packet is too big (RFC 1191, RFC 4443 section 3.2).
fn is_too_big(icmp: &Icmp) -> bool {
    match icmp.v6 {
        true => icmp.kind == 2,
        false => (icmp.kind, icmp.code) == (3, 4),
    }
}

/// The client gets the small end of the server's flight, and not its beginning.
fn only_small_ones(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let quic = reading.quic;
    let (client, server) = (&quic.client, &quic.server);
    let small = server.handshake.first?;
    let alone = server.full_size == 0 && reading.tls.server_hello.is_none() && server.unopened == 0;
    let repeats = client
        .initial
        .last
        .is_some_and(|last| last.frame > small.frame);
    let waited = reading.connection.heard_after(small.time);
    if !alone || !repeats || waited < limits.silence {
        return None;
    }
    Some(vanished(
        reading,
        Side::Server,
        waited,
        format!(
            "only {} of the server's flight arrived, of {} at most, and not its ServerHello",
            count(server.datagrams, "datagram"),
            size(u64::from(server.largest)),
        ),
        frames(flow_marks(&[small])),
    ))
}

/// Small packets pass both ways, and behind them every datagram of full size of one side is lost.
fn behind_a_retry(reading: &Reading<'_>, limits: &Limits) -> Option<Finding> {
    let quic = reading.quic;
    let retry = quic.retries.first()?;
    let (client, server) = (&quic.client, &quic.server);
    let run = &server.unanswered;
    let came = client
        .initial
        .last
        .is_some_and(|last| last.frame > retry.frame);
    let waited = reading.connection.heard_after(retry.time);
    // The server's own datagrams are seen, and never acknowledged.
    let lost = server.full_size >= 2 && !server.acknowledged && client.handshake.count == 0;
    if !came || !lost || run.smallest < 1_200 && run.count > 0 || waited < limits.silence {
        return None;
    }
    Some(vanished(
        reading,
        Side::Server,
        waited,
        format!(
            "its Retry arrived, and none of the {} of full size behind it was acknowledged",
            count(server.full_size, "datagram"),
        ),
        frames(flow_marks(&[*retry]).chain(flow_marks(&run.first))),
    ))
}

fn vanished(
    reading: &Reading<'_>,
    from: Side,
    waited: Interval,
    words: String,
    frames: Vec<u64>,
) -> Finding {
    let connection = reading.connection;
    Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Role::Path.into(),
        summary: format!(
            "Datagrams of full size from {}{} vanish on the way: {words} in {}",
            socket(connection.side(from)),
            reading.for_name(),
            span(waited),
        ),
        frames,
        facts: reading
            .facts()
            .with("sender", from.name())
            .with("largest_datagram_bytes", reading.sent(from).largest)
            .with("full_size_datagrams", reading.sent(from).full_size)
            .with("waited_seconds", waited),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::traces::ConversationTrace;
    use crate::{Confidence, Role};

    #[test]
    fn a_router_says_that_a_packet_is_too_big() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .icmp(5, "192.0.2.254", "unreachable need-frag mtu 1100")
            .client_hello(300)
            .until(6_000);
        let codes = found.codes();
        assert!(codes.contains(&"quic.mtu-blackhole"), "{codes:?}");
    }

    #[test]
    fn only_the_small_end_of_the_flight_arrives() {
        let found = ConversationTrace::new()
            .client_hello(0)
            .server_handshake_of(20, 300)
            .client_hello(300)
            .server_handshake_of(330, 300)
            .client_hello(900)
            .server_handshake_of(930, 300)
            .client_hello(2_100)
            .until(8_000)
            .findings();
        let first = found
            .iter()
            .find(|found| found.consequence_of.is_none())
            .unwrap();
        assert_eq!(
            (first.code, first.culprit.role),
            ("quic.mtu-blackhole", Role::Path)
        );
        assert_eq!(first.confidence, Confidence::Likely);
    }

    #[test]
    fn probes_behind_the_handshake_are_in_order() {
        let conversation = ConversationTrace::new()
            .client_hello(0)
            .handshake(20)
            .client_short(100, 1_452)
            .client_short(200, 1_452)
            .client_short(400, 60)
            .server_short(420, 40)
            .until(20_000);
        assert_eq!(conversation.codes(), [""; 0]);
    }
}
