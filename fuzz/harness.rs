//! What every target runs over bytes from anywhere: no panic, no endless loop, and what comes out agrees with itself. The targets of
//! libFuzzer include this file, and so does a test of the workspace, which mutates the fixtures without a special toolchain.

use std::io::Cursor;

use wirewhy_capture::Reader;
use wirewhy_packet::{Decoder, Frame, LinkType, Timestamp};
use wirewhy_protocol::quic_testing::TestConversation;
use wirewhy_protocol::{
    CaptureContext, Certificate, Conversation, Datagrams, DnsMessage, KeyLog, Mark,
    QuicConversation, QuicVersion, Role, begins_with_dns, begins_with_records, closing_notice,
    is_farewell, server_name,
};

/// A target: its name, and what it runs.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    ("reader", reader),
    ("packet", packet),
    ("conversation", conversation),
    ("decryption", decryption),
    ("datagrams", datagrams),
    ("quic", quic),
    ("certificate", certificate),
    ("keylog", keylog),
];

/// Bytes read as a capture: pcap, pcapng, compressed or not.
pub(crate) fn reader(data: &[u8]) {
    let Ok(mut reader) = Reader::new(Box::new(Cursor::new(data.to_vec())), "fuzz".to_owned())
    else {
        return;
    };
    // What is compressed may hold a thousand times as much.
    reader.limit(8 << 20);
    let plain = reader.info().compression.is_none();
    let mut last = 0;
    let mut frames = 0_u64;
    while let Some(frame) = reader.next() {
        assert!(frame.number > last);
        assert!(frame.original_len as usize >= frame.data.len());
        last = frame.number;
        frames += 1;
        if plain {
            assert!(frames <= data.len() as u64 / 12);
        }
    }
    assert_eq!(reader.info().packets, frames);
    assert!(reader.next().is_none());
    if let Some(problem) = reader.problem() {
        assert!(!problem.to_string().is_empty());
    }
}

/// Frames of any link type, one behind the other: a byte of type, two of length, and the frame.
pub(crate) fn packet(data: &[u8]) {
    const LINKS: [u32; 16] = [
        1, 0, 9, 12, 50, 51, 101, 104, 105, 107, 108, 113, 127, 192, 228, 276,
    ];
    let mut decoder = Decoder::new();
    let mut rest = data;
    let mut number = 0;
    while let [kind, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (frame, more) = behind.split_at(length);
        rest = more;
        number += 1;
        let link = LINKS[usize::from(*kind) % LINKS.len()];
        let packet = decoder.decode(&Frame {
            number,
            time: Timestamp(i64::try_from(number).unwrap_or(0) * 1_000_000),
            link_type: LinkType(link),
            interface: 0,
            original_len: u32::try_from(length).unwrap_or(0) + u32::from(kind >> 7),
            data: frame,
        });
        assert_eq!(packet.frame, number);
    }
}

/// Segments of a connection in any order: a byte of flags, two of where the segment begins beside where its side's last one ended, two of length, and
/// the bytes. Every reader of a protocol is behind this, certificates and TLS among them.
pub(crate) fn conversation(data: &[u8]) {
    followed(data, CaptureContext::default());
}

/// The same with a key log in front of a line of zeros, so that records are decrypted.
pub(crate) fn decryption(data: &[u8]) {
    let at = data.windows(2).position(|pair| pair == [0, 0]);
    let (log, rest) = data.split_at(at.unwrap_or(0));
    let mut keys = KeyLog::new();
    keys.add(log);
    followed(rest.get(2..).unwrap_or(rest), CaptureContext::new(keys));
}

