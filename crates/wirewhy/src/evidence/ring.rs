//! The last frames, in a ring of bytes, linked by connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wirewhy_flow::{Connection, Observed, Transport as Carrier};
use wirewhy_packet::{Frame, LinkType, Packet, Timestamp, Transport};

/// What a frame bears on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameScope {
    /// A connection, by its number over its transport.
    Stream(u32),
    /// None by itself, and perhaps one that a finding cites it for: an ICMP error, a DNS answer, an ARP request.
    Any,
}

impl FrameScope {
    /// What a packet bears on, after the tracker saw it; `None` for one that no finding can cite, which is not worth the
    /// room.
    #[must_use]
    pub fn of(packet: &Packet<'_>, observed: Option<Observed>) -> Option<FrameScope> {
        if let Some(observed) = observed {
            return Some(FrameScope::Stream(key(observed.transport, observed.stream)));
        }
        let cited = match &packet.transport {
            Transport::IcmpError(_) | Transport::Arp(_) | Transport::NeighborDiscovery(_) => true,
            Transport::Udp(udp) => [udp.source_port, udp.destination_port].contains(&DNS),
            _ => false,
        };
        cited.then_some(FrameScope::Any)
    }
}

const DNS: u16 = 53;

/// The number of a connection among those of all transports: each counts its streams from 0.
#[must_use]
pub(crate) fn stream_key(connection: &Connection) -> u32 {
    key(connection.transport, connection.stream)
}

fn key(transport: Carrier, stream: u32) -> u32 {
    match transport {
        Carrier::Tcp => stream,
        Carrier::Udp => stream | OVER_UDP,
    }
}

/// Set in the number of a connection over UDP: no capture has so many streams.
const OVER_UDP: u32 = 1 << 31;

/// The last frames that were seen, as many as find room.
///
/// Frames of a connection are found through a table that stream numbers index; those that share a place are kept apart
/// by their records. Nothing is allocated after the recorder was made.
pub struct Recorder {
    ring: Vec<u8>,
    /// For each place of the table where its newest record begins, and at the end the same for frames of no connection.
    newest: Vec<RingOffset>,
    /// Where the oldest record begins.
    tail: RingOffset,
    /// Where the next record will begin.
    head: RingOffset,
    dropped: u64,
}

/// A recorder that an analysis fills and that others look into when it is done.
#[derive(Clone, Debug)]
pub struct SharedRecorder(Arc<Mutex<Recorder>>);

impl SharedRecorder {
    /// See [`Recorder::new`].
    #[must_use]
    pub fn new(bytes: usize) -> SharedRecorder {
        SharedRecorder(Arc::new(Mutex::new(Recorder::new(bytes))))
    }

    /// The recorder, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Recorder> {
        // Whatever another thread did not finish, frames are found by their records or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts bytes since the first record: what is below the tail has been overwritten.
type RingOffset = u64;

/// A place of the table that holds nothing.
const NONE: RingOffset = RingOffset::MAX;

/// What the records of frames of no connection bear in place of a stream number.
const ANY: u32 = u32::MAX;

/// How much of the memory goes to the table: one part in so many.
const TABLE_SHARE: usize = 32;

/// How many frames of no connection are looked at for those that are wanted.
const MOST_LOOKED_AT: usize = 100_000;

/// What stands before the bytes of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RingEntry {
    pub(super) position: RingOffset,
    /// Where the record before it in the same place of the table begins.
    previous: RingOffset,
    pub(super) number: u64,
    pub(super) time: Timestamp,
    stream: u32,
    pub(super) interface: u32,
    pub(super) link_type: LinkType,
    original_len: u32,
    pub(super) captured_len: u32,
}

const HEADER_LEN: usize = 44;

impl Recorder {
    /// A recorder that takes so many bytes of memory, table and records together, as it fills.
    #[must_use]
    pub fn new(bytes: usize) -> Recorder {
        let places = (bytes / TABLE_SHARE / size_of::<RingOffset>()).max(1);
        // A power of two, so that a mask finds the place.
        let places = 1_usize << places.ilog2();
        let table = places.saturating_mul(size_of::<RingOffset>());
        Recorder {
            ring: vec![0; bytes.saturating_sub(table)],
            newest: vec![NONE; places.saturating_add(1)],
            tail: 0,
            head: 0,
            dropped: 0,
        }
    }

    /// Keeps a frame, and drops as many of the oldest as that takes.
    pub fn record(&mut self, frame: &Frame<'_>, frame_scope: FrameScope) {
        let Some(total) = self.make_room(frame.data.len()) else {
            self.dropped = self.dropped.saturating_add(1);
            return;
        };
        let stream = match frame_scope {
            FrameScope::Stream(stream) => stream,
            FrameScope::Any => ANY,
        };
        let place = self.place(stream);
        let position = self.head;
        let previous = self
            .newest
            .get_mut(place)
            .map_or(NONE, |newest| std::mem::replace(newest, position));
        let record = RingEntry {
            position,
            previous,
            number: frame.number,
            time: frame.time,
            stream,
            interface: frame.interface,
            link_type: frame.link_type,
            original_len: frame.original_len,
            captured_len: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
        };
        let data_at = position.saturating_add(HEADER_LEN as u64);
        self.write(position, &record.encode());
        self.write(data_at, frame.data);
        self.head = self.head.saturating_add(total);
    }

