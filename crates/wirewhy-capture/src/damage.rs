//! Damaged files: nothing panics, nothing loops, memory stays bounded, and what came before the damage is read.

use std::io::Write;

use crate::testbytes::{Arbitrary, drain, every_kind, read_whole, reader};

/// How many frames a file of so many bytes can hold at most; an endless loop would give more.
fn most_frames(len: usize) -> usize {
    len / 12 + 1
}

#[test]
fn every_prefix_gives_the_frames_it_holds() {
    for (name, file) in every_kind() {
        let whole = read_whole(&file);
        for cut in 0..file.len() {
            let Ok(mut reader) = reader(&file[..cut]) else {
                assert!(cut < 28, "{name} cut at {cut}");
                continue;
            };
            let frames = drain(&mut reader);
            assert!(whole.starts_with(&frames), "{name} cut at {cut}");
            assert!(frames.len() < whole.len(), "{name} cut at {cut}");
            let problem = reader.problem().cloned();
            if let Some(problem) = problem {
                assert!(
                    problem.offset < cut as u64,
                    "{name} cut at {cut}: {problem}"
                );
                assert_eq!(problem.frames_before, frames.len() as u64, "{name}");
            }
        }
    }
}

#[test]
fn a_cut_inside_a_record_is_told_and_between_records_is_not() {
    let (_, file) = every_kind().swap_remove(0);
    let frames = read_whole(&file);
    let mut ends = vec![24];
    for frame in &frames {
        ends.push(ends.last().unwrap() + 16 + frame.data.len());
    }
    for cut in 24..file.len() {
        let mut reader = reader(&file[..cut]).unwrap();
        drain(&mut reader);
        assert_eq!(
            reader.problem().is_none(),
            ends.contains(&cut),
            "cut at {cut}"
        );
    }
}

#[test]
fn no_changed_byte_panics_or_loops() {
    for (name, file) in every_kind() {
        for at in 0..file.len() {
            for value in [0, 0xff, file[at] ^ 0x10] {
                let mut damaged = file.clone();
                damaged[at] = value;
                let Ok(mut reader) = reader(&damaged) else {
                    continue;
                };
                let frames = drain(&mut reader);
                assert!(frames.len() <= most_frames(file.len()), "{name}, byte {at}");
            }
        }
    }
}

#[test]
fn no_scrambled_file_panics_or_loops() {
    let mut arbitrary = Arbitrary(99);
    let files = every_kind();
    for _ in 0..20_000 {
        let (_, file) = &files[arbitrary.below(files.len())];
        let mut damaged = file.clone();
        for _ in 0..=arbitrary.below(6) {
            let at = arbitrary.below(damaged.len());
            match arbitrary.below(4) {
                0 => damaged[at] = arbitrary.byte(),
                1 => damaged.truncate(at.max(28)),
                2 => drop(damaged.splice(at..at, arbitrary.packet(20))),
                _ => {
                    let end = (at + arbitrary.below(40)).min(damaged.len());
                    damaged.drain(at..end);
                }
            }
            if damaged.is_empty() {
                break;
            }
        }
        if let Ok(mut reader) = reader(&damaged) {
            let frames = drain(&mut reader);
            assert!(frames.len() <= most_frames(damaged.len()));
        }
    }
}

#[test]
fn no_damaged_compressed_file_panics_or_loops() {
    let (_, file) = every_kind().swap_remove(0);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&file).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&file).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(&file).unwrap();
    let compressed = [
        gzip.finish().unwrap(),
        lz4.finish().unwrap(),
        xz.finish().unwrap(),
        zstd::encode_all(&file[..], 1).unwrap(),
    ];
    let whole = read_whole(&file);
    let mut arbitrary = Arbitrary(3);
    for stream in compressed {
        assert_eq!(read_whole(&stream), whole);
        for cut in (0..stream.len()).step_by(7) {
            if let Ok(mut reader) = reader(&stream[..cut]) {
                let frames = drain(&mut reader);
                assert!(whole.starts_with(&frames));
                assert!(reader.problem().is_some());
            }
        }
        for _ in 0..300 {
            let mut damaged = stream.clone();
            let at = arbitrary.below(damaged.len());
            damaged[at] = arbitrary.byte();
            if let Ok(mut reader) = reader(&damaged) {
                drain(&mut reader);
            }
        }
    }
}
