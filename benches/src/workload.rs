//! Conversations, stamped out.

use std::fmt::Write as _;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wirewhy_packet::{Frame, Interval, LinkType, Timestamp};
use wirewhy_testkit::{OwnedFrame, to_pcap, trace};

/// What goes on in a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mix {
    /// Downloads in full segments; some failures.
    Web,
    /// A short question and a short answer; some failures.
    Small,
    /// SYNs without an answer.
    Scan,
    /// SYNs that are refused.
    Refusals,
}

/// Captures held in memory.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What to call it.
    pub name: &'static str,
    /// Each a whole pcap file in little-endian order.
    pub files: Vec<Arc<[u8]>>,
    /// Connections in all of them, where that is known.
    pub connections: Option<u32>,
    /// Packets in all of them.
    pub packets: u64,
    /// Captured bytes in all of them, without the file's own headers.
    pub bytes: u64,
}

/// The pcap file's header.
const FILE_HEADER: usize = 24;
/// The header of a packet in it.
const RECORD_HEADER: usize = 16;

/// Where a frame over Ethernet has its addresses, and where its TCP header begins.
#[derive(Clone, Copy, Debug)]
struct Layout {
    source: usize,
    destination: usize,
    address_len: usize,
    tcp: usize,
    /// The checksum of the IP header, where it has one.
    ip_checksum: Option<usize>,
}

const V4: Layout = Layout {
    source: 26,
    destination: 30,
    address_len: 4,
    tcp: 34,
    ip_checksum: Some(24),
};

const V6: Layout = Layout {
    source: 22,
    destination: 38,
    address_len: 16,
    tcp: 54,
    ip_checksum: None,
};

const ETHER_TYPE: usize = 12;
const IPV6: [u8; 2] = [0x86, 0xdd];

/// In every hundred conversations, how many fail in each way.
const REFUSED: u32 = 3;
const RESET: u32 = 2;
const UNANSWERED: u32 = 1;

impl Workload {
    /// A synthetic capture of so many conversations.
    #[must_use]
    pub fn synthetic(mix: Mix, conversations: u32) -> Workload {
        let refused = trace("0 > S 0:0(0) win 64240 <mss 1460>\n 0.002 < RA 0:0(0) ack 1 win 0");
        let (name, template, gap) = match mix {
            Mix::Web => ("web", web(), Interval(400_000)),
            Mix::Small => ("small", small(), Interval(100_000)),
            Mix::Scan => (
                "scan",
                trace("0 > S 0:0(0) win 1024 <mss 1460>"),
                Interval(20_000),
            ),
            Mix::Refusals => ("refusals", refused.clone(), Interval(20_000)),
        };
        let unanswered = trace("0 > S 0:0(0)\n 1 > S 0:0(0)\n 3 > S 0:0(0)\n 7 > S 0:0(0)");
        let reset = trace(&(opening() + "0.007 < RA 1:1(0) ack 301 win 0"));
        let mut frames = Vec::new();
        for number in 0..conversations {
            let pattern = match (mix, number % 100) {
                (Mix::Scan | Mix::Refusals, _) => &template,
                (_, share) if share < REFUSED => &refused,
                (_, share) if share < REFUSED + RESET => &reset,
                (_, share) if share < REFUSED + RESET + UNANSWERED => &unanswered,
                _ => &template,
            };
            let begin = Interval(gap.0.saturating_mul(i64::from(number)));
            frames.extend(
                pattern
                    .iter()
                    .map(|frame| stamped(frame, client(pattern), number, begin)),
            );
        }
        frames.sort_by_key(|frame| frame.time);
        let file = to_pcap(&frames).into();
        Workload {
            connections: Some(conversations),
            ..Workload::of(name, vec![file])
        }
    }

