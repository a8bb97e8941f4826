//! Connections that have shown no trouble ([`Brief`]): kept as they came while they go well, and followed from the first packet that
//! is out of the ordinary.

use std::net::IpAddr;

use wirewhy_protocol::Memory;

use super::alone::{LoneSegment, LoneSegments};
use super::retire::quiet_of;
use super::{Occupant, Tracker};
use crate::arrival::Arrival;
use crate::brief::{Brief, BriefStage};
use crate::expiry::{Class, Handle};
use crate::observe::{Scratch, Tracked};
use crate::packed::PackedSegment;
use crate::{Connection, Interval, Roles};

/// A SYN that was answered, and what came behind it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) syn: LoneSegment,
    pub(super) brief: Brief,
    /// Bytes of memory accounted for, beside what every connection takes.
    pub(super) charged: usize,
}

impl Kept {
    /// The queue it stands in.
    pub(super) fn class(&self) -> Class {
        match self.brief.stage() {
            BriefStage::Asked | BriefStage::Answered => Class::Opening,
            BriefStage::Open => Class::Open,
            BriefStage::Over => Class::Over,
        }
    }

    /// What is accounted for.
    pub(super) fn memory(&self) -> Memory {
        Memory {
            unread: 0,
            read: self.charged,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.brief.stage() == BriefStage::Over
    }
}

impl Occupant {
    /// Whether it is a connection kept in brief that has not ended.
    pub(super) fn is_brief_and_open(&self) -> bool {
        match self {
            Occupant::Brief(kept) => !kept.is_over(),
            Occupant::AtRest(_) => true,
            _ => false,
        }
    }
}

/// Services that speak what is not read at once, by a few bits of address and port: their connections are followed from the beginning.
/// Where others have the same bits, theirs are followed, too, which comes to the same.
#[derive(Debug)]
pub(super) struct Unbrief([u64; 64]);

impl Default for Unbrief {
    fn default() -> Unbrief {
        Unbrief([0; 64])
    }
}

impl Unbrief {
    fn add(&mut self, service: (IpAddr, u16)) {
        let (word, bit) = Unbrief::place(service);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn has(&self, service: (IpAddr, u16)) -> bool {
        let (word, bit) = Unbrief::place(service);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// A word, and a bit of it.
    fn place((address, port): (IpAddr, u16)) -> (usize, u64) {
        let last = match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let [.., high, low] = address.segments();
                u64::from(high) << 16 | u64::from(low)
            }
        };
        // The golden ratio mixes; the upper bits are the mixed ones.
        let mixed = (last << 16 | u64::from(port)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = usize::try_from(mixed >> 58).unwrap_or(0);
        (word, 1 << (mixed >> 52 & 63))
    }
}

/// DNS is read message by message.
const DNS: u16 = 53;

impl Tracker {
    /// Follows every connection from its first packet on. What is handed over is the same, and costs more.
    pub fn follow_all(&mut self) {
        self.follows_all = true;
        self.promote_where(|occupant| match occupant {
            Occupant::Brief(_) | Occupant::AtRest(_) => true,
            Occupant::Alone(at) => LoneSegments::is_refusal(*at),
            _ => false,
        });
    }

    /// Follows the connections in these slots, if they were not.
    pub(super) fn promote_where(&mut self, applies: impl Fn(&Occupant) -> bool) {
        let slots = (0_u32..).zip(&self.slots);
        let slots = slots.filter(|(_, place)| applies(&place.occupant));
        let slots: Vec<u32> = slots.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.promote(slot);
        }
    }

    /// Keeps a segment of a connection that shows no trouble. Whether it was kept: if not, the connection is to be followed.
    pub(super) fn keep_in_brief(
        &mut self,
        slot: u32,
        source_is_low: bool,
        arrival: &impl Arrival,
        payload: &[u8],
    ) -> bool {
        let place = usize::try_from(slot)
            .ok()
            .and_then(|at| self.slots.get_mut(at));
        let Some(place) = place else { return false };
        let handle = Handle {
            slot,
            generation: place.generation,
        };
        match &mut place.occupant {
            Occupant::Brief(kept) => {
                let before = kept.brief.stage();
                let Some(segment) = arrival.packed() else {
                    return false;
                };
                if !kept.brief.take(source_is_low, &segment, payload) {
                    if kept.brief.is_silent() && segment.payload_len() > 0 {
                        self.unbrief.add(kept.syn.pair.destination);
                    }
                    return false;
                }
                if kept.brief.has_kept_offloaded(source_is_low, &segment) {
                    self.tally.offloaded.add(segment.mark().frame);
                }
                let now = kept.brief.beyond_usual();
                let has_grown = now != kept.charged;
                if has_grown {
                    let before = kept.memory();
                    kept.charged = now;
                    self.accounts.replace(before, kept.memory());
                }
                if kept.brief.stage() != before {
                    let class = kept.class();
                    let due = segment.time().after(quiet_of(class, &self.bounds));
                    self.expiry.enter(class, due, handle);
                    if let Some(watch) = self.watch.as_mut().filter(|_| class == Class::Open) {
                        watch.handshake(segment.time().since(kept.syn.segment.time));
                    }
                }
                if has_grown && self.is_over_memory() {
                    self.free_memory();
                }
                true
            }
            Occupant::Alone(at) => {
                let at = *at;
                let answer = arrival.packed().filter(|it| it.flags().is_syn_ack());
                answer.is_some_and(|answer| self.begin_brief(handle, at, source_is_low, &answer))
            }
            Occupant::AtRest(_) => {
                self.wake(slot);
                let is_awake = matches!(self.occupant(slot), Some(place) if matches!(place.occupant, Occupant::Brief(_)));
                is_awake && self.keep_in_brief(slot, source_is_low, arrival, payload)
            }
            Occupant::Connection(_) | Occupant::Datagrams(_) | Occupant::None => false,
        }
    }

