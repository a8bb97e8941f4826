//! Sample headers for the tests of this module, and what must hold for every frame made of them.

use crate::{Decoder, Frame, LinkType, Packet, Seq, StopReason, TcpFlags, Timestamp, Transport};

pub(super) type Bytes = Vec<u8>;

/// What the probe carries.
pub(super) const PROBE_PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\n";

/// A TCP segment every sample frame ends in: 49152 to 443, timestamps, some payload.
pub(super) fn probe() -> Bytes {
    let header = [
        0xc0, 0x00, 0x01, 0xbb, // ports
        0xff, 0xff, 0xff, 0xf0, // sequence number, about to wrap
        0x00, 0x00, 0x10, 0x00, // acknowledgement number
        0x80, 0x18, 0x01, 0xf6, // offset 8, PSH and ACK, window 502
        0x00, 0x00, 0x00, 0x00, // checksum, urgent pointer
        1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
    ];
    [&header, PROBE_PAYLOAD].concat()
}

/// Ethernet II from 02:00:00:00:00:01 to 02:00:00:00:00:02.
pub(super) fn ethernet(kind: u16, inner: &[u8]) -> Bytes {
    let addresses = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    [&addresses, &kind.to_be_bytes()[..], inner].concat()
}

/// IPv4 from 10.0.0.1 to 10.0.0.2, time to live 64, identification 1234, Don't Fragment.
pub(super) fn ipv4(protocol: u8, inner: &[u8]) -> Bytes {
    ipv4_fragment(protocol, 0x4000, inner)
}

/// The same with the flags and fragment offset given as they stand in the header.
pub(super) fn ipv4_fragment(protocol: u8, position: u16, inner: &[u8]) -> Bytes {
    let total = u16::try_from(20 + inner.len()).unwrap();
    let [t0, t1] = total.to_be_bytes();
    let [p0, p1] = position.to_be_bytes();
    let header = [
        0x45, 0x00, t0, t1, 0x12, 0x34, p0, p1, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    [&header, inner].concat()
}

/// IPv6 from 2001:db8::1 to 2001:db8::2, hop limit 64, traffic class b8.
pub(super) fn ipv6(next: u8, inner: &[u8]) -> Bytes {
    let [l0, l1] = u16::try_from(inner.len()).unwrap().to_be_bytes();
    let mut header = vec![0x6b, 0x80, 0, 0, l0, l1, next, 64];
    for last in [1, 2] {
        header.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]);
    }
    [&header, inner].concat()
}

/// UDP with its length filled in.
pub(super) fn udp(source: u16, destination: u16, payload: &[u8]) -> Bytes {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let mut datagram = Vec::new();
    for field in [source, destination, len, 0] {
        datagram.extend(field.to_be_bytes());
    }
    [&datagram, payload].concat()
}

/// Decodes a frame that was captured whole.
pub(super) fn decode<'a>(
    decoder: &'a mut Decoder,
    link_type: LinkType,
    data: &'a [u8],
) -> Packet<'a> {
    decode_at(decoder, Timestamp(0), link_type, data)
}

/// The same at a time.
pub(super) fn decode_at<'a>(
    decoder: &'a mut Decoder,
    time: Timestamp,
    link_type: LinkType,
    data: &'a [u8],
) -> Packet<'a> {
    decoder.decode(&Frame {
        number: 1,
        time,
        link_type,
        interface: 0,
        original_len: u32::try_from(data.len()).unwrap(),
        data,
    })
}

/// Decodes a frame of which only `captured` bytes were captured.
pub(super) fn decode_cut<'a>(
    decoder: &'a mut Decoder,
    link_type: LinkType,
    data: &'a [u8],
    captured: usize,
) -> Packet<'a> {
    decoder.decode(&Frame {
        number: 1,
        time: Timestamp(0),
        link_type,
        interface: 0,
        original_len: u32::try_from(data.len()).unwrap(),
        data: &data[..captured],
    })
}