    /// One connection of a recorded pcap file, given by the numbers of its frames, over and over with other clients.
    #[must_use]
    pub fn repeated(
        name: &'static str,
        file: &[u8],
        wanted: RangeInclusive<u64>,
        times: u32,
    ) -> Workload {
        let recorded: Vec<OwnedFrame> = frames(file)
            .filter(|frame| wanted.contains(&frame.number))
            .map(|frame| OwnedFrame {
                number: frame.number,
                time: frame.time,
                link_type: frame.link_type,
                original_len: frame.original_len,
                data: frame.data.to_vec(),
            })
            .collect();
        let mut all = Vec::new();
        for number in 0..times {
            let begin = Interval(400_000i64.saturating_mul(i64::from(number)));
            all.extend(
                recorded
                    .iter()
                    .map(|frame| stamped(frame, client(&recorded), number, begin)),
            );
        }
        all.sort_by_key(|frame| frame.time);
        Workload {
            connections: Some(times),
            ..Workload::of(name, vec![to_pcap(&all).into()])
        }
    }

    /// Every plain pcap file below a folder.
    ///
    /// # Errors
    ///
    /// When the folder or a file in it cannot be read.
    pub fn below(folder: &Path) -> io::Result<Workload> {
        let mut folders = vec![folder.to_path_buf()];
        let mut paths: Vec<PathBuf> = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "pcap") {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        let read = paths.iter().map(|path| std::fs::read(path).map(Arc::from));
        let files = read.collect::<io::Result<Vec<Arc<[u8]>>>>()?;
        Ok(Workload::of("lab", files))
    }

    fn of(name: &'static str, files: Vec<Arc<[u8]>>) -> Workload {
        let mut workload = Workload {
            name,
            files: Vec::new(),
            connections: None,
            packets: 0,
            bytes: 0,
        };
        for file in files {
            // Damaged and foreign files are the reader's to measure, not ours to take apart.
            if !file.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1])
                && !file.starts_with(&[0x4d, 0x3c, 0xb2, 0xa1])
            {
                continue;
            }
            for frame in frames(&file) {
                workload.packets += 1;
                workload.bytes = workload.bytes.saturating_add(frame.data.len() as u64);
            }
            workload.files.push(file);
        }
        workload
    }
}

