//! A quick no to most questions whether something is in a table.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

/// Counts members by hash: what [`Gate::may_hold`] denies is certainly not a member.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    members: usize,
    hashes: RandomState,
    counts: Box<[u16; Gate::CELLS]>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            members: 0,
            hashes: RandomState::default(),
            counts: Box::new([0; Gate::CELLS]),
        }
    }
}

impl Gate {
    const CELLS: usize = 1_024;

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.members == 0
    }

    #[inline]
    pub(super) fn may_hold(&self, member: &impl Hash) -> bool {
        self.counts
            .get(self.cell(member))
            .is_some_and(|count| *count > 0)
    }

    pub(super) fn add(&mut self, member: &impl Hash) {
        self.members += 1;
        let cell = self.cell(member);
        if let Some(count) = self.counts.get_mut(cell) {
            // A cell that is full stays full: it says maybe, which is never wrong.
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn remove(&mut self, member: &impl Hash) {
        self.members = self.members.saturating_sub(1);
        let cell = self.cell(member);
        if let Some(count) = self.counts.get_mut(cell)
            && *count < u16::MAX
        {
            *count = count.saturating_sub(1);
        }
    }

    #[inline]
    fn cell(&self, member: &impl Hash) -> usize {
        let hash = self.hashes.hash_one(member);
        usize::try_from(hash >> 32).unwrap_or(0) % Self::CELLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_never_denied() {
        let mut gate = Gate::default();
        (0..500_u32).for_each(|member| gate.add(&member));
        assert!((0..500_u32).all(|member| gate.may_hold(&member)));
        (0..500_u32).for_each(|member| gate.remove(&member));
        assert!(gate.is_empty());
        assert!((0..500_u32).all(|member| !gate.may_hold(&member)));
    }
}
