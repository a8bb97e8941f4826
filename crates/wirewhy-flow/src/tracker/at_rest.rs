//! Connections that are idle, while a program watches: each in as few bytes as it can be written in. Of one kept in brief these are
//! its packets, from which the rest follows again when the next one comes; of one that is followed they are what is known of it.

use std::net::IpAddr;

use wirewhy_packet::Timestamp;
use wirewhy_protocol::Memory;
use wirewhy_protocol::compact::{Compact, CompactReader, CompactWriter, Compacted};

use super::alone::LoneSegment;
use super::brief::Kept;
use super::retire::class_of;
use super::{Occupant, Tracker};
use crate::brief::{BriefStage, whole_payload};
use crate::expiry::{Class, Handle};
use crate::observe::Tracked;
use crate::packed::PackedSegment;
use crate::packed::journal::{JournalReader, JournalWriter};
use crate::{LookedUp, Pair, Roles, Side};

/// An open connection that is idle.
#[derive(Debug)]
pub(super) struct AtRest {
    pub(super) stream: u32,
    /// Whether a side has sent its FIN, or it is in trouble.
    pub(super) is_closing: bool,
    /// When its latest segment came.
    pub(super) latest: Timestamp,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// It shows no trouble: its ends, and its segments.
    Brief {
        looked_up: Option<Box<LookedUp>>,
        journal: Box<[u8]>,
    },
    /// It was followed: what is known of it.
    Followed(Compacted),
}

/// What takes more than this is not put to rest: of payload that waits to be read less could be given up then, and to write and
/// read it would take long.
const MOST: usize = 4_096;

impl AtRest {
    /// The same connection at rest; `None` where a segment has what hardly any has.
    fn of(kept: &Kept) -> Option<AtRest> {
        let LoneSegment {
            stream,
            earlier_stream,
            ref pair,
            ref segment,
            // It is its client's SYN, and no packets are missing behind it.
            opener: _,
            interrupted: _,
        } = kept.syn;
        let mut writer = JournalWriter::default();
        writer.number(earlier_stream.is_some().into());
        write_end(&mut writer, pair.source);
        write_end(&mut writer, pair.destination);
        writer.segment(Side::Client, &PackedSegment::of(segment)?, &[])?;
        for (from, segment, payload) in kept.brief.segments() {
            writer.segment(from, segment, payload)?;
        }
        Some(AtRest {
            stream,
            is_closing: kept.brief.is_closing(),
            latest: kept.brief.latest(),
            form: Form::Brief {
                looked_up: kept.brief.looked_up.clone(),
                journal: writer.finish(),
            },
        })
    }

    /// The same of a connection that is followed; `None` where something of it cannot be written, or is large.
    fn of_followed(
        tracked: &Tracked,
        now: Timestamp,
        writer: &mut CompactWriter,
    ) -> Option<AtRest> {
        let connection = &tracked.connection;
        let latest = connection.last.time;
        writer.begin(latest, now);
        tracked.write(writer);
        let compacted = writer.finish();
        let mut sides = [&connection.client, &connection.server].into_iter();
        Some(AtRest {
            stream: connection.stream,
            is_closing: sides.any(|side| side.tcp.trouble().is_some() || side.tcp.fin.is_some()),
            latest,
            form: Form::Followed(compacted.filter(|compacted| compacted.memory() <= MOST)?),
        })
    }

    /// The SYN, and a reader of the segments behind it.
    fn segments<'a>(&self, journal: &'a [u8]) -> Option<(LoneSegment, JournalReader<'a>)> {
        let mut reader = JournalReader::new(journal);
        let is_reused = reader.number()? != 0;
        let pair = Pair {
            source: read_end(&mut reader)?,
            destination: read_end(&mut reader)?,
        };
        let (_, segment, _) = reader.segment()?;
        let syn = LoneSegment {
            stream: self.stream,
            earlier_stream: is_reused.then(|| self.stream.wrapping_sub(1)),
            pair,
            opener: (Roles::Syn, Side::Client),
            segment,
            interrupted: false,
        };
        Some((syn, reader))
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        let form = match &self.form {
            Form::Brief { journal, .. } => journal.len(),
            Form::Followed(compacted) => compacted.memory(),
        };
        size_of::<AtRest>() + form
    }
}