/// The frames of a pcap file of one of our kinds, without a reader's work.
pub fn frames(file: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let field = |at: usize| -> Option<u32> {
        let bytes = file.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let link_type = LinkType(field(20).unwrap_or(0) & 0xffff);
    let mut at = FILE_HEADER;
    let mut number = 0;
    std::iter::from_fn(move || {
        let length = usize::try_from(field(at + 8)?).ok()?;
        let begin = at + RECORD_HEADER;
        let data = file.get(begin..begin.checked_add(length)?)?;
        number += 1;
        let frame = Frame {
            number,
            time: Timestamp::from_secs_nanos(i64::from(field(at)?), field(at + 4)?),
            link_type,
            interface: 0,
            original_len: field(at + 12)?,
            data,
        };
        at = begin + length;
        Some(frame)
    })
}

/// The address that the first frame comes from.
fn client(frames: &[OwnedFrame]) -> &[u8] {
    let first = frames.first().map_or(&[][..], |frame| &frame.data);
    let Layout {
        source,
        address_len,
        ..
    } = layout(first);
    first.get(source..source + address_len).unwrap_or(&[])
}

fn layout(data: &[u8]) -> Layout {
    match data.get(ETHER_TYPE..ETHER_TYPE + 2) == Some(&IPV6) {
        true => V6,
        false => V4,
    }
}

/// The frame, from or to another client and at another time, with right checksums where they were right.
fn stamped(frame: &OwnedFrame, client: &[u8], number: u32, later: Interval) -> OwnedFrame {
    let mut data = frame.data.clone();
    let Layout {
        source,
        destination,
        address_len,
        tcp,
        ip_checksum,
    } = layout(&data);
    let [_, a, b, c] = number.to_be_bytes();
    let [.., high, low] = (1024 + number.wrapping_mul(7919) % 60_000).to_be_bytes();
    let from_client = data.get(source..source + address_len) == Some(client);
    let (address, port) = if from_client {
        (source, tcp)
    } else {
        (destination, tcp + 2)
    };
    let tcp_checksum = tcp + 16;
    let host = address + address_len - 4;
    let checksums = [ip_checksum, Some(tcp_checksum)];
    put(&mut data, host, &[10, a, b, c], checksums);
    put(&mut data, port, &[high, low], [None, Some(tcp_checksum)]);
    OwnedFrame {
        time: frame.time.after(later),
        data,
        ..*frame
    }
}

/// Replaces some bytes that these checksums cover (RFC 1624).
fn put(data: &mut [u8], at: usize, bytes: &[u8], checksums: [Option<usize>; 2]) {
    let Some(place) = data.get_mut(at..at + bytes.len()) else {
        return;
    };
    let old = place.to_vec();
    place.copy_from_slice(bytes);
    for checksum in checksums.into_iter().flatten() {
        let Some(place) = data.get_mut(checksum..checksum + 2) else {
            continue;
        };
        let mut sum = u32::from(!word(place));
        for (old, new) in old.chunks(2).zip(bytes.chunks(2)) {
            sum += u32::from(!word(old)) + u32::from(word(new));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let [.., high, low] = (!sum).to_be_bytes();
        place.copy_from_slice(&[high, low]);
    }
}

fn word(bytes: &[u8]) -> u16 {
    let bytes = bytes.first_chunk().copied();
    u16::from_be_bytes(bytes.unwrap_or_default())
}

/// A handshake, and a request of 300 bytes.
fn opening() -> String {
    let begin = "GET /items/4711 HTTP/1.1\r\nHost: www.example.com\r\nCookie: session=";
    let end = "\r\n\r\n";
    let padding = "0".repeat(300 - begin.len() - end.len());
    let request = escaped(&format!("{begin}{padding}{end}"));
    format!(
        "0 > S 0:0(0) win 64240 <mss 1460,sackOK,ts 1000 0,nop,wscale 7>
         0.002 < SA 0:0(0) ack 1 win 65160 <mss 1460,sackOK,ts 9000 1000,nop,wscale 7>
         0.004 > A 1:1(0) ack 1 win 502 <nop,nop,ts 1002 9000>
         0.0041 > PA 1:301(300) ack 1 win 502 <nop,nop,ts 1002 9000> \"{request}\"\n"
    )
}

/// The header of an answer that is so many bytes long, header included.
fn answer(length: usize) -> String {
    let head = |body: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body}\r\n\r\n"
        )
    };
    let body = length - head(length).len();
    // The shorter number may have a digit less.
    escaped(&head(length - head(body).len()))
}

fn escaped(words: &str) -> String {
    words.replace('\r', "\\r").replace('\n', "\\n")
}

/// 58 KB in full segments, every second one acknowledged.
fn web() -> Vec<OwnedFrame> {
    let mut text = opening();
    let (mut at, mut time) = (1, 6_000);
    let mut words = format!(" \"{}\"", answer(40 * 1448));
    for segment in 0..40 {
        let end = at + 1448;
        line(
            &mut text,
            time,
            &format!("< A {at}:{end}(1448) ack 301 win 501 <nop,nop,ts 9010 1002>{words}"),
        );
        words.clear();
        at = end;
        time += 200;
        if segment % 2 == 1 {
            line(
                &mut text,
                time,
                &format!("> A 301:301(0) ack {at} win 1002 <nop,nop,ts 1010 9010>"),
            );
            time += 100;
        }
    }
    closing(&mut text, time, at);
    trace(&text)
}

fn small() -> Vec<OwnedFrame> {
    let mut text = opening();
    let words = answer(400);
    line(
        &mut text,
        6_000,
        &format!("< PA 1:401(400) ack 301 win 501 <nop,nop,ts 9010 1002> \"{words}\""),
    );
    line(
        &mut text,
        8_000,
        "> A 301:301(0) ack 401 win 502 <nop,nop,ts 1010 9010>",
    );
    closing(&mut text, 9_000, 401);
    trace(&text)
}

