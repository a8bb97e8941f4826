//! The packets of single connections, to be drawn: once all are diagnosed, and it is known which of them are wanted.
//!
//! A saved recording is read once more for them ([`reread`]). What cannot be read twice is looked up among the last packets
//! that a [`Recorder`] keeps ([`recall`]). [`Saved`] and [`SharedRecorder`] give a reporter the one or the other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use wirewhy_capture::{FileSequence, Filters, Recording};
use wirewhy_detect::Diagnosis;
use wirewhy_flow::wireshark::WiresharkAnalysis;
use wirewhy_flow::{Bounds, Connection, EventKind, Side, Tracker, Transport};
use wirewhy_packet::{Decoder, Packet, Transport as Carried};
use wirewhy_report::{PacketSource, Packets};

use crate::engine::Feed;
use crate::evidence::{Recorder, SharedRecorder};

/// The packets of connections, by a second reading of their recording. They come in the order of `wanted`; a conversation over UDP
/// that is not QUIC has none.
///
/// Frames count in a second reading as in the first, so those of a connection are known by its ends and by its first and last
/// frame. Reading ends behind the last frame that is wanted.
pub fn reread(
    recording: &mut Recording,
    filters: Option<&mut Filters>,
    wanted: &[&Diagnosis],
) -> Vec<Option<Packets>> {
    let mut follower = Follower::new(wanted);
    let mut feed = Feed::new(recording, filters);
    while let Some(continues) = feed.next(|fed| {
        if fed.passes {
            follower.take(fed.packet);
        } else {
            follower.skip(fed.packet);
        }
        fed.packet.frame < follower.last
    }) {
        if !continues {
            break;
        }
    }
    follower.packets()
}

/// The packets of connections, as far as a recorder still has them, in the order of `wanted`. How many it no longer has is counted
/// among those left out.
#[must_use]
pub fn recall(recorder: &Recorder, wanted: &[&Diagnosis]) -> Vec<Option<Packets>> {
    let mut buffer = Vec::new();
    let found = wanted.iter().map(|diagnosis| {
        let mut follower = Follower::new(&[diagnosis]);
        let connection = &diagnosis.connection;
        // A recorder keeps records by streams of TCP.
        if connection.transport != Transport::Tcp {
            return None;
        }
        let mut records: Vec<_> = recorder.stream(connection.stream).collect();
        records.reverse();
        let mut decoder = Decoder::new();
        for record in records {
            let frame = recorder.frame(&record, &mut buffer);
            follower.take(&decoder.decode(&frame));
        }
        let packets = follower.packets().into_iter().next().flatten()?;
        let sent = |end: &wirewhy_flow::Endpoint| {
            end.counts
                .packets
                .saturating_add(u64::from(end.counts.duplicate_frames))
        };
        let all = sent(&connection.client).saturating_add(sent(&connection.server));
        let forgotten = all.saturating_sub(packets.count());
        Some(packets.behind(forgotten))
    });
    found.collect()
}

/// The packets of a saved recording, by a second reading of its files.
#[derive(Debug)]
pub struct Saved {
    files: FileSequence,
    filters: Option<Filters>,
}

impl Saved {
    /// Of these files, as they were read the first time: from the first one on, and with the same filter.
    #[must_use]
    pub fn new(files: FileSequence, filters: Option<Filters>) -> Saved {
        Saved { files, filters }
    }
}

impl PacketSource for Saved {
    /// None of them where the files cannot be opened any more.
    fn packets(&mut self, wanted: &[&Diagnosis]) -> Vec<Option<Packets>> {
        match self.files.clone().open() {
            Ok(mut recording) => reread(&mut recording, self.filters.clone().as_mut(), wanted),
            Err(_) => wanted.iter().map(|_| None).collect(),
        }
    }
}

impl PacketSource for SharedRecorder {
    fn packets(&mut self, wanted: &[&Diagnosis]) -> Vec<Option<Packets>> {
        recall(&self.lock(), wanted)
    }
}

/// Two ends, the lower one first.
pub type Pair = [(IpAddr, u16); 2];

