//! pcapng files built block by block.

use std::net::IpAddr;

use wirewhy_packet::LinkType;

use super::*;
use crate::testbytes::{Bytes, Owned, drain, length, read, read_whole, reader};
use crate::{Problem, Reader, SecretsType};

const BOTH: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

fn file(order: ByteOrder) -> Bytes {
    let mut file = Bytes::new(order);
    file.section().interface(1, 0, &[]);
    file
}

fn read_all(file: &Bytes) -> (Vec<Owned>, Reader) {
    let mut reader = reader(&file.bytes).unwrap();
    (drain(&mut reader), reader)
}

fn numbers(frames: &[Owned]) -> Vec<u64> {
    frames.iter().map(|frame| frame.number).collect()
}

#[test]
fn sections_have_their_own_byte_order_and_interfaces() {
    let mut both = Bytes::new(ByteOrder::Little);
    for order in BOTH {
        let mut section = Bytes::new(order);
        section.section();
        section.interface(1, 96, &[(2, b"eth0")]);
        section.interface(113, 0, &[(9, &[9]), (2, b"any")]);
        section.enhanced(1, 5, b"one").enhanced(0, 7, b"two");
        both.raw(&section.bytes);
    }
    let (frames, reader) = read_all(&both);
    let shown: Vec<_> = frames
        .iter()
        .map(|frame| (frame.number, frame.interface, frame.link_type, frame.nanos))
        .collect();
    assert_eq!(
        shown,
        [
            (1, 1, 113, 5),
            (2, 0, 1, 7000),
            (3, 3, 113, 5),
            (4, 2, 1, 7000)
        ]
    );
    let info = reader.info();
    assert_eq!(info.sections, 2);
    assert_eq!(info.link_types, [LinkType::ETHERNET, LinkType::LINUX_SLL]);
    let names: Vec<_> = info.interfaces.iter().map(|i| i.name.as_deref()).collect();
    assert_eq!(
        names,
        [Some("eth0"), Some("any"), Some("eth0"), Some("any")]
    );
    assert_eq!(info.interfaces[0].snap_len, 96);
}

#[test]
fn a_simple_packet_has_the_time_before_it_and_the_snap_length() {
    for order in BOTH {
        let mut file = Bytes::new(order);
        file.section().interface(1, 4, &[]);
        file.enhanced(0, 9, b"ab")
            .simple(b"abcd", 60)
            .simple(b"ab", 2);
        let frames = read_whole(&file.bytes);
        let shown: Vec<_> = frames
            .iter()
            .map(|frame| (frame.nanos, frame.original_len, &frame.data[..]))
            .collect();
        assert_eq!(
            shown,
            [(9000, 2, &b"ab"[..]), (9000, 60, b"abcd"), (9000, 2, b"ab")]
        );
    }
}

#[test]
fn wireshark_counts_records_that_are_no_packets() {
    for (kind, counted) in [
        (9, true),
        (0xbad, true),
        (0x4000_0bad, true),
        (0x204, true),
        (0x216, true),
        (0x221, true),
        (0x208, false),
        (4, false),
        (5, false),
        (7, false),
        (8, false),
        (10, false),
        (0x8000_0001, false),
        (0x1234_5678, false),
    ] {
        let mut file = file(ByteOrder::Little);
        file.enhanced(0, 1, b"first");
        let mut body = file.body();
        body.raw(&[0; 24]);
        file.block(kind, &body).enhanced(0, 2, b"last");
        let last = if counted { 3 } else { 2 };
        assert_eq!(numbers(&read_whole(&file.bytes)), [1, last], "{kind:#x}");
    }
}

#[test]
fn drops_are_counted_where_the_file_tells() {
    for order in BOTH {
        let mut plain = file(order);
        let eight = |value: u64| Bytes::new(order).u64(value).bytes.clone();
        let (two, five) = (eight(2), eight(5));
        plain.enhanced_with(0, 1, b"abc", 3, &[(1, b"a comment"), (4, &two)]);
        plain
            .obsolete(0, 5, 2, b"abc")
            .obsolete(0, u16::MAX, 2, b"abc");
        let (_, reader) = read_all(&plain);
        assert_eq!(reader.info().dropped_packets(), Some(7));

        let mut stated = plain.body();
        stated
            .u32(0)
            .u64(0)
            .options(&[(4, &five), (5, &two), (7, &five)]);
        plain.block(5, &stated);
        let (_, reader) = read_all(&plain);
        let statistics = reader.info().interfaces[0].statistics;
        assert_eq!(statistics.received, Some(5));
        assert_eq!(statistics.accepted, None);
        assert_eq!(reader.info().dropped_packets(), Some(7));
    }
}