fn followed(data: &[u8], mut context: CaptureContext) {
    let mut followed = Conversation::new();
    let mut ends = [0_u64; 2];
    let mut rest = data;
    let mut frame = 0;
    while let [flags, a, b, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (bytes, more) = behind.split_at(length);
        rest = more;
        frame += 1;
        let end = &mut ends[usize::from(flags & 1)];
        let at = end.saturating_add_signed(i64::from(i16::from_be_bytes([*a, *b])));
        let wire_len = u32::try_from(length).unwrap_or(0) + u32::from(flags >> 5);
        *end = (*end).max(at + u64::from(wire_len));
        let end = *end;
        let time = Timestamp(frame * 1_000_000);
        let frame = u64::try_from(frame).unwrap_or(0);
        match (flags & 1, flags & 2) {
            (0, 0) => {
                followed.client_data(at, bytes, wire_len, frame, time, &mut context);
            }
            (_, 0) => {
                followed.server_data(at, bytes, wire_len, frame, time, &mut context);
            }
            (0, _) => followed.client_closed(end, &mut context),
            _ => followed.server_closed(end, &mut context),
        }
        let memory = followed.memory().unwrap_or_default();
        assert!(
            memory.unread < 2 << 20 && memory.read < 2 << 20,
            "{memory:?}"
        );
    }
    let known = followed.facts();
    followed.evict();
    let _ = (followed.facts(), followed.finish(), known);
}

/// Datagrams of a conversation, and each as a message of DNS: a byte of flags, one of length, and the bytes.
pub(crate) fn datagrams(data: &[u8]) {
    let mut context = CaptureContext::default();
    let mut followed = Datagrams::new();
    let mut rest = data;
    let mut frame = 0;
    while let [flags, length, behind @ ..] = rest {
        let length = (usize::from(*length) * 4).min(behind.len());
        let (bytes, more) = behind.split_at(length);
        rest = more;
        frame += 1;
        let role = if flags & 1 == 0 {
            Role::Client
        } else {
            Role::Server
        };
        let wire_len = u32::try_from(length).unwrap_or(0) + u32::from(flags >> 5);
        followed.observe(role, bytes, wire_len, frame, Timestamp(0), &mut context);
        if let Some(message) = DnsMessage::read(bytes, wire_len) {
            let _ = (message.has_answer(), message.addresses().count());
        }
    }
    let _ = followed.facts();
}

/// Datagrams of a connection over QUIC: a byte of flags, one of length, and the bytes. What is in a packet is protected as its
/// sender would, so that what is changed is read; some datagrams are as they are.
pub(crate) fn quic(data: &[u8]) {
    let version = match data.first() {
        Some(0x80..) => QuicVersion::V2,
        _ => QuicVersion::V1,
    };
    let mut packets = TestConversation::new(version, 1);
    let begin = packets.initial(Role::Client, &[1], 1_200);
    let mut context = CaptureContext::default();
    let mut followed = QuicConversation::new(&begin).expect("an Initial packet");
    let mut rest = data;
    let mut frame = 0;
    while let [flags, length, behind @ ..] = rest {
        let length = (usize::from(*length) * 4).min(behind.len());
        let (bytes, more) = behind.split_at(length);
        rest = more;
        frame += 1;
        let role = if flags & 1 == 0 {
            Role::Client
        } else {
            Role::Server
        };
        let datagram = match flags >> 1 & 7 {
            0..=3 => packets.initial(role, bytes, 0),
            4 => packets.retry(flags >> 4, bytes),
            5 => [&packets.short(role, 9, 0), bytes].concat(),
            _ => bytes.to_vec(),
        };
        let mark = Mark {
            frame,
            time: Timestamp(i64::try_from(frame).unwrap_or(0) * 1_000_000),
        };
        let wire_len = u32::try_from(datagram.len()).unwrap_or(0);
        let _ = (
            followed.sender(&datagram),
            followed.is_beginning_of_other(&datagram),
        );
        followed.observe(role, &datagram, wire_len, mark, &mut context);
        assert!(followed.kept() < 1 << 20 && followed.recorded() < 1 << 20);
        assert!(followed.ids().len() <= 64);
    }
    let _ = (followed.facts(), followed.tls());
    followed.evict();
    assert_eq!(followed.kept(), 0);
}

/// A certificate, and what looks at single payloads.
pub(crate) fn certificate(data: &[u8]) {
    let certificate = Certificate::read(data);
    let _ = certificate.is_signed_by(&certificate);
    let _ = (server_name(data), is_farewell(data));
    let _ = (
        begins_with_records(data),
        closing_notice(data, 1, Timestamp(0)),
    );
    let _ = [Role::Client, Role::Server].map(|role| begins_with_dns(role, data));
}

/// A key log.
pub(crate) fn keylog(data: &[u8]) {
    let mut keys = KeyLog::new();
    keys.add(data);
    keys.add(data);
}