/// The frame ends in the probe; cut anywhere it is still told truly; and no mutation of it does harm.
#[track_caller]
pub(super) fn reaches_probe(link_type: LinkType, data: &[u8], tunnels: u8) {
    let mut decoder = Decoder::new();
    let packet = decode(&mut decoder, link_type, data);
    assert_eq!(packet.stopped, None, "{packet:?}");
    assert_eq!(packet.tunnels, tunnels);
    is_probe(&packet, PROBE_PAYLOAD.len());
    for captured in 0..data.len() {
        let packet = decode_cut(&mut decoder, link_type, data, captured);
        check(&packet);
        match (&packet.transport, packet.stopped) {
            (Transport::Tcp(segment), _) => {
                let missing = data.len() - captured;
                is_probe(&packet, PROBE_PAYLOAD.len().saturating_sub(missing));
                assert_eq!(segment.options.truncated, missing > PROBE_PAYLOAD.len());
            }
            // The datagram around a tunnel that was cut off.
            (Transport::Udp(_), None) => {}
            (_, stopped) => assert_eq!(
                stopped.map(|stop| stop.reason),
                Some(StopReason::Truncated),
                "{captured} of {} captured: {packet:?}",
                data.len()
            ),
        }
    }
    survives_mutation(link_type, data);
}

#[track_caller]
fn is_probe(packet: &Packet<'_>, captured: usize) {
    let Transport::Tcp(segment) = &packet.transport else {
        panic!("no TCP: {packet:?}");
    };
    assert_eq!(
        (segment.source_port, segment.destination_port),
        (49152, 443)
    );
    assert_eq!((segment.seq, segment.ack), (Seq(0xffff_fff0), Seq(0x1000)));
    assert_eq!(segment.flags, TcpFlags::PSH.with(TcpFlags::ACK));
    assert_eq!((segment.window, segment.header_len), (502, 32));
    let whole = u32::try_from(PROBE_PAYLOAD.len()).unwrap();
    assert_eq!(segment.payload_len, whole);
    assert_eq!(segment.payload, &PROBE_PAYLOAD[..captured]);
}

/// Decodes a few hundred damaged versions of the frame.
pub(super) fn survives_mutation(link_type: LinkType, data: &[u8]) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut decoder = Decoder::new();
    for round in 0..400_i64 {
        let mut damaged = data.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(damaged.len());
            damaged[at] = random.byte();
        }
        damaged.truncate(random.below(2 * damaged.len()).max(1));
        let wire = random.below(2 * data.len());
        let packet = decoder.decode(&Frame {
            number: 1,
            time: Timestamp(round * 1_000_000_000),
            link_type,
            interface: 0,
            original_len: u32::try_from(wire).unwrap(),
            data: &damaged,
        });
        check(&packet);
    }
}

/// What holds for every packet, whatever the frame was.
#[track_caller]
pub(super) fn check(packet: &Packet<'_>) {
    let (detached, bytes) = packet.detach();
    let copy = bytes.to_vec();
    let attached = detached.attach(&copy);
    assert_eq!(format!("{attached:?}"), format!("{packet:?}"));
    if let Some(ip) = packet.ip {
        assert_eq!(ip.source.is_ipv4(), ip.destination.is_ipv4());
        assert_eq!(ip.source.is_ipv4(), ip.id.is_some());
    }
    match &packet.transport {
        Transport::Tcp(segment) => {
            assert!(packet.ip.is_some());
            assert!(segment.payload.len() <= usize::try_from(segment.payload_len).unwrap());
            assert!(segment.header_len <= 60);
        }
        Transport::Udp(datagram) => {
            assert!(packet.ip.is_some());
            assert!(datagram.payload.len() <= usize::try_from(datagram.payload_len).unwrap());
        }
        Transport::IcmpError(error) => {
            if let Some(quoted) = error.quoted {
                assert_eq!(quoted.source.is_ipv6(), error.v6);
                assert!(quoted.tcp.is_none() || quoted.ports.is_some());
            }
        }
        Transport::None => assert!(packet.stopped.is_some() || packet.ip.is_some()),
        _ => {}
    }
}

/// SplitMix64: the same numbers on every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}
