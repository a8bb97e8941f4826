//! What stands in the file of one connection.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::SocketAddr;

use wirewhy_capture::pcapng::{Notes, Section, Writer};
use wirewhy_capture::{Interface, InterfaceStatistics};
use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_flow::{Connection, EventKind};
use wirewhy_packet::{Frame, LinkType};

use super::Recorder;
use super::comments::{APPLICATION, Comments, in_full};
use super::ring::{RingEntry, stream_key};

/// A connection of which a file is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The connection and what was found.
    pub diagnosis: &'a Diagnosis,
    /// Where its packets are.
    pub recorder: &'a Recorder,
    /// The interfaces of the capture, as frames number them.
    pub interfaces: &'a [Interface],
    /// What packets had to pass to be captured, in libpcap's language.
    pub filter: Option<&'a str>,
}

/// How many bytes of packets a file holds, those not counted that findings cite.
const MOST_BYTES: u64 = 8 << 20;

/// How many of the earliest packets stand in a file, whatever comes after: the opening.
const OPENING: usize = 16;

/// The packets chosen for a file.
struct Chosen {
    /// Oldest first.
    records: Vec<RingEntry>,
    /// How many the connection had that the recorder no longer had.
    forgotten: u64,
    /// How many were left out because of the file's size.
    left_out: u64,
}

/// Writes the packets of a connection with the findings as comments.
pub(super) fn write(out: impl Write, case: &Case<'_>) -> io::Result<()> {
    let chosen = choose(case);
    let about = about(case.diagnosis, &chosen);
    let comments: Vec<&str> = about.iter().map(String::as_str).collect();
    let section = Section {
        application: APPLICATION,
        comments: &comments,
    };
    let mut writer = Writer::new(out, section)?;
    let mut numbers = Vec::new();
    let mut buffer = Vec::new();
    let packet_of = |frame| packet_of(frame, &chosen.records);
    let last = u64::try_from(chosen.records.len()).unwrap_or(u64::MAX);
    let comments = Comments::new(&case.diagnosis.findings, &packet_of, Some(last));
    for (packet, record) in (1..).zip(&chosen.records) {
        let interface = described(&mut writer, &mut numbers, case, record)?;
        let written = comments.of(packet, &packet_of);
        let comments: Vec<&str> = written.iter().map(String::as_str).collect();
        let frame = Frame {
            interface,
            ..case.recorder.frame(record, &mut buffer)
        };
        let notes = Notes {
            packet_id: Some(record.number),
            comments: &comments,
        };
        writer.frame(&frame, notes)?;
    }
    if let Some(last) = chosen.records.last() {
        for (ours, (interface, _)) in (0..).zip(&numbers) {
            let known = usize::try_from(*interface).ok();
            let statistics = known.and_then(|known| case.interfaces.get(known));
            let statistics = statistics.map(|known| known.statistics).unwrap_or_default();
            if statistics != InterfaceStatistics::default() {
                writer.statistics(ours, last.time, statistics)?;
            }
        }
    }
    writer.finish().map(drop)
}

/// The number that a record's interface has in the file; it is described when it is first met.
fn described(
    writer: &mut Writer<impl Write>,
    numbers: &mut Vec<(u32, LinkType)>,
    case: &Case<'_>,
    record: &RingEntry,
) -> io::Result<u32> {
    let key = (record.interface, record.link_type);
    if let Some(number) = numbers.iter().position(|known| *known == key) {
        return Ok(u32::try_from(number).unwrap_or(u32::MAX));
    }
    let index = usize::try_from(record.interface).unwrap_or(usize::MAX);
    let known = case.interfaces.get(index);
    let description = Interface {
        link_type: record.link_type,
        snap_len: known.map_or(0, |known| known.snap_len),
        name: known.and_then(|known| known.name.clone()),
        statistics: InterfaceStatistics::default(),
    };
    numbers.push(key);
    writer.interface(&description, case.filter)
}

/// The newest packets that fit, the opening, and those that bear on the findings.
fn choose(case: &Case<'_>) -> Chosen {
    let connection = &case.diagnosis.connection;
    let cited = cited(connection, &case.diagnosis.findings);
    let is_cited = |record: &RingEntry| cited.binary_search(&record.number).is_ok();
    let mut records = Vec::new();
    let mut older = VecDeque::with_capacity(OPENING);
    let (mut seen, mut left_out, mut bytes) = (0_u64, 0_u64, 0_u64);
    for record in case.recorder.stream(stream_key(connection)) {
        // Of another connection over QUIC between the same ends.
        if record.number < connection.first.frame {
            continue;
        }
        seen = seen.saturating_add(1);
        bytes = bytes.saturating_add(u64::from(record.captured_len));
        if bytes <= MOST_BYTES || is_cited(&record) {
            records.push(record);
            continue;
        }
        // Newest first, so that what stays in here is the oldest.
        if older.len() == OPENING {
            older.pop_front();
            left_out = left_out.saturating_add(1);
        }
        older.push_back(record);
    }
    records.extend(older);
    if let Some(&first) = cited.first() {
        let others = case.recorder.others();
        let others = others.take_while(|record| record.number >= first);
        records.extend(others.filter(is_cited));
    }
    records.sort_unstable_by_key(|record| record.position);
    let (client, server) = (&connection.client.counts, &connection.server.counts);
    let all = client.packets.saturating_add(server.packets);
    Chosen {
        records,
        forgotten: all.saturating_sub(seen),
        left_out,
    }
}

/// The numbers of the frames that findings cite and of the ICMP errors the connection met, sorted.
fn cited(connection: &Connection, findings: &[Finding]) -> Vec<u64> {
    let icmp = connection
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Icmp(_)))
        .map(|event| event.frame);
    let by_findings = findings.iter().flat_map(|finding| &finding.frames).copied();
    let mut cited: Vec<u64> = icmp.chain(by_findings).collect();
    cited.sort_unstable();
    cited.dedup();
    cited
}

/// What is to be known of the whole file.
fn about(diagnosis: &Diagnosis, chosen: &Chosen) -> Vec<String> {
    let connection = &diagnosis.connection;
    let client = SocketAddr::new(connection.client.address, connection.client.port);
    let server = SocketAddr::new(connection.server.address, connection.server.port);
    let outcome = diagnosis.outcome().name();
    let mut about = vec![format!("{client} > {server}: {outcome}")];
    let findings = diagnosis.findings.iter();
    let packet_of = |frame| packet_of(frame, &chosen.records);
    about.extend(findings.map(|finding| in_full(finding, &packet_of)));
    about.push("Packet ids are the frame numbers of the capture while it ran.".to_owned());
    if chosen.forgotten > 0 {
        about.push(format!(
            "{} of its packets had been overwritten in the recorder when this was written.",
            chosen.forgotten
        ));
    }
    if chosen.left_out > 0 {
        about.push(format!(
            "{} packets after the opening are left out to keep this file small.",
            chosen.left_out
        ));
    }
    about
}

/// The number in the file of a frame of the capture, counted from 1 as Wireshark does.
fn packet_of(frame: u64, records: &[RingEntry]) -> Option<u64> {
    // Records are in the order they were captured in, and frames were numbered in that order.
    let index = records
        .binary_search_by_key(&frame, |record| record.number)
        .ok()?;
    u64::try_from(index).ok()?.checked_add(1)
}