/// Collects the packets of some connections.
struct Follower {
    wanted: Vec<Option<Wanted>>,
    /// Which of them are between two ends.
    between: BTreeMap<Pair, Vec<usize>>,
    /// Wireshark's view of the packets between these ends.
    marks: WiresharkAnalysis,
    /// Knows which frames were recorded twice.
    tracker: Tracker,
    /// The last frame that is wanted.
    last: u64,
}

struct Wanted {
    frames: RangeInclusive<u64>,
    /// Its transport, and its stream.
    stream: (Transport, u32),
    server: SocketAddr,
    packets: Packets,
}

impl Follower {
    fn new(wanted: &[&Diagnosis]) -> Follower {
        let mut between: BTreeMap<Pair, Vec<usize>> = BTreeMap::new();
        let mut last = 0;
        let wanted = wanted.iter().enumerate().map(|(index, diagnosis)| {
            let connection = &*diagnosis.connection;
            let drawn = connection.quic().is_some() || connection.dtls().is_some();
            if connection.transport != Transport::Tcp && !drawn {
                return None;
            }
            for ends in all_ends(connection) {
                between.entry(ends).or_default().push(index);
            }
            last = last.max(connection.last.frame);
            let frames = diagnosis
                .findings
                .iter()
                .flat_map(|finding| &finding.frames);
            Some(Wanted {
                frames: connection.first.frame..=connection.last.frame,
                stream: (connection.transport, connection.stream),
                server: SocketAddr::new(connection.server.address, connection.server.port),
                packets: Packets::with_cited(Packets::MOST, frames.copied().collect()),
            })
        });
        Follower {
            wanted: wanted.collect(),
            between,
            marks: WiresharkAnalysis::new(),
            tracker: Tracker::new(Bounds::default()),
            last,
        }
    }