#[test]
fn names_and_secrets_are_kept() {
    for order in BOTH {
        let mut file = file(order);
        let mut names = file.body();
        names
            .u16(1)
            .u16(4 + 8)
            .raw(&[10, 0, 0, 1])
            .raw(b"one\0two\0");
        names
            .u16(2)
            .u16(16 + 4)
            .raw(&[0; 15])
            .raw(&[1])
            .raw(b"six\0");
        names.u16(3).u16(6).raw(&[0; 8]).u32(0);
        let mut secrets = file.body();
        secrets.u32(0x544c_534b).u32(5).raw(b"CLIEN");
        file.block(4, &names)
            .block(10, &secrets)
            .enhanced(0, 1, b"abc");
        let (frames, reader) = read_all(&file);
        assert_eq!(frames.len(), 1);
        let info = reader.info();
        let shown: Vec<_> = info
            .names
            .iter()
            .map(|record| (record.address, record.name.as_str()))
            .collect();
        let v4 = IpAddr::from([10, 0, 0, 1]);
        let v6 = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(shown, [(v4, "one"), (v4, "two"), (v6, "six")]);
        assert_eq!(info.secrets[0].kind, SecretsType::TLS_KEY_LOG);
        assert_eq!(info.secrets[0].data, b"CLIEN");
        assert!(!format!("{info:?}").contains("CLIEN"));
    }
}

#[test]
fn a_frame_comes_with_what_stands_before_it() {
    let mut file = file(ByteOrder::Little);
    let mut secrets = file.body();
    secrets.u32(0x544c_534b).u32(5).raw(b"CLIEN");
    file.enhanced(0, 1, b"abc")
        .block(10, &secrets)
        .enhanced(0, 2, b"def");
    let mut reader = reader(&file.bytes).unwrap();
    let mut known = Vec::new();
    while let Some((frame, info)) = reader.next_with_info() {
        known.push((frame.number, info.secrets.len()));
    }
    assert_eq!(known, [(1, 0), (2, 1)]);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut file = file(ByteOrder::Little);
    let mut names = file.body();
    for _ in 0..70_000 {
        names.u16(1).u16(6).raw(&[10, 0, 0, 1]).raw(b"a\0\0\0");
    }
    file.block(4, &names);
    let mut secrets = file.body();
    secrets.u32(1).u32(9 << 20).raw(&vec![0; 9 << 20]);
    file.block(10, &secrets).block(10, &secrets);
    for _ in 0..65_600 {
        file.interface(1, 0, &[]);
    }
    file.enhanced(65_535, 0, b"kept")
        .enhanced(65_536, 0, b"not kept");
    let (frames, reader) = read_all(&file);
    assert_eq!(frames.len(), 1);
    let info = reader.info();
    assert_eq!(info.names.len(), CaptureInfo::MAX_NAMES);
    assert_eq!(info.secrets.len(), 1);
    assert_eq!(info.interfaces.len(), CaptureInfo::MAX_INTERFACES);
    let limits = reader
        .oddities()
        .listed
        .iter()
        .filter(|oddity| matches!(oddity.kind, ProblemKind::TooMany { .. }));
    assert!(limits.count() >= 3);
    assert!(reader.oddities().count > 60);
}

fn oddity(file: &Bytes) -> (Vec<u64>, Problem) {
    let (frames, reader) = read_all(file);
    assert_eq!(reader.problem(), None);
    assert_eq!(reader.oddities().count, 1);
    (numbers(&frames), reader.oddities().listed[0].clone())
}

#[test]
fn a_corrupt_packet_block_is_passed_over_and_keeps_its_number() {
    let mut undeclared = file(ByteOrder::Big);
    undeclared.enhanced(0, 1, b"first");
    let at = undeclared.bytes.len();
    undeclared.enhanced(3, 1, b"lost").enhanced(0, 1, b"last");
    let (read, problem) = oddity(&undeclared);
    assert_eq!(read, [1, 3]);
    assert_eq!((problem.offset, problem.frames_before), (at as u64, 1));
    assert_eq!(
        problem.to_string(),
        format!(
            "corrupt enhanced packet block: its interface was not declared (at byte {at}, after frame 1)"
        )
    );

    let mut too_long = file(ByteOrder::Big);
    let mut body = too_long.body();
    body.u32(0).u64(0).u32(100).u32(100).raw(&[0; 20]);
    too_long.block(6, &body).enhanced(0, 1, b"last");
    assert_eq!(oddity(&too_long).0, [2]);

    let mut too_short = file(ByteOrder::Big);
    let mut body = too_short.body();
    body.u32(0);
    let empty = too_short.body();
    too_short
        .block(6, &body)
        .block(3, &empty)
        .enhanced(0, 1, b"last");
    let (frames, reader) = read_all(&too_short);
    assert_eq!(numbers(&frames), [3]);
    assert_eq!(reader.oddities().count, 2);
}

