//! Small files that hold much.

use std::io::{Cursor, Write};

use super::Reader;
use crate::testbytes::Bytes;
use crate::{ByteOrder, Compression, OpenErrorKind, ProblemKind};

/// Compressed in every way that is read.
fn compressed(bytes: &[u8]) -> Vec<(Compression, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(bytes).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(bytes).unwrap();
    vec![
        (Compression::Gzip, gzip.finish().unwrap()),
        (Compression::Zstd, zstd::encode_all(bytes, 9).unwrap()),
        (Compression::Lz4, lz4.finish().unwrap()),
        (Compression::Xz, xz.finish().unwrap()),
    ]
}

/// Zeros without end are records of no length: they come out at constant memory, up to what is allowed.
#[test]
fn bombs_come_out_at_constant_memory_up_to_a_limit() {
    const ZEROS: usize = 8 << 20;
    const LIMIT: u64 = 1 << 20;
    let mut file = Bytes::new(ByteOrder::Little);
    file.pcap_header(0xa1b2_c3d4, (2, 4), 1);
    file.bytes.resize(file.bytes.len() + ZEROS, 0);
    for (compression, bomb) in compressed(&file.bytes) {
        assert!(bomb.len() < ZEROS / 100, "{compression:?}: {}", bomb.len());
        for limit in [None, Some(LIMIT)] {
            let source = Box::new(Cursor::new(bomb.clone()));
            let mut reader = Reader::new(source, "bomb".to_owned()).unwrap();
            if let Some(bytes) = limit {
                reader.limit(bytes);
            }
            let mut frames = 0;
            while reader.next().is_some() {
                frames += 1;
            }
            assert!(reader.window.size() <= 1 << 20, "{compression:?}");
            let problem = reader.problem().map(|problem| &problem.kind);
            match limit {
                None => assert_eq!((frames, problem), (ZEROS / 16, None)),
                Some(bytes) => {
                    assert!((1 << 14..=1 << 16).contains(&frames), "{frames}");
                    assert_eq!(problem, Some(&ProblemKind::LimitReached { bytes }));
                }
            }
        }
    }
}

/// One block that is as long as a number can say.
#[test]
fn a_block_without_end_is_not_kept() {
    let mut file = Bytes::new(ByteOrder::Little);
    file.bytes.extend([
        0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
    ]);
    file.bytes.extend([0xff; 8]);
    file.bytes.extend([28, 0, 0, 0]);
    file.bytes.extend([6, 0, 0, 0, 0xfc, 0xff, 0xff, 0x7f]);
    file.bytes.resize(12 << 20, 0);
    for (compression, bomb) in compressed(&file.bytes) {
        let source = Box::new(Cursor::new(bomb));
        let mut reader = Reader::new(source, "bomb".to_owned()).unwrap();
        assert!(reader.next().is_none());
        assert!(reader.problem().is_some(), "{compression:?}");
        assert!(reader.window.size() <= 1 << 20, "{compression:?}");
    }
}

/// What is compressed twice is no capture, whatever is inside.
#[test]
fn nested_compression_is_not_followed() {
    let mut file = Bytes::new(ByteOrder::Little);
    file.pcap_header(0xa1b2_c3d4, (2, 4), 1);
    file.record((1, 0), (4, 9), 0, b"abcd");
    for (_, once) in compressed(&file.bytes) {
        for (outer, twice) in compressed(&once) {
            let source = Box::new(Cursor::new(twice));
            let Err(error) = Reader::new(source, "nested".to_owned()) else {
                panic!("{outer:?}");
            };
            assert!(matches!(
                error.kind,
                OpenErrorKind::NotACapture { compression: Some(found), .. } if found == outer
            ));
        }
    }
}
