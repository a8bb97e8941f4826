//! The attempts at one service, of several captures together.
//!
//! What two captures both show counts once: failed attempts are subtracted where the samples tell that they are the same, and
//! rather too many of them where the samples do not hold them all. Attempts that worked are subtracted only where it is
//! certain, so that joining can make a service look better than it was, and not worse.

use super::sample::Shared;
use super::service::{Failures, ServiceTally};
use crate::Role;

impl ServiceTally {
    /// Adds the attempts of another capture.
    pub(super) fn join(&mut self, mut other: ServiceTally) {
        let shared = self.sample.shared(&other.sample);
        self.leave_out(&mut other, shared);
        self.sample.merge(&other.sample);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.worked = self.worked.saturating_add(other.worked);
        self.left = self.left.saturating_add(other.left);
        self.unsettled = self.unsettled.saturating_add(other.unsettled);
        self.undecided = self.undecided.saturating_add(other.undecided);
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
        self.working = match (self.working, other.working) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
        self.working_ttls.join(other.working_ttls);
        for client in other.working_clients.into_iter().flatten() {
            self.add_working_client(client);
        }
        match (&mut self.failures, other.failures) {
            (Some(failures), Some(more)) => failures.join(&more),
            (failures @ None, more) => *failures = more,
            (Some(_), None) => {}
        }
        match (&mut self.flood, other.flood) {
            (Some(flood), Some(more)) => flood.join(&more, shared),
            (flood @ None, more) => *flood = more,
            (Some(_), None) => {}
        }
    }

    /// Whether attempts of the one are attempts of the other, seen in another place.
    pub(super) fn is_that_of(&self, other: &ServiceTally) -> bool {
        self.sample.shared(&other.sample).is_some()
    }

    /// Leaves out of `other` what is counted here, and out of both what failed in the one and not in the other: who asks
    /// again across the end of a file is answered in the next.
    fn leave_out(&mut self, other: &mut ServiceTally, shared: Shared) {
        if !shared.is_some() {
            return;
        }
        withdraw(self, shared.failed_here);
        withdraw(other, shared.failed_there);
        let all = other.failures.as_ref().map_or(0, |failures| failures.count);
        withdraw(other, shared.failed_of(all));
        if shared.is_exact {
            let same = shared.others.min(other.worked);
            other.worked -= same;
            other.attempts = other.attempts.saturating_sub(shared.others);
        }
    }
}

/// Takes back so many failures.
fn withdraw(tally: &mut ServiceTally, number: u32) {
    let Some(failures) = &mut tally.failures else {
        return;
    };
    let number = number.min(failures.count);
    tally.attempts = tally.attempts.saturating_sub(number);
    failures.withdraw(number);
    if failures.count == 0 {
        tally.failures = None;
    }
}

impl Failures {
    fn withdraw(&mut self, number: u32) {
        self.count = self.count.saturating_sub(number);
        // Which of them they were is not known: what most of them have in common has the least right to them.
        if let Some((_, most)) = self.kinds.iter_mut().max_by_key(|(_, count)| *count) {
            *most = most.saturating_sub(number);
        }
        self.kinds.retain(|(_, count)| *count > 0);
        self.in_vain = self.in_vain.saturating_sub(number);
        self.sure = self.sure.saturating_sub(number);
        self.answered = self.answered.saturating_sub(number);
    }

    fn join(&mut self, other: &Failures) {
        self.count = self.count.saturating_add(other.count);
        self.in_vain = self.in_vain.saturating_add(other.in_vain);
        self.sure = self.sure.saturating_add(other.sure);
        for (code, more) in &other.kinds {
            let room = self.kinds.len() < Self::KINDS;
            match self.kinds.iter_mut().find(|(known, _)| known == code) {
                Some((_, count)) => *count = count.saturating_add(*more),
                None if room => self.kinds.push((code, *more)),
                None => {}
            }
        }
        if self.culprit.role != other.culprit.role {
            self.culprit = Role::Unknown.into();
        } else if self.culprit.address != other.culprit.address {
            self.culprit.address = None;
        }
        self.confidence = self.confidence.max(other.confidence);
        self.clients.join(&other.clients);
        for client in &other.known_clients {
            self.know_client(*client);
        }
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
        self.ttls.join(other.ttls);
        self.answered = self.answered.saturating_add(other.answered);
    }
}