    /// Takes in a packet of the recording.
    fn take(&mut self, packet: &Packet<'_>) {
        let Some(indices) = pair(packet).and_then(|pair| self.between.get(&pair)) else {
            return;
        };
        let marked = self.marks.observe(packet);
        let observed = self.tracker.observe(packet, &mut |_| {});
        let is_copy = observed.is_some_and(|observed| observed.is_copy);
        for index in indices {
            if let Some(Some(wanted)) = self.wanted.get_mut(*index)
                && wanted.frames.contains(&packet.frame)
            {
                match (wanted.stream, &marked) {
                    ((Transport::Tcp, _), Some(marked)) => {
                        wanted.packets.add(packet, marked, is_copy);
                    }
                    ((Transport::Udp, stream), _) => {
                        let from = match source(packet) == Some(wanted.server) {
                            true => Side::Server,
                            false => Side::Client,
                        };
                        wanted.packets.add_datagram(packet, stream, from, is_copy);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Takes note of a packet that a filter leaves out: Wireshark counts it.
    fn skip(&mut self, packet: &Packet<'_>) {
        if pair(packet).is_some_and(|pair| self.between.contains_key(&pair)) {
            self.marks.observe(packet);
        }
    }

    /// What was collected; `None` where there was nothing.
    fn packets(self) -> Vec<Option<Packets>> {
        let wanted = self.wanted.into_iter().map(|wanted| {
            let Wanted {
                server,
                mut packets,
                ..
            } = wanted?;
            packets.name_sides(server);
            (packets.count() > 0).then_some(packets)
        });
        wanted.collect()
    }
}

/// The ends of a packet's TCP or UDP header, be it quoted.
#[must_use]
pub fn pair(packet: &Packet<'_>) -> Option<Pair> {
    let ends = match &packet.transport {
        Carried::Tcp(segment) => {
            let ip = packet.ip?;
            [
                (ip.source, segment.source_port),
                (ip.destination, segment.destination_port),
            ]
        }
        Carried::Udp(udp) => {
            let ip = packet.ip?;
            [
                (ip.source, udp.source_port),
                (ip.destination, udp.destination_port),
            ]
        }
        Carried::IcmpError(error) => {
            let quoted = error.quoted?;
            let (source, destination) = quoted.ports?;
            [(quoted.source, source), (quoted.destination, destination)]
        }
        _ => return None,
    };
    Some(in_order(ends))
}

/// Who sent a datagram.
fn source(packet: &Packet<'_>) -> Option<SocketAddr> {
    match (&packet.transport, &packet.ip) {
        (Carried::Udp(udp), Some(ip)) => Some(SocketAddr::new(ip.source, udp.source_port)),
        _ => None,
    }
}

/// The ends of a connection, and over QUIC those that it moved to (RFC 9000 section 9).
#[must_use]
pub fn all_ends(connection: &Connection) -> BTreeSet<Pair> {
    let mut now = [&connection.client, &connection.server].map(|end| (end.address, end.port));
    let mut all = BTreeSet::from([in_order(now)]);
    for event in connection.events.iter() {
        if let EventKind::Moved { address, port, .. } = event.kind {
            let [client, server] = &mut now;
            match event.from {
                Side::Client => *client = (address, port),
                Side::Server => *server = (address, port),
            }
            all.insert(in_order(now));
        }
    }
    all
}

fn in_order([one, other]: Pair) -> Pair {
    if one <= other {
        [one, other]
    } else {
        [other, one]
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use wirewhy_capture::Reader;
    use wirewhy_report::rfc3339;
    use wirewhy_testkit::{to_pcap, trace};

    use super::*;
    use crate::engine::{Analysis, EngineOptions};
    use crate::evidence::FrameScope;

    fn recording(text: &str) -> Recording {
        let source = Cursor::new(to_pcap(&trace(text)));
        Reader::new(Box::new(source), "memory".to_owned())
            .unwrap()
            .into()
    }

    fn diagnosis(text: &str, mut filters: Option<Filters>) -> Vec<Diagnosis> {
        let (mut recording, mut found) = (recording(text), Vec::new());
        let mut diagnosing = Analysis::new(EngineOptions::default());
        let mut sink = |diagnosis: &Diagnosis| {
            found.push(diagnosis.clone());
            Ok(())
        };
        let mut feed = Feed::new(&mut recording, filters.as_mut());
        while feed
            .next(|fed| diagnosing.take(fed, &mut sink).unwrap())
            .is_some()
        {}
        diagnosing
            .finish(&wirewhy_report::CaptureSummary::default(), &mut sink)
            .unwrap();
        found.sort_by_key(|diagnosis| {
            (
                diagnosis.connection.stream,
                diagnosis.connection.first.frame,
            )
        });
        found
    }

    /// The frames of each connection, as `frame<`, `frame>` with the first letters of its marks.
    fn shown(packets: &[Option<Packets>]) -> Vec<Vec<String>> {
        let row = |row: &wirewhy_report::PacketRow| {
            let marks: Vec<&str> = row.mark_names().collect();
            let from = if row.from == wirewhy_flow::Side::Client {
                '>'
            } else {
                '<'
            };
            assert!(rfc3339(row.time).starts_with("2026-"));
            format!("{}{from}{}", row.frame, marks.join(","))
        };
        let rows =
            |packets: &Option<Packets>| packets.iter().flat_map(Packets::iter).map(row).collect();
        packets.iter().map(rows).collect()
    }

    /// Two connections, the second of which takes the ports of the first again, and a stranger.
    const TEXT: &str = "
        0.0 > S 0:0(0)
        0.1 < SA 0:0(0) ack 1
        0.1 #2 > S 0:0(0)
        0.2 > A 1:1(0) ack 1
        0.3 > PA 1:101(100) ack 1
        0.7 > PA 1:101(100) ack 1
        0.8 < RA 1:1(0) ack 101
        20.0 > S 90000:90000(0)
        20.1 < RA 0:0(0) ack 90001
        20.2 icmp 192.0.2.254 > client unreachable host";

    #[test]
    fn a_second_reading_finds_the_packets_of_each() {
        let all = diagnosis(TEXT, None);
        let wanted: Vec<&Diagnosis> = all.iter().collect();
        assert_eq!(all.len(), 3);
        let found = reread(&mut recording(TEXT), None, &wanted);
        let expected = [
            vec!["1>", "2<", "4>", "5>", "6>retransmission", "7<"],
            vec!["3>"],
            vec!["8>reused_ports", "9<"],
        ];
        assert_eq!(shown(&found), expected);
        // Another order of the wanted ones is another order of what comes.
        let turned: Vec<&Diagnosis> = all.iter().rev().collect();
        let found = reread(&mut recording(TEXT), None, &turned);
        assert_eq!(shown(&found)[2], expected[0]);
        assert!(reread(&mut recording(TEXT), None, &[]).is_empty());
    }

    #[test]
    fn what_a_filter_leaves_out_is_not_drawn() {
        let filter = || Filters::new("tcp[tcpflags] & tcp-push == 0").unwrap();
        let all = diagnosis(TEXT, Some(filter()));
        let wanted: Vec<&Diagnosis> = all.iter().collect();
        let found = reread(&mut recording(TEXT), Some(&mut filter()), &wanted);
        assert_eq!(shown(&found)[0], ["1>", "2<", "4>", "7<"]);
    }

    #[test]
    fn a_saved_file_is_read_again_as_it_was_read_first() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = to_pcap(&trace(TEXT));
        let (begin, end) = (folder.path().join("t.pcap"), folder.path().join("t.pcap1"));
        // The header of the file, and of the packets the first three.
        let header = 24;
        let three = (0..3).fold(header, |at, _| {
            let len: [u8; 4] = bytes[at + 8..at + 12].try_into().unwrap();
            at + 16 + usize::try_from(u32::from_le_bytes(len)).unwrap()
        });
        std::fs::write(&begin, &bytes[..three]).unwrap();
        // Cut in the middle of its last packet.
        let rest = [&bytes[..header], &bytes[three..bytes.len() - 10]].concat();
        std::fs::write(&end, rest).unwrap();
        let all = diagnosis(TEXT, None);
        let wanted: Vec<&Diagnosis> = all.iter().collect();
        let mut saved = Saved::new(FileSequence::of([begin.clone(), end]), None);
        let found = shown(&saved.packets(&wanted));
        assert_eq!(found[0], ["1>", "2<", "4>", "5>", "6>retransmission", "7<"]);
        assert_eq!(found, shown(&saved.packets(&wanted)), "as often as wanted");
        std::fs::remove_file(begin).unwrap();
        assert_eq!(
            Saved::new(FileSequence::of([folder.path().join("gone")]), None)
                .packets(&wanted)
                .len(),
            3
        );
    }

    #[test]
    fn an_analysis_fills_its_recorder() {
        let recorder = SharedRecorder::new(1 << 20);
        let mut diagnosing = Analysis::new(EngineOptions {
            recorder: Some(recorder.clone()),
            ..EngineOptions::default()
        });
        let (mut recording, mut found) = (recording(TEXT), Vec::new());
        let mut sink = |diagnosis: &Diagnosis| {
            found.push(diagnosis.clone());
            Ok(())
        };
        let mut feed = Feed::new(&mut recording, None);
        while feed
            .next(|fed| diagnosing.take(fed, &mut sink).unwrap())
            .is_some()
        {}
        diagnosing
            .finish(&wirewhy_report::CaptureSummary::default(), &mut sink)
            .unwrap();
        let mut recorder = recorder;
        let refused = found
            .iter()
            .find(|diagnosis| diagnosis.connection.stream == 2)
            .unwrap();
        assert_eq!(shown(&recorder.packets(&[refused])), [["8>", "9<"]]);
    }

    #[test]
    fn a_recorder_has_what_came_last() {
        let all = diagnosis(TEXT, None);
        let wanted: Vec<&Diagnosis> = all.iter().collect();
        let record = |bytes: usize| {
            let mut recorder = Recorder::new(bytes);
            let mut tracker = Tracker::new(Bounds::default());
            let mut decoder = Decoder::new();
            for frame in trace(TEXT) {
                let frame = frame.as_frame();
                let packet = decoder.decode(&frame);
                let observed = tracker.observe(&packet, &mut |_| {});
                if let Some(frame_scope) = FrameScope::of(&packet, observed) {
                    recorder.record(&frame, frame_scope);
                }
            }
            recall(&recorder, &wanted)
        };
        let whole = record(1 << 20);
        assert_eq!(
            shown(&whole)[0],
            ["1>", "2<", "4>", "5>", "6>retransmission", "7<"]
        );
        let few = record(700);
        assert_eq!(shown(&few)[0], ["6>", "7<"], "what is left of it");
        let first = few[0].as_ref().unwrap();
        assert_eq!((first.count(), first.left_out()), (6, 4));
        assert!(few[1].is_none());
    }
}