fn write_end(writer: &mut JournalWriter, (address, port): (IpAddr, u16)) {
    writer.number(address.is_ipv6().into());
    match address {
        IpAddr::V4(address) => writer.bytes(&address.octets()),
        IpAddr::V6(address) => writer.bytes(&address.octets()),
    }
    writer.number(port.into());
}

fn read_end(reader: &mut JournalReader<'_>) -> Option<(IpAddr, u16)> {
    let address = if reader.number()? == 0 {
        IpAddr::from(reader.bytes::<4>()?)
    } else {
        IpAddr::from(reader.bytes::<16>()?)
    };
    Some((address, u16::try_from(reader.number()?).ok()?))
}

impl Tracker {
    /// Puts the connection in a slot to rest where it is open and idle, and can be written. Returns when it is to be tried again, if
    /// it is.
    pub(super) fn put_to_rest(&mut self, handle: Handle) -> Option<Timestamp> {
        if self.follows_all {
            return None;
        }
        let now = self.now;
        let watch = self.watch.as_mut()?;
        let place = self.slots.get_mut(usize::try_from(handle.slot).ok()?)?;
        let latest = match &place.occupant {
            Occupant::Brief(kept) if kept.brief.stage() == BriefStage::Open => kept.brief.latest(),
            Occupant::Connection(tracked) if class_of(tracked) == Class::Open => {
                tracked.connection.last.time
            }
            _ => return None,
        };
        let due = latest.after(watch.idle);
        if due > now {
            return Some(due);
        }
        if watch.passes_over(handle.slot) {
            return Some(now.after(watch.idle));
        }
        let (charged, rest) = match &place.occupant {
            Occupant::Brief(kept) => (kept.memory(), AtRest::of(kept)?),
            Occupant::Connection(tracked) => {
                let rest = AtRest::of_followed(tracked, now, &mut watch.writer)?;
                (tracked.memory(), rest)
            }
            _ => return None,
        };
        let memory = rest.memory();
        let before = std::mem::replace(&mut place.occupant, Occupant::AtRest(Box::new(rest)));
        self.accounts.close(charged);
        self.accounts.add_at_rest(memory);
        if let Occupant::Brief(kept) = before {
            self.spare.keep_brief(kept);
        }
        None
    }

    /// Keeps the connection in a slot as before it was put to rest, if it is at rest.
    #[cold]
    pub(super) fn wake(&mut self, slot: u32) {
        let Some(place) = self.occupant(slot) else {
            return;
        };
        let rest = match std::mem::replace(&mut place.occupant, Occupant::None) {
            Occupant::AtRest(rest) => rest,
            other => {
                place.occupant = other;
                return;
            }
        };
        let woken = self.woken(&rest);
        if let Some(watch) = &mut self.watch {
            watch.woken(slot);
        }
        let is_followed = matches!(woken, Some(Occupant::Connection(_)));
        if let Some(place) = self.occupant(slot) {
            place.occupant = woken.unwrap_or(Occupant::AtRest(rest));
        }
        if is_followed {
            self.account(slot);
        }
    }

    /// The connection as it was.
    pub(super) fn woken(&mut self, rest: &AtRest) -> Option<Occupant> {
        let woken = match &rest.form {
            Form::Brief { looked_up, journal } => {
                let kept = self.woken_brief(rest, looked_up.as_deref(), journal)?;
                Occupant::Brief(kept)
            }
            Form::Followed(compacted) => {
                let mut reader = CompactReader::new(compacted, rest.latest);
                Occupant::Connection(Tracked::read(&mut reader)?)
            }
        };
        self.accounts.remove_at_rest(rest.memory());
        Some(woken)
    }