    /// The same of the answer to a lone SYN.
    fn begin_brief(
        &mut self,
        handle: Handle,
        at: u32,
        source_is_low: bool,
        segment: &PackedSegment,
    ) -> bool {
        if self.follows_all {
            return false;
        }
        let Some(lone) = self.alone.get(at) else {
            return false;
        };
        let plain = lone.segment.is_plain_syn()
            && !lone.interrupted
            && lone.pair.destination.1 != DNS
            && !self.unbrief.has(lone.pair.destination);
        if !plain {
            return false;
        }
        let mut kept = self.spare.brief(lone);
        let client_is_low = kept.syn.pair.source_is_low();
        kept.brief.begin(&kept.syn.segment, client_is_low);
        if !kept.brief.take(source_is_low, segment, &[]) {
            self.spare.keep_brief(kept);
            return false;
        }
        self.alone.take(at);
        self.forget_looks(handle.slot);
        let LoneSegment {
            pair,
            segment: syn,
            stream,
            ..
        } = kept.syn;
        let (client, server) = (pair.source, pair.destination);
        let asker = (client.0, syn.mac);
        kept.brief.looked_up = self.waited_for(stream, asker, server.0, syn.time);
        let there = segment.time().since(syn.time);
        self.hosts.learn_answer(
            server,
            segment.ttl(),
            (there >= Interval::ZERO).then_some(there),
        );
        if let Some(timestamps) = syn.options.timestamps {
            self.hosts
                .learn_timestamp(client.0, server, timestamps.value, syn.mark());
        }
        if let Some(place) = self.occupant(handle.slot) {
            place.occupant = Occupant::Brief(kept);
        }
        true
    }

    /// The connection kept in brief, followed.
    pub(super) fn followed(&mut self, kept: &Kept) -> Tracked {
        let mut live = self.begin(&kept.syn, &[]);
        live.connection.looked_up.clone_from(&kept.brief.looked_up);
        for (from, segment, payload) in kept.brief.kept() {
            live.observe(from, &segment, &payload, &mut self.context);
        }
        live
    }

    /// The facts of a connection that went well to its end, but for what its bytes show.
    pub(super) fn gather(&mut self, kept: &Kept) -> Tracked {
        let LoneSegment {
            stream,
            earlier_stream,
            pair,
            segment,
            ..
        } = &kept.syn;
        let ends = [pair.source, pair.destination];
        let mut connection = self.fresh(*stream, ends, Roles::Syn, segment.mark());
        connection.host_context.earlier_stream = *earlier_stream;
        connection.looked_up.clone_from(&kept.brief.looked_up);
        gathered(kept, connection, self.spare.scratch())
    }
}

/// The same of a connection of which no packet was taken in.
pub(super) fn gathered(
    kept: &Kept,
    mut connection: Box<Connection>,
    scratch: Box<Scratch>,
) -> Tracked {
    connection.begin_with_syn(&kept.syn.segment);
    let mut live = Tracked::new(connection, scratch, kept.brief.client_is_low());
    for (from, segment, payload) in kept.brief.kept() {
        live.observe_in_line(from, &segment, &payload);
    }
    live
}

#[cfg(test)]
mod tests {
    use wirewhy_packet::Decoder;
    use wirewhy_testkit::{OwnedFrame, exchanges};

    use super::*;
    use crate::{Bounds, TrackerCounts};

    /// What comes of these frames, and how many connections were kept in brief to their end.
    fn tracked(
        frames: &[OwnedFrame],
        bounds: Bounds,
        all: bool,
    ) -> (Vec<Connection>, TrackerCounts, usize) {
        let mut tracker = Tracker::new(bounds);
        if all {
            tracker.follow_all();
        }
        let mut decoder = Decoder::new();
        let mut connections = Vec::new();
        for frame in frames {
            let packet = decoder.decode(&frame.as_frame());
            tracker.observe(&packet, &mut |connection| connections.push(*connection));
        }
        let over = |slot: &super::super::Slot| matches!(&slot.occupant, Occupant::Brief(kept) if kept.is_over());
        let brief = tracker.slots.iter().filter(|slot| over(slot)).count();
        tracker.finish(&mut |connection| connections.push(*connection));
        (connections, tracker.tally().clone(), brief)
    }

    #[test]
    fn what_is_kept_in_brief_comes_to_what_is_followed() {
        let mut kept = 0;
        for seed in 1..=600 {
            let frames = exchanges(seed);
            let bounds = Bounds {
                max_connections: if seed % 4 == 0 { 2 } else { 100 },
                ..Bounds::default()
            };
            let (quick, tally, brief) = tracked(&frames, bounds, false);
            let (full, full_tally, none) = tracked(&frames, bounds, true);
            assert_eq!(none, 0);
            assert_eq!(quick.len(), full.len(), "{seed}");
            for (quick, full) in quick.iter().zip(&full) {
                assert_eq!(quick, full, "{seed}");
            }
            assert_eq!(tally, full_tally, "{seed}");
            kept += brief;
        }
        assert!(kept > 150, "{kept}");
    }
}
