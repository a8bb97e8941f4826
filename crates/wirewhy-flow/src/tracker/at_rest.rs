//! Connections kept in brief that are idle, while a program watches: each in as few bytes as its packets can be written in. What
//! else is known of it follows from them again when the next packet comes.

use std::net::IpAddr;

use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::Memory;

use super::alone::LoneSegment;
use super::brief::Kept;
use super::{Occupant, Tracker};
use crate::brief::{BriefStage, whole_payload};
use crate::expiry::Handle;
use crate::packed::PackedSegment;
use crate::packed::journal::{JournalReader, JournalWriter};
use crate::{LookedUp, Pair, Roles, Side};

/// An open connection that shows no trouble and is idle.
#[derive(Debug)]
pub(super) struct AtRest {
    pub(super) stream: u32,
    /// Whether a side has sent its FIN.
    pub(super) is_closing: bool,
    /// When its latest segment came.
    pub(super) latest: Timestamp,
    looked_up: Option<Box<LookedUp>>,
    /// Its ends, and its segments.
    journal: Box<[u8]>,
}

/// How long a connection is idle before it is put to rest: waking it costs as much as taking in its packets anew.
const IDLE: Interval = Interval::from_secs(1);

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
            looked_up: kept.brief.looked_up.clone(),
            journal: writer.finish(),
        })
    }

    /// The SYN, and a reader of the segments behind it.
    fn read(&self) -> Option<(LoneSegment, JournalReader<'_>)> {
        let mut reader = JournalReader::new(&self.journal);
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
        size_of::<AtRest>() + self.journal.len()
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
    /// Puts the connection in a slot to rest where it is open, kept in brief, and idle. Returns when it is to be tried again, if it is.
    pub(super) fn put_to_rest(&mut self, handle: Handle) -> Option<Timestamp> {
        let now = self.now;
        let place = self.occupant(handle.slot)?;
        let Occupant::Brief(kept) = &place.occupant else {
            return None;
        };
        if kept.brief.stage() != BriefStage::Open {
            return None;
        }
        let due = kept.brief.latest().after(IDLE);
        if due > now {
            return Some(due);
        }
        let (charged, rest) = (kept.memory(), Box::new(AtRest::of(kept)?));
        let memory = rest.memory();
        let kept = std::mem::replace(&mut place.occupant, Occupant::AtRest(rest));
        self.accounts.close(charged);
        self.accounts.add_at_rest(memory);
        if let Occupant::Brief(kept) = kept {
            self.spare.keep_brief(kept);
        }
        None
    }

    /// Keeps the connection in a slot in brief again if it is at rest.
    #[cold]
    pub(super) fn wake(&mut self, slot: u32) {
        let Some(place) = self.occupant(slot) else {
            return;
        };
        let woken = match std::mem::replace(&mut place.occupant, Occupant::None) {
            Occupant::AtRest(rest) => match self.woken(&rest) {
                Some(kept) => Occupant::Brief(kept),
                None => Occupant::AtRest(rest),
            },
            other => other,
        };
        if let Some(place) = self.occupant(slot) {
            place.occupant = woken;
        }
    }

    /// The same connection kept in brief, as it was before it was put to rest.
    pub(super) fn woken(&mut self, rest: &AtRest) -> Option<Box<Kept>> {
        let (syn, mut reader) = rest.read()?;
        let mut kept = self.spare.brief(syn);
        let client_is_low = kept.syn.pair.source_is_low();
        kept.brief.begin(&kept.syn.segment, client_is_low);
        kept.brief.looked_up.clone_from(&rest.looked_up);
        while let Some((from, segment, payload)) = reader.segment() {
            let source_is_low = (from == Side::Client) == client_is_low;
            let payload = whole_payload(payload, segment.payload_len);
            if let Some(segment) = PackedSegment::of(&segment) {
                kept.brief.take(source_is_low, &segment, &payload);
            }
        }
        kept.charged = kept.brief.beyond_usual();
        self.accounts.remove_at_rest(rest.memory());
        self.accounts.replace(Memory::default(), kept.memory());
        Some(kept)
    }
}