/// Both sides are done, the server first.
fn closing(text: &mut String, time: u32, at: u32) {
    let after = at + 1;
    line(
        text,
        time,
        &format!("< FA {at}:{at}(0) ack 301 win 501 <nop,nop,ts 9020 1010>"),
    );
    line(
        text,
        time + 2_000,
        &format!("> FA 301:301(0) ack {after} win 1002 <nop,nop,ts 1020 9020>"),
    );
    line(
        text,
        time + 4_000,
        &format!("< A {after}:{after}(0) ack 302 win 501 <nop,nop,ts 9030 1020>"),
    );
}

fn line(text: &mut String, micros: u32, segment: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}.{:06} {segment}",
        micros / 1_000_000,
        micros % 1_000_000
    );
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use wirewhy::engine::{Analyzed, EngineOptions, ThreadPool, analyze, summarize};
    use wirewhy_capture::{Reader, Recording};
    use wirewhy_packet::{Checksum, Decoder, TcpFlags, Transport};
    use wirewhy_report::{Names, Ndjson, View};

    use super::*;

    fn analyzed(workload: &Workload) -> Analyzed {
        let [file] = workload.files.as_slice() else {
            panic!("one file");
        };
        let source = Box::new(Cursor::new(file.clone()));
        let mut recording = Recording::from(Reader::new(source, "made".to_owned()).unwrap());
        let mut reporter = Ndjson::new(std::io::sink(), View::default(), Names::default());
        let options = EngineOptions::default();
        let analyzed = analyze(
            &mut recording,
            None,
            &options,
            &View::default(),
            &ThreadPool::default(),
            &mut reporter,
        )
        .unwrap();
        assert_eq!(summarize(&recording).packets, workload.packets);
        analyzed
    }

    #[test]
    fn conversations_fail_as_made() {
        for mix in [Mix::Web, Mix::Small] {
            let totals = analyzed(&Workload::synthetic(mix, 300)).totals;
            assert_eq!(totals.connections, 300);
            let failed = u64::from(3 * (REFUSED + RESET + UNANSWERED));
            assert_eq!(totals.ok, 300 - failed, "{mix:?}: {totals:?}");
        }
    }

    #[test]
    fn a_scan_opens_nothing() {
        let totals = analyzed(&Workload::synthetic(Mix::Scan, 1000)).totals;
        assert_eq!((totals.connections, totals.ok), (1000, 0));
        let totals = analyzed(&Workload::synthetic(Mix::Refusals, 1000)).totals;
        assert_eq!((totals.connections, totals.failed), (1000, 1000));
    }

    /// How many connections went well, of a recorded one over and over.
    fn went_well(name: &'static str, wanted: RangeInclusive<u64>) -> u64 {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/captures");
        let healthy = std::fs::read(lab.join("tls-healthy-kinds/client.pcap")).unwrap();
        let workload = Workload::repeated(name, &healthy, wanted, 20);
        for file in &workload.files {
            let mut decoder = Decoder::new();
            for frame in frames(file) {
                let packet = decoder.decode(&frame);
                let Transport::Tcp(tcp) = &packet.transport else {
                    panic!("a segment");
                };
                let is_checked = tcp.payload_len > 0 || tcp.flags.has(TcpFlags::SYN);
                let expected = match is_checked {
                    true => Checksum::Right,
                    false => Checksum::Unknown,
                };
                assert_eq!(tcp.checksum, expected, "{name}");
            }
        }
        analyzed(&workload).totals.ok
    }

    #[test]
    fn a_recorded_connection_is_the_same_with_another_client() {
        assert_eq!(went_well("tls12", 159..=175), 20);
        assert_eq!(went_well("tls13", 193..=211), 20);
    }

    #[test]
    fn a_file_is_taken_apart_as_it_was_made() {
        let made = web();
        let file = to_pcap(&made);
        let found: Vec<_> = frames(&file).collect();
        assert_eq!(found.len(), made.len());
        for (found, made) in found.iter().zip(&made) {
            assert_eq!((found.time, found.data), (made.time, made.data.as_slice()));
        }
    }
}
