//! The targets of `fuzz/harness.rs` over the fixtures, mutated: the same mutants in every run. `WIREWHY_MUTANTS` is how many of each
//! target; a failure names the target and the number.

#[path = "../../../fuzz/harness.rs"]
#[cfg(test)]
mod harness;

#[cfg(test)]
mod mutants {
    use std::collections::HashMap;
    use std::io::Cursor;
    use std::panic::catch_unwind;
    use std::path::{Path, PathBuf};

    use wirewhy_capture::Reader;
    use wirewhy_packet::{Decoder, Transport};
    use wirewhy_testkit::Random;

    use super::harness::TARGETS;

    /// How many mutants of each target are looked at unless more are asked for.
    const USUAL: usize = 400;

    /// How much of a capture becomes seeds.
    const SEED: usize = 24 << 10;

    fn files() -> Vec<PathBuf> {
        let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures");
        let mut folders = vec![captures];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(path),
                }
            }
        }
        found.sort();
        found
    }

    fn part(flags: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
        [&[flags, 0, 0], &length[..], bytes].concat()
    }

    /// The fixtures in the form that each target takes.
    fn seeds() -> HashMap<&'static str, Vec<Vec<u8>>> {
        let mut seeds: HashMap<&'static str, Vec<Vec<u8>>> = HashMap::new();
        for path in files() {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.to_string_lossy();
            if name.contains("keys") || name.contains("keylog") {
                seeds.entry("keylog").or_default().push(bytes);
                continue;
            }
            let start = bytes[..bytes.len().min(SEED)].to_vec();
            let Ok(mut reader) = Reader::new(Box::new(Cursor::new(bytes)), "seed".to_owned())
            else {
                continue;
            };
            seeds.entry("reader").or_default().push(start);
            let mut decoder = Decoder::new();
            let mut frames = Vec::new();
            let mut talks: HashMap<(u64, bool), Vec<u8>> = HashMap::new();
            while let Some(frame) = reader.next() {
                if frames.len() < SEED {
                    frames.push(0);
                    let length = u16::try_from(frame.data.len()).unwrap_or(u16::MAX);
                    frames.extend(length.to_be_bytes());
                    frames.extend(&frame.data[..usize::from(length)]);
                }
                let packet = decoder.decode(&frame);
                let (is_udp, ports, payload) = match &packet.transport {
                    Transport::Tcp(tcp) => {
                        (false, (tcp.source_port, tcp.destination_port), tcp.payload)
                    }
                    Transport::Udp(udp) => {
                        (true, (udp.source_port, udp.destination_port), udp.payload)
                    }
                    _ => continue,
                };
                if payload.is_empty() {
                    continue;
                }
                let (low, high) = (ports.0.min(ports.1), ports.0.max(ports.1));
                let key = u64::from(low) << 16 | u64::from(high);
                let talk = talks.entry((key, is_udp)).or_default();
                if talk.len() < SEED {
                    // The higher port is the client's.
                    let flags = u8::from(ports.0 == low);
                    match is_udp {
                        true => {
                            let length = u8::try_from(payload.len().div_ceil(4)).unwrap_or(u8::MAX);
                            talk.extend([flags, length]);
                            talk.extend(payload);
                            talk.resize(
                                talk.len() + usize::from(length) * 4 - payload.len().min(1020),
                                0,
                            );
                        }
                        false => talk.extend(part(flags, payload)),
                    }
                }
                let der = payload.windows(2).position(|pair| pair == [0x30, 0x82]);
                if let Some(at) = der.filter(|_| !is_udp) {
                    seeds
                        .entry("certificate")
                        .or_default()
                        .push(payload[at..].to_vec());
                }
            }
            seeds.entry("packet").or_default().push(frames);
            let mut talks: Vec<_> = talks.into_iter().collect();
            talks.sort();
            for ((_, is_udp), talk) in talks.into_iter().take(40) {
                if is_udp {
                    seeds.entry("quic").or_default().push(talk.clone());
                    seeds.entry("datagrams").or_default().push(talk);
                    continue;
                }
                seeds
                    .entry("decryption")
                    .or_default()
                    .push([&[0, 0], &talk[..]].concat());
                seeds.entry("conversation").or_default().push(talk);
            }
        }
        seeds
    }

    /// One to six changes: of a byte, of a few, left out, repeated, or of another seed; sometimes the lengths around stay as they were.
    fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=random.below(6) {
            if bytes.is_empty() {
                return bytes;
            }
            let at = random.below(bytes.len());
            let end = (at + 1 + random.below(64)).min(bytes.len());
            match random.below(9) {
                0 => drop(bytes.drain(at..end)),
                1 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                2 => {
                    let from = random.below(other.len());
                    let piece = &other[from..(from + 200).min(other.len())];
                    bytes.splice(at..end, piece.iter().copied());
                }
                3 => bytes.truncate(at + 1),
                4 => {
                    // A number of two bytes, wherever it stands.
                    let value = [0, 1, 0x7fff, 0x8000, 0xffff][random.below(5)];
                    for (place, byte) in bytes[at..].iter_mut().zip(u16::to_be_bytes(value)) {
                        *place = byte;
                    }
                }
                5 => bytes[at] ^= 1 << random.below(8),
                6 => {
                    let value = random.byte();
                    bytes[at..end].fill(value);
                }
                _ => bytes[at] = random.byte(),
            }
        }
        bytes
    }

    /// Every target has seeds; with `WIREWHY_SEEDS` they are written there, a folder for each target, as libFuzzer takes them.
    #[test]
    fn every_target_has_seeds() {
        let folder = std::env::var_os("WIREWHY_SEEDS").map(PathBuf::from);
        let seeds = seeds();
        for (name, _) in TARGETS {
            let own = seeds.get(name).map_or(&[][..], Vec::as_slice);
            assert!(!own.is_empty(), "{name} has no seeds");
            let Some(folder) = folder.as_ref().map(|folder| folder.join(name)) else {
                continue;
            };
            std::fs::create_dir_all(&folder).unwrap();
            for (number, seed) in own.iter().enumerate() {
                std::fs::write(folder.join(format!("seed-{number:05}")), seed).unwrap();
            }
        }
    }

    #[test]
    fn no_mutant_of_a_fixture_panics() {
        let wanted = std::env::var("WIREWHY_MUTANTS").ok();
        let count = wanted.and_then(|count| count.parse().ok()).unwrap_or(USUAL);
        let seeds = seeds();
        for (name, target) in TARGETS {
            let own = &seeds[name];
            let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
            for number in 0..count {
                let seed = &own[number % own.len()];
                let other = &own[random.below(own.len())];
                let mutant = mutate(seed, other, &mut random);
                let ended = catch_unwind(|| target(&mutant));
                assert!(ended.is_ok(), "{name}, mutant {number}: {mutant:02x?}");
            }
            for seed in own.iter().take(count) {
                target(seed);
            }
        }
    }
}