    /// How many frames were longer than the whole ring, and could not be kept.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The records of a stream, newest first.
    pub(crate) fn stream(&self, stream: u32) -> impl Iterator<Item = RingEntry> {
        self.chain(stream)
            .filter(move |record| record.stream == stream)
    }

    /// The records of no stream, newest first; where there are very many, only the newest.
    pub(super) fn others(&self) -> impl Iterator<Item = RingEntry> {
        self.chain(ANY).take(MOST_LOOKED_AT)
    }

    /// Copies the bytes of a record into `buffer`, and lends the frame from there.
    pub(crate) fn frame<'a>(&self, record: &RingEntry, buffer: &'a mut Vec<u8>) -> Frame<'a> {
        buffer.clear();
        let len = usize::try_from(record.captured_len).unwrap_or(0);
        buffer.resize(len, 0);
        let data_at = record.position.saturating_add(HEADER_LEN as u64);
        self.read(data_at, buffer);
        Frame {
            number: record.number,
            time: record.time,
            link_type: record.link_type,
            interface: record.interface,
            original_len: record.original_len,
            data: buffer,
        }
    }

    /// The records that share a place of the table with `stream`, newest first.
    fn chain(&self, stream: u32) -> impl Iterator<Item = RingEntry> {
        let mut next = self.newest.get(self.place(stream)).copied();
        std::iter::from_fn(move || {
            let position = next.filter(|&position| position != NONE && position >= self.tail)?;
            let record = self.header(position);
            next = Some(record.previous);
            Some(record)
        })
    }

    /// Where in the table a stream stands. Stream numbers count up, so they spread over it evenly.
    fn place(&self, stream: u32) -> usize {
        let last = self.newest.len().saturating_sub(1);
        if stream == ANY {
            return last;
        }
        // The table without its last place is a power of two long.
        let mask = last.saturating_sub(1);
        usize::try_from(stream).unwrap_or(0) & mask
    }

    /// Drops the oldest records until one with so many bytes fits; gives its whole length, or `None` if it is
    /// longer than the ring.
    fn make_room(&mut self, data_len: usize) -> Option<u64> {
        let total = data_len.checked_add(HEADER_LEN)?;
        if total > self.ring.len() || u32::try_from(data_len).is_err() {
            return None;
        }
        let (total, room) = (total as u64, self.ring.len() as u64);
        while self.head.saturating_add(total).saturating_sub(self.tail) > room {
            let mut len = [0; 4];
            self.read(self.tail, &mut len);
            let len = u64::from(u32::from_le_bytes(len));
            self.tail = self.tail.saturating_add(HEADER_LEN as u64 + len);
        }
        Some(total)
    }

    fn header(&self, position: RingOffset) -> RingEntry {
        let mut header = [0; HEADER_LEN];
        self.read(position, &mut header);
        RingEntry::decode(position, &header)
    }

    fn write(&mut self, position: RingOffset, bytes: &[u8]) {
        let at = self.index(position);
        let until_end = self.ring.len().saturating_sub(at).min(bytes.len());
        let (before, after) = bytes.split_at(until_end);
        let place = |from: usize, len: usize| from..from.saturating_add(len);
        if let Some(room) = self.ring.get_mut(place(at, before.len())) {
            room.copy_from_slice(before);
        }
        if let Some(room) = self.ring.get_mut(place(0, after.len())) {
            room.copy_from_slice(after);
        }
    }

    fn read(&self, position: RingOffset, bytes: &mut [u8]) {
        let at = self.index(position);
        let until_end = self.ring.len().saturating_sub(at).min(bytes.len());
        let (before, after) = bytes.split_at_mut(until_end);
        let place = |from: usize, len: usize| from..from.saturating_add(len);
        if let Some(kept) = self.ring.get(place(at, before.len())) {
            before.copy_from_slice(kept);
        }
        if let Some(kept) = self.ring.get(place(0, after.len())) {
            after.copy_from_slice(kept);
        }
    }

    fn index(&self, position: RingOffset) -> usize {
        let room = (self.ring.len() as u64).max(1);
        usize::try_from(position % room).unwrap_or(0)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("bytes", &self.ring.len())
            .field("tail", &self.tail)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl RingEntry {
    /// The length comes first: letting go of a record needs nothing else.
    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let rest = put(&mut bytes, self.captured_len.to_le_bytes());
        let rest = put(rest, self.original_len.to_le_bytes());
        let rest = put(rest, self.stream.to_le_bytes());
        let rest = put(rest, self.interface.to_le_bytes());
        let rest = put(rest, self.link_type.0.to_le_bytes());
        let rest = put(rest, self.previous.to_le_bytes());
        let rest = put(rest, self.number.to_le_bytes());
        put(rest, self.time.0.to_le_bytes());
        bytes
    }

    fn decode(position: RingOffset, bytes: &[u8; HEADER_LEN]) -> RingEntry {
        let word = |at: usize| {
            let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
            u32::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        let long = |at: usize| {
            let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
            u64::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        RingEntry {
            position,
            captured_len: word(0),
            original_len: word(4),
            stream: word(8),
            interface: word(12),
            link_type: LinkType(word(16)),
            previous: long(20),
            number: long(28),
            time: Timestamp(long(36).cast_signed()),
        }
    }
}

/// Puts a field in front of what is left of a header.
fn put<const N: usize>(header: &mut [u8], field: [u8; N]) -> &mut [u8] {
    match header.split_first_chunk_mut() {
        Some((place, rest)) => {
            *place = field;
            rest
        }
        None => &mut [],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn frame(number: u64, data: &[u8]) -> Frame<'_> {
        Frame {
            number,
            time: Timestamp(i64::try_from(number).unwrap() * -7),
            link_type: LinkType(276),
            interface: 3,
            original_len: 70_000,
            data,
        }
    }

    fn numbers(records: impl Iterator<Item = RingEntry>) -> Vec<u64> {
        records.map(|record| record.number).collect()
    }

    #[test]
    fn what_goes_in_comes_out_by_connection() {
        let mut recorder = Recorder::new(4_096);
        recorder.record(&frame(1, b"one"), FrameScope::Stream(0));
        recorder.record(&frame(2, b"two"), FrameScope::Stream(1));
        recorder.record(&frame(3, b"icmp"), FrameScope::Any);
        recorder.record(&frame(4, b"arp"), FrameScope::Any);
        recorder.record(&frame(5, b"five"), FrameScope::Stream(0));
        assert_eq!(numbers(recorder.stream(0)), [5, 1]);
        assert_eq!(numbers(recorder.stream(1)), [2]);
        assert_eq!(numbers(recorder.stream(2)), [0; 0]);
        assert_eq!(numbers(recorder.others()), [4, 3]);
        let newest = recorder.stream(0).next().unwrap();
        let mut buffer = Vec::new();
        let out = recorder.frame(&newest, &mut buffer);
        assert_eq!((out.number, out.data), (5, &b"five"[..]));
        assert_eq!(out.time, Timestamp(-35));
        assert_eq!((out.interface, out.link_type), (3, LinkType(276)));
        assert_eq!(out.original_len, 70_000);
    }

    #[test]
    fn a_frame_larger_than_the_ring_is_counted() {
        let mut recorder = Recorder::new(1_000);
        recorder.record(&frame(1, b"small"), FrameScope::Stream(0));
        recorder.record(&frame(2, &[0; 1_000]), FrameScope::Stream(0));
        assert_eq!(recorder.dropped(), 1);
        assert_eq!(numbers(recorder.stream(0)), [1]);
        let mut none = Recorder::new(0);
        none.record(&frame(1, b""), FrameScope::Stream(0));
        assert_eq!(none.dropped(), 1);
    }

    /// The same as the ring, without its art.
    #[derive(Default)]
    struct Plain {
        kept: VecDeque<(u32, u64, Vec<u8>)>,
        bytes: usize,
    }

    impl Plain {
        fn record(&mut self, room: usize, stream: u32, number: u64, data: &[u8]) {
            self.bytes += data.len() + HEADER_LEN;
            self.kept.push_back((stream, number, data.to_vec()));
            while self.bytes > room {
                let oldest = self.kept.pop_front().unwrap();
                self.bytes -= oldest.2.len() + HEADER_LEN;
            }
        }
    }

    #[test]
    fn the_ring_keeps_what_a_plain_queue_keeps() {
        let mut state = 88_172_645_463_325_252_u64;
        let mut below = |limit: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % limit
        };
        // Few places in the table, so that streams share them.
        let mut recorder = Recorder::new(3_001);
        let room = recorder.ring.len();
        let mut plain = Plain::default();
        let mut buffer = Vec::new();
        for number in 1..5_000 {
            let stream = u32::try_from(below(40)).unwrap();
            let data: Vec<u8> = (0..below(300))
                .map(|at| (number + at).to_le_bytes()[0])
                .collect();
            recorder.record(&frame(number, &data), FrameScope::Stream(stream));
            plain.record(room, stream, number, &data);
            let ours: Vec<_> = recorder
                .stream(stream)
                .map(|record| {
                    let frame = recorder.frame(&record, &mut buffer);
                    (stream, frame.number, frame.data.to_vec())
                })
                .collect();
            let theirs: Vec<_> = plain
                .kept
                .iter()
                .rev()
                .filter(|kept| kept.0 == stream)
                .cloned()
                .collect();
            assert_eq!(ours, theirs, "after frame {number}");
        }
        assert_eq!(recorder.dropped(), 0);
    }

    #[test]
    fn memory_is_what_was_asked_for() {
        for bytes in [1_000, 100_000, 1 << 20] {
            let recorder = Recorder::new(bytes);
            let table = recorder.newest.capacity() * size_of::<RingOffset>();
            let all = recorder.ring.capacity() + table;
            assert!(all <= bytes + 16 && all > bytes * 9 / 10, "{bytes}: {all}");
        }
    }
}
