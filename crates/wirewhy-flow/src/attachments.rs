//! What is followed of each stream, beside the table that numbers the streams: one thread may number them and another follow.

use crate::stream_table::EntryIndex;
use crate::{Located, Opened};

/// A number for the latest stream of each pair: the slot of its connection.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    v4: Vec<u32>,
    v6: Vec<u32>,
}

/// What a segment meets on its pair of addresses and ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Met {
    /// What is attached to its stream, unless it opened it.
    pub(crate) attached: Option<u32>,
    /// What was attached to the stream that it leaves behind.
    pub(crate) replaced: Option<u32>,
}

impl Met {
    /// Whether a connection begins with a SYN that meets this: nothing is followed of its stream, nor of the one before on the same
    /// pair.
    #[inline]
    pub(crate) fn leaves_nothing(self) -> bool {
        let is_followed = |attached: Option<u32>| attached.is_some_and(|slot| slot != RELEASED);
        !is_followed(self.attached) && !is_followed(self.replaced)
    }
}

const NOT_ATTACHED: u32 = u32::MAX;

/// To attach to a stream whose connection was followed to its end.
pub(crate) const RELEASED: u32 = u32::MAX - 1;

/// Released, and passed over once in search of what can be forgotten.
const FADING: u32 = u32::MAX - 2;

impl Attachments {
    /// What a segment meets. One that opened a stream leaves nothing attached.
    #[inline]
    pub(crate) fn meet(&mut self, located: &Located) -> Met {
        let Some(place) = self.get_mut(located.index) else {
            self.extend_to(located.index);
            return Met {
                attached: None,
                replaced: None,
            };
        };
        let found = Some(*place).filter(|attached| *attached != NOT_ATTACHED);
        let found = found.map(settled);
        match located.opened {
            Opened::No | Opened::SynAckChanged => Met {
                attached: found,
                replaced: None,
            },
            Opened::First | Opened::Reused => {
                *place = NOT_ATTACHED;
                Met {
                    attached: None,
                    replaced: found,
                }
            }
        }
    }

    /// What is attached to the stream of an entry.
    #[inline]
    pub(crate) fn get(&self, index: EntryIndex) -> Option<u32> {
        let attached = *self.of(index).get(index.at())?;
        (attached != NOT_ATTACHED).then(|| settled(attached))
    }

    /// Attaches a number.
    #[inline]
    pub(crate) fn attach(&mut self, index: EntryIndex, slot: u32) {
        if self.get_mut(index).is_none() {
            self.extend_to(index);
        }
        if let Some(place) = self.get_mut(index) {
            *place = slot;
        }
    }

    /// Marks the stream of an entry as released where this number is attached.
    #[inline]
    pub(crate) fn release(&mut self, index: EntryIndex, slot: u32) {
        if let Some(place) = self.get_mut(index)
            && *place == slot
        {
            *place = RELEASED;
        }
    }

    /// Whether an entry can be forgotten. One that is released fades first and goes when it is asked for again, so that its late packets
    /// still find it.
    pub(crate) fn is_forgettable(&mut self, index: EntryIndex) -> bool {
        match self.get_mut(index) {
            Some(place) if *place == RELEASED => {
                *place = FADING;
                false
            }
            Some(place) => matches!(*place, FADING | NOT_ATTACHED),
            None => true,
        }
    }

    /// The entry was forgotten, and the `last` one has taken its place. Returns what is attached to that one.
    pub(crate) fn forget(&mut self, index: EntryIndex, last: EntryIndex) -> Option<u32> {
        self.extend_to(last);
        let all = self.all_of(index);
        if index.at() < all.len() {
            all.swap_remove(index.at());
        }
        self.get(index).filter(|attached| *attached != RELEASED)
    }

    #[inline]
    fn of(&self, index: EntryIndex) -> &Vec<u32> {
        if index.is_v6() { &self.v6 } else { &self.v4 }
    }

    #[inline]
    fn all_of(&mut self, index: EntryIndex) -> &mut Vec<u32> {
        if index.is_v6() {
            &mut self.v6
        } else {
            &mut self.v4
        }
    }

    #[inline]
    fn get_mut(&mut self, index: EntryIndex) -> Option<&mut u32> {
        self.all_of(index).get_mut(index.at())
    }

    #[inline]
    fn extend_to(&mut self, index: EntryIndex) {
        let all = self.all_of(index);
        if all.len() == index.at() {
            // As a rule.
            all.push(NOT_ATTACHED);
        } else if index != EntryIndex::NONE && all.len() < index.at() {
            all.resize(index.at() + 1, NOT_ATTACHED);
        }
    }
}

#[inline]
fn settled(attached: u32) -> u32 {
    if attached == FADING {
        RELEASED
    } else {
        attached
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use wirewhy_packet::{Seq, TcpFlags, TcpHeader};

    use super::*;
    use crate::{Pair, StreamTable};

    /// The stream that the SYN of a client opens, or a later one with other sequence numbers on the same pair.
    fn syn(streams: &mut StreamTable, client: IpAddr, seq: u32) -> Located {
        let pair = Pair {
            source: (client, 1111),
            destination: (client, 80),
        };
        let header = TcpHeader {
            seq: Seq(seq),
            ack: Seq(0),
            flags: TcpFlags::SYN,
            window: 1_000,
            payload_len: 0,
            window_scale: None,
            mptcp_subtypes: 0,
            options_cut: false,
        };
        streams.locate_quoted(&pair, &header)
    }

    #[test]
    fn what_is_forgotten_leaves_what_is_attached_to_others() {
        let (mut streams, mut attachments) = (StreamTable::new(), Attachments::default());
        let mut entries = Vec::new();
        for number in 0..100_u32 {
            let client = if number % 2 == 0 {
                IpAddr::V4(Ipv4Addr::from_bits(number))
            } else {
                IpAddr::V6(Ipv6Addr::from_bits(number.into()))
            };
            let located = syn(&mut streams, client, 1);
            attachments.meet(&located);
            attachments.attach(located.index, number);
            entries.push((client, located.index));
            if number % 3 == 0 {
                attachments.release(located.index, number);
            }
        }
        for _ in 0..60 {
            streams.forget_beyond(20, &mut attachments, |slot, index| {
                let (_, entry) = entries.get_mut(usize::try_from(slot).unwrap()).unwrap();
                *entry = index;
            });
        }
        assert!(streams.remembered() < 80, "{}", streams.remembered());
        for (number, (client, index)) in (0_u32..).zip(entries) {
            let found = syn(&mut streams, client, 1);
            if number % 3 == 0 {
                assert!(matches!(
                    attachments.meet(&found).attached,
                    None | Some(RELEASED)
                ));
            } else {
                assert_eq!((found.index, found.opened), (index, Opened::No));
                assert_eq!(attachments.meet(&found).attached, Some(number));
            }
        }
    }

    #[test]
    fn only_what_is_attached_is_released() {
        let (mut streams, mut attachments) = (StreamTable::new(), Attachments::default());
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let first = syn(&mut streams, client, 1);
        attachments.meet(&first);
        attachments.attach(first.index, 3);
        attachments.release(first.index, 4);
        assert_eq!(attachments.get(first.index), Some(3));
        attachments.release(first.index, 3);
        assert_eq!(attachments.get(first.index), Some(RELEASED));
        attachments.release(EntryIndex::NONE, 3);
    }
}