#[test]
fn a_damaged_interface_keeps_its_place() {
    let mut file = Bytes::new(ByteOrder::Little);
    file.section();
    let mut body = file.body();
    body.u16(1);
    file.block(1, &body).interface(101, 0, &[]);
    file.enhanced(1, 1, b"abc");
    let frames = read_whole(&file.bytes);
    assert_eq!((frames[0].interface, frames[0].link_type), (1, 101));
}

#[test]
fn lengths_that_differ_are_forgiven_where_a_block_follows() {
    let mut forgiven = file(ByteOrder::Little);
    forgiven.enhanced(0, 1, b"first");
    let end = forgiven.bytes.len();
    forgiven.bytes[end - 4] ^= 0x40;
    let mut damaged = forgiven.bytes.clone();
    forgiven.enhanced(0, 2, b"last");
    assert_eq!(oddity(&forgiven).0, [1, 2]);

    damaged.extend_from_slice(b"this is no block at all");
    let (frames, problem) = read(&damaged);
    assert_eq!(frames.len(), 0);
    let shown = problem.unwrap().to_string();
    assert!(
        shown.contains("lengths at its start and end differ"),
        "{shown}"
    );
}

#[test]
fn a_length_without_padding_is_understood() {
    let mut file = file(ByteOrder::Little);
    file.u32(6)
        .u32(37)
        .u32(0)
        .u64(0)
        .u32(5)
        .u32(5)
        .raw(b"abcde\0\0\0")
        .u32(37);
    file.enhanced(0, 1, b"last");
    let frames = read_whole(&file.bytes);
    assert_eq!(frames[0].data, b"abcde");
    assert_eq!(frames.len(), 2);
}

#[test]
fn impossible_lengths_end_reading() {
    for (kind, len, frames, message) in [
        (
            6,
            8,
            1,
            "impossible block length 8: shorter than an empty block",
        ),
        (
            6,
            0x4000_0000,
            1,
            "impossible block length 1073741824: longer than any packet",
        ),
        (
            77,
            0x4000_0000,
            1,
            "cut short in the middle of a block: 108 of 1073741824 bytes are there",
        ),
    ] {
        let mut file = file(ByteOrder::Little);
        file.enhanced(0, 1, b"first");
        let at = file.bytes.len();
        file.u32(kind).u32(len).raw(&[0; 100]);
        let (read, problem) = read(&file.bytes);
        assert_eq!(read.len(), frames);
        let place = format!(" (at byte {at}, after frame 1)");
        assert_eq!(problem.unwrap().to_string(), [message, &place].concat());
    }
}

#[test]
fn a_long_block_of_no_interest_is_passed_over() {
    let mut file = file(ByteOrder::Little);
    let mut body = file.body();
    body.raw(&vec![7; 20 << 20]);
    file.block(0x1234, &body)
        .block(10, &body)
        .enhanced(0, 1, b"last");
    let (frames, reader) = read_all(&file);
    assert_eq!(numbers(&frames), [1]);
    assert_eq!(reader.problem(), None);
    assert_eq!(reader.oddities().count, 1);
    assert!(reader.info().secrets.is_empty());
}

#[test]
fn a_section_header_must_make_sense() {
    let mut short = Bytes::new(ByteOrder::Big);
    short
        .u32(0x0a0d_0d0a)
        .u32(12)
        .u32(0x1a2b_3c4d)
        .raw(&[0; 16]);
    let error = reader(&short.bytes).unwrap_err().to_string();
    assert!(error.contains("corrupt header"), "{error}");

    let mut version = file(ByteOrder::Big);
    version.enhanced(0, 1, b"first");
    let mut body = version.body();
    body.u32(0x1a2b_3c4d).u16(2).u16(0).u64(0);
    let mut second = version.body();
    second.block(0x0a0d_0d0a, &body);
    let error = reader(&second.bytes).unwrap_err().to_string();
    assert_eq!(error, "test: has pcapng version 2.0, which is not known");
    version.raw(&second.bytes);
    let (frames, problem) = read(&version.bytes);
    assert_eq!(frames.len(), 1);
    assert!(
        problem
            .unwrap()
            .to_string()
            .starts_with("unknown pcapng version 2.0")
    );

    let mut magic = file(ByteOrder::Big);
    magic.u32(0x0a0d_0d0a).u32(28).raw(&[0; 20]);
    let (_, problem) = read(&magic.bytes);
    assert!(problem.unwrap().to_string().contains("byte-order magic"));
}

#[test]
fn the_packet_may_fill_what_one_block_may_hold() {
    let mut file = file(ByteOrder::Little);
    let packet = vec![9; 16 << 20];
    file.enhanced(0, 1, &packet).enhanced(0, 2, b"last");
    let frames = read_whole(&file.bytes);
    assert_eq!(length(frames[0].data.len()), 16 << 20);
    assert_eq!(frames.len(), 2);
}
