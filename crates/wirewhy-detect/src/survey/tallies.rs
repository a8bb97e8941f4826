//! What one capture tells a survey over many: its attempts by service and by source, in few bytes.
//!
//! Services that failed somebody come first, then the busiest of the others, and of all that have no room only that they
//! were there: a survey over captures must not say of a service that none got through where somebody did.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;

use foldhash::quality::FixedState;
use serde::{Deserialize, Serialize};
use wirewhy_packet::MacAddr;

use super::filter::Filter;
use super::flood::Recorded;
use super::sample::Sample;
use super::service::ServiceTally;
use super::source::SourceTally;
use super::table::{Table, Worth};
use crate::Limits;

/// The attempts of one capture, by service and by source; to be written down and read back.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tallies {
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) services: Vec<Service>,
    /// Services that are not among them.
    #[serde(rename = "so", default, skip_serializing_if = "Filter::is_empty")]
    pub(super) other_services: Filter,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sources: Vec<Source>,
    /// Sources that are not among them.
    #[serde(rename = "co", default, skip_serializing_if = "Filter::is_empty")]
    pub(super) other_sources: Filter,
    /// Services that were talked with in connections that opened before the capture began.
    #[serde(rename = "t", default, skip_serializing_if = "Filter::is_empty")]
    pub(super) alive: Filter,
    #[serde(rename = "r", default)]
    pub(super) recorded: Recorded,
    /// Whether most of the capture shows one direction only.
    #[serde(rename = "h", default)]
    pub(super) one_direction: bool,
}

/// The attempts at one service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Service {
    #[serde(rename = "ip")]
    pub(super) address: IpAddr,
    #[serde(rename = "port")]
    pub(super) port: u16,
    /// See [`telling`].
    #[serde(rename = "mac", default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<[u8; 6]>,
    #[serde(rename = "v")]
    pub(super) tally: ServiceTally,
}

/// The attempts of one source.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Source {
    #[serde(rename = "ip")]
    pub(super) address: IpAddr,
    /// See [`telling`].
    #[serde(rename = "mac", default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<[u8; 6]>,
    #[serde(rename = "v")]
    pub(super) tally: SourceTally,
}

impl Tallies {
    /// Services in trouble, and others, of which more is told than that they are there.
    const TROUBLED_SERVICES: usize = 512;
    const OTHER_SERVICES: usize = 256;
    /// The same of sources. One that tried in vain takes a kilobyte, or seven where it tried much.
    const TROUBLED_SOURCES: usize = 16;
    const OTHER_SOURCES: usize = 32;
    /// How many frames of each are told.
    const FRAMES: usize = 4;

    pub(super) fn new(
        services: &Table<(IpAddr, u16), ServiceTally>,
        sources: &Table<IpAddr, SourceTally>,
        recorded: Recorded,
        one_direction: bool,
        limits: &Limits,
    ) -> Tallies {
        let (services, other_services) = picked(
            services,
            |tally| (half_open_and_failed(tally), tally.attempts),
            (Self::TROUBLED_SERVICES, Self::OTHER_SERVICES),
        );
        let (sources, other_sources) = picked(
            sources,
            |tally| {
                let tried = tally.has_tried();
                (tally.fruitless.max(u32::from(tried)), tally.attempts)
            },
            (Self::TROUBLED_SOURCES, Self::OTHER_SOURCES),
        );
        Tallies {
            services: services
                .into_iter()
                .map(|((address, port), tally)| Service {
                    address: *address,
                    port: *port,
                    link: tally.next_hop.and_then(|mac| telling(mac, *address)),
                    tally: tally.carried(Self::FRAMES, limits),
                })
                .collect(),
            other_services,
            sources: sources
                .into_iter()
                .map(|(address, tally)| Source {
                    address: *address,
                    link: tally.mac.and_then(|mac| telling(mac, *address)),
                    tally: tally.carried(Self::FRAMES),
                })
                .collect(),
            other_sources,
            alive: Filter::default(),
            recorded,
            one_direction,
        }
    }