    fn woken_brief(
        &mut self,
        rest: &AtRest,
        looked_up: Option<&LookedUp>,
        journal: &[u8],
    ) -> Option<Box<Kept>> {
        let (syn, mut reader) = rest.segments(journal)?;
        let mut kept = self.spare.brief(syn);
        let client_is_low = kept.syn.pair.source_is_low();
        kept.brief.begin(&kept.syn.segment, client_is_low);
        kept.brief.looked_up = looked_up.cloned().map(Box::new);
        while let Some((from, segment, payload)) = reader.segment() {
            let source_is_low = (from == Side::Client) == client_is_low;
            let payload = whole_payload(payload, segment.payload_len);
            if let Some(segment) = PackedSegment::of(&segment) {
                kept.brief.take(source_is_low, &segment, &payload);
            }
        }
        kept.charged = kept.brief.beyond_usual();
        self.accounts.replace(Memory::default(), kept.memory());
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_packet::{Decoder, Interval};
    use wirewhy_testkit::{exchanges, trace};

    use super::*;
    use crate::Bounds;

    #[test]
    fn what_speaks_every_few_seconds_stays_awake() {
        let mut tracker = Tracker::new(Bounds::default());
        tracker.watch(Interval::from_secs(600));
        let frames = trace(
            "0.0 > S 0:0(0)
             0.1 < SA 0:0(0) ack 1
             0.2 > A 1:1(0) ack 1
             4.0 > PA 1:19(18) ack 1 \"GET / HTTP/1.1\\r\\n\\r\\n\"",
        );
        let mut decoder = Decoder::new();
        let begun = frames[0].as_frame().time;
        let rests = |tracker: &mut Tracker, second: i64| {
            tracker.advance(begun.after(Interval::from_secs(second)), &mut |_| ());
            tracker.visit(&mut |_| None);
            let place = tracker.slots.first().unwrap();
            matches!(place.occupant, Occupant::AtRest(_))
        };
        for frame in frames {
            if frame.as_frame().time.since(begun) >= Interval::from_secs(4) {
                let at_rest: Vec<bool> = (1..=3).map(|at| rests(&mut tracker, at)).collect();
                assert_eq!(at_rest, [false, true, true]);
            }
            tracker.observe(&decoder.decode(&frame.as_frame()), &mut |_| ());
        }
        let at_rest: Vec<bool> = (5..=40).map(|at| rests(&mut tracker, at)).collect();
        let awake = at_rest.iter().take_while(|rests| !**rests).count();
        assert!((15..=18).contains(&awake), "{at_rest:?}");
        assert!(at_rest.iter().skip(awake).all(|rests| *rests));
    }

    #[test]
    fn what_several_differ_from_counts_once() {
        let mut tracker = Tracker::new(Bounds::default());
        tracker.follow_all();
        let mut decoder = Decoder::new();
        for frame in trace("0.0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > A 1:1(0) ack 1") {
            tracker.observe(&decoder.decode(&frame.as_frame()), &mut |_| ());
        }
        let Some(Occupant::Connection(tracked)) = tracker.slots.first().map(|it| &it.occupant)
        else {
            panic!("it is followed");
        };
        let mut writer = CompactWriter::default();
        let mut memory =
            || AtRest::of_followed(tracked, tracker.now, &mut writer).map(|it| it.memory());
        let [Some(first), Some(second), Some(third), fourth] = [(); 4].map(|()| memory()) else {
            panic!("it can be written");
        };
        assert!(second > first && first > third, "{first} {second} {third}");
        assert_eq!(fourth, Some(third));
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let mut writer = CompactWriter::default();
        let (mut read, mut shorter) = (0, 0);
        for seed in 1..=60 {
            let mut tracker = Tracker::new(Bounds::default());
            tracker.follow_all();
            let mut decoder = Decoder::new();
            for frame in exchanges(seed) {
                let packet = decoder.decode(&frame.as_frame());
                tracker.observe(&packet, &mut |_| ());
                for place in &tracker.slots {
                    let Occupant::Connection(tracked) = &place.occupant else {
                        continue;
                    };
                    // With a base of the same shape, and without one.
                    let mut fresh = CompactWriter::default();
                    let before = AtRest::of_followed(tracked, tracker.now, &mut fresh);
                    let Some(beside) = AtRest::of_followed(tracked, tracker.now, &mut writer)
                    else {
                        continue;
                    };
                    let Form::Followed(compacted) = &beside.form else {
                        unreachable!("it was followed");
                    };
                    let mut reader = CompactReader::new(compacted, beside.latest);
                    let again = Tracked::read(&mut reader).unwrap();
                    assert!(reader.is_at_end());
                    assert_eq!(again.connection, tracked.connection, "{seed}");
                    let mut fresh = CompactWriter::default();
                    let after = AtRest::of_followed(&again, tracker.now, &mut fresh);
                    assert_eq!(format!("{after:?}"), format!("{before:?}"), "{seed}");
                    read += 1;
                    let saves = |before: AtRest| before.memory() > 2 * beside.memory();
                    shorter += usize::from(before.is_some_and(saves));
                }
            }
        }
        assert!(read > 1_000 && shorter > read / 4, "{shorter} of {read}");
    }
}
