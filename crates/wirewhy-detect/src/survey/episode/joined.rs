//! What several captures tell of one service or source.

use wirewhy_packet::Timestamp;

use super::{Episode, Proof, Said};
use crate::survey::flood::Recorded;
use crate::survey::recording::Recording;
use crate::survey::table::Worth;

/// Which network an address belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Network {
    /// The one in which packets to or from it have this link address.
    Link([u8; 6]),
    /// The one of this recording.
    Of(Recording),
}

/// How a recording stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) recorded: Recorded,
    from: Timestamp,
    until: Timestamp,
    /// Whether files of that name were recorded at the same time: then they are of several.
    pub(super) is_mixed: bool,
}

/// What several captures tell of one service or source.
#[derive(Clone, Debug, Default)]
pub(super) struct Joined<T> {
    pub(super) tally: T,
    /// How many captures hold attempts.
    pub(super) captures: u64,
    /// In how many of them some were in vain.
    pub(super) in_trouble: u64,
    /// The first of those, and the name of the last, by when they begin.
    pub(super) proofs: Vec<(Timestamp, Proof)>,
    pub(super) last: Option<(Timestamp, String)>,
    /// The recordings of those that hold nothing but SYNs and their answers: what those prove others of the same recording
    /// tell.
    pub(super) recordings: Vec<Recording>,
    /// Whether there are more of those than are remembered.
    pub(super) has_more_recordings: bool,
    pub(super) one_direction: bool,
    /// What captures said of it, each by itself.
    pub(super) said: Vec<Said>,
}

impl Standing {
    pub(super) fn new(recorded: Recorded, from: Timestamp, until: Timestamp) -> Standing {
        Standing {
            recorded,
            from,
            until,
            is_mixed: false,
        }
    }

    /// Goes on with the next file.
    pub(super) fn go_on(&mut self, next: Standing) {
        let overlap = self.until.since(next.from);
        self.is_mixed |= overlap > Episode::BACKWARDS;
        self.absorb(next);
    }

    pub(super) fn absorb(&mut self, other: Standing) {
        self.is_mixed |= other.is_mixed;
        self.recorded.syn_acks |= other.recorded.syn_acks;
        self.recorded.beyond_syns |= other.recorded.beyond_syns;
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
    }
}

impl<T> Joined<T> {
    const PROOFS: usize = 5;
    const RECORDINGS: usize = 4;

    /// Counts a capture. Frames are those of attempts in vain.
    pub(super) fn note(
        &mut self,
        (source, from): (&str, Timestamp),
        recording: Recording,
        tallies: (Recorded, bool),
        frames: Vec<u64>,
    ) {
        let (recorded, one_direction) = tallies;
        self.captures += 1;
        if frames.is_empty() {
            return;
        }
        self.in_trouble += 1;
        self.one_direction |= one_direction;
        if !recorded.beyond_syns {
            self.belong_to(recording);
        }
        self.last = std::mem::take(&mut self.last).max(Some((from, source.to_owned())));
        let source = source.to_owned();
        self.proofs.push((from, Proof { source, frames }));
        self.keep_first_proofs();
    }

    fn keep_first_proofs(&mut self) {
        self.proofs.sort_by(|(a_from, a), (b_from, b)| {
            a_from.cmp(b_from).then_with(|| a.source.cmp(&b.source))
        });
        self.proofs.truncate(Self::PROOFS);
    }

    fn belong_to(&mut self, recording: Recording) {
        if self.recordings.contains(&recording) {
            return;
        }
        if self.recordings.len() < Self::RECORDINGS {
            self.recordings.push(recording);
        } else {
            self.has_more_recordings = true;
        }
    }

    /// Takes over what was said of this subject.
    pub(super) fn take_said(&mut self, said: &mut Vec<Said>, subject: &str) {
        said.retain(|said| {
            if said.subject != subject {
                return true;
            }
            self.keep_said(said.clone());
            false
        });
    }

    fn keep_said(&mut self, said: Said) {
        match self.said.iter_mut().find(|known| known.code == said.code) {
            Some(known) => known.add(&said),
            None => self.said.push(said),
        }
    }

    /// Takes in what other captures tell.
    pub(super) fn absorb(&mut self, other: Joined<T>, join: impl FnOnce(&mut T, T)) {
        join(&mut self.tally, other.tally);
        self.captures += other.captures;
        self.in_trouble += other.in_trouble;
        self.proofs.extend(other.proofs);
        self.keep_first_proofs();
        self.last = std::mem::take(&mut self.last).max(other.last);
        for recording in other.recordings {
            self.belong_to(recording);
        }
        self.has_more_recordings |= other.has_more_recordings;
        self.one_direction |= other.one_direction;
        for said in other.said {
            self.keep_said(said);
        }
    }
}

impl<T> Worth for Joined<T> {
    fn is_worth_keeping(&self) -> bool {
        self.in_trouble > 0 || self.captures > 1
    }
}