    /// The same for the same attempts.
    pub(super) fn fingerprint(&self) -> u64 {
        let services = self.services.iter();
        let attempts: Vec<(IpAddr, u16, &Sample)> = services
            .map(|service| (service.address, service.port, &service.tally.sample))
            .collect();
        FixedState::with_seed(4).hash_one(attempts)
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.services.len() + self.sources.len()
    }

    /// Whether no attempt was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn half_open_and_failed(tally: &ServiceTally) -> u32 {
    let failed = tally.failures.as_ref().map_or(0, |failures| failures.count);
    let half_open = tally.flood.as_ref().map_or(0, |flood| flood.half_open());
    failed.saturating_add(half_open)
}

/// An entry of a table.
type Entry<'a, K, V> = (&'a K, &'a V);

/// Those most in trouble, then those with most attempts, and the keys of all others.
fn picked<K: Hash + Eq + Copy + Ord, V: Default + Worth>(
    table: &Table<K, V>,
    worth: impl Fn(&V) -> (u32, u32),
    (in_trouble, others): (usize, usize),
) -> (Vec<Entry<'_, K, V>>, Filter) {
    let mut all: Vec<Entry<'_, K, V>> = table.iter().collect();
    // Of equals the lower key: the order of the table depends on what it gave up.
    all.sort_by_cached_key(|(key, tally)| (Reverse(worth(tally)), **key));
    let well = all.partition_point(|(_, tally)| worth(tally).0 > 0);
    let mut rest = all.split_off(well);
    let mut left_out = all.split_off(in_trouble.min(all.len()));
    left_out.extend(rest.split_off(others.min(rest.len())));
    all.append(&mut rest);
    let mut filter = table.lost().clone();
    if !left_out.is_empty() {
        let mut more = Filter::for_keys(left_out.len());
        for (key, _) in left_out {
            more.add(key);
        }
        filter.merge(&more);
    }
    (all, filter)
}

/// A link address that tells one network from another: nobody else's. Not those that are everywhere, nor those made from
/// the IP address, which the same address has in another network.
pub(super) fn telling(mac: MacAddr, address: IpAddr) -> Option<[u8; 6]> {
    let [a, b, c, d, e, f] = mac.0;
    // Nobody, or everybody (IEEE 802 group bit).
    let is_nobody = mac.0 == [0; 6] || a & 1 == 1;
    // VRRP and CARP (RFC 9568 section 7.3), HSRP, GLBP.
    let is_shared = matches!(
        [a, b, c, d, e],
        [0, 0, 0x5e, 0, 1 | 2]
            | [0, 0, 0x0c, 0x07, 0xac]
            | [0, 0, 0x0c, 0x9f, 0xf0..=0xff]
            | [0, 0x07, 0xb4, _, _]
    );
    let is_derived = match address {
        IpAddr::V4(address) => address.octets() == [c, d, e, f],
        IpAddr::V6(_) => false,
    };
    // Containers and virtual machines whose address holds that of the interface or its gateway (02:42 of Docker, 42:01 of
    // Google's cloud).
    let is_made = matches!([a, b], [0x02 | 0x42, 0x42 | 0x01]) && is_private(c, d);
    (!is_nobody && !is_shared && !is_derived && !is_made).then_some(mac.0)
}

fn is_private(first: u8, second: u8) -> bool {
    matches!(
        (first, second),
        (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(mac: [u8; 6], address: &str) -> bool {
        telling(MacAddr(mac), address.parse().unwrap()).is_some()
    }

    #[test]
    fn link_addresses_that_are_everywhere_tell_nothing() {
        assert!(told([0x52, 0x54, 0, 0x12, 0x34, 0x56], "10.0.0.1"));
        assert!(!told([0; 6], "127.0.0.1"));
        assert!(!told([0xff; 6], "10.0.0.1"));
        assert!(!told([0, 0, 0x5e, 0, 1, 7], "10.0.0.1"));
        assert!(!told([0, 0, 0x0c, 0x07, 0xac, 1], "10.0.0.1"));
        assert!(!told([2, 0x42, 172, 17, 0, 2], "172.17.0.2"));
        assert!(!told([2, 0x42, 172, 17, 0, 1], "8.8.8.8"));
        assert!(!told([0x42, 1, 10, 128, 0, 1], "10.128.0.7"));
    }
}
