//! The names that answers gave to addresses, by who asked for them.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::{Interval, MacAddr, Timestamp};

use super::depend::LookedUp;
use super::groups::Asked;
use crate::Mark;

/// A name that an answer gave to an address.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// The name that was asked for; of a chain of aliases its first.
    pub(super) name: Arc<str>,
    /// Who asked; `None` for multicast DNS, whose answers are for all.
    pub(super) asker: Option<IpAddr>,
    /// The query, where it was seen.
    pub(super) asked: Option<Asked>,
    pub(super) answer: Mark,
    /// How long the lookup took up to then, since its first query; `None` where that was not seen.
    pub(super) took: Option<Interval>,
    pub(super) until: Timestamp,
}

/// Who a name is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Whom {
    /// A host by its address.
    Host(IpAddr),
    /// A host by its MAC address: it may ask over one version of IP and connect over the other.
    Link(MacAddr),
    /// The capturing host itself, which asks a resolver on its loopback interface.
    Own,
    /// All hosts of the link: multicast DNS and its like.
    All,
}

/// Names by address and by whom they are for; the half known longest is forgotten when there are too many.
#[derive(Debug, Default)]
pub(super) struct Names {
    young: Table,
    old: Table,
}

type Table = IndexMap<(IpAddr, Whom), [Option<Named>; 2], RandomState>;

/// How many pairs of address and client are remembered twice over.
const REMEMBERED: usize = 32_768;

/// Applications keep addresses for longer than they may.
const LEAST_LIFE: Interval = Interval::from_secs(600);

impl Named {
    pub(super) fn new(name: Arc<str>, answer: Mark, ttl: u32) -> Named {
        let life = Interval::from_secs(i64::from(ttl)).max(LEAST_LIFE);
        Named {
            name,
            asker: None,
            asked: None,
            answer,
            took: None,
            until: answer.time.after(life),
        }
    }

    /// What a connection to the address has of it.
    pub(super) fn looked_up(&self) -> LookedUp {
        LookedUp {
            name: Arc::clone(&self.name),
            asker: self.asker,
            answer: Some(self.answer),
            took: self.took,
            trouble: None,
        }
    }
}

impl Names {
    /// Takes in that `address` has this name for some client.
    pub(super) fn learn(&mut self, address: IpAddr, whom: Whom, found: Named) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        let key = (address, whom);
        let earlier = self.old.get_mut(&key).map(std::mem::take);
        let [latest, before] = self
            .young
            .entry(key)
            .or_insert_with(|| earlier.unwrap_or_default());
        *before = latest.replace(found);
    }

    /// Whether no name is known.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// The name of `address` for a client at `time`: of its latest answer before.
    pub(super) fn find(
        &self,
        address: IpAddr,
        client: IpAddr,
        link: Option<MacAddr>,
        time: Timestamp,
    ) -> Option<&Named> {
        if self.is_empty() {
            return None;
        }
        let whom = [
            Some(Whom::Host(client)),
            link.map(Whom::Link),
            Some(Whom::Own),
            Some(Whom::All),
        ];
        whom.into_iter().flatten().find_map(|whom| {
            let key = (address, whom);
            let found = self.young.get(&key).or_else(|| self.old.get(&key))?;
            let known = found.iter().flatten();
            let mut lives = known.filter(|found| found.answer.time <= time && time <= found.until);
            lives.next()
        })
    }
}
