//! The rules over many connections, and the catalogue of all codes.

use std::net::IpAddr;

use wirewhy_detect::{DETECTORS, Finding, Limits, Record};
use wirewhy_flow::Neighbours;

use crate::CaptureFaults;
use crate::attempts::{Service, Source};
use crate::detectors::host::idle_timer::IdleEnd;
use crate::detectors::{arp, capture, host, rst, service, tcp};

/// A rule with its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detector {
    /// Its text.
    pub(crate) record: &'static Record,
    /// What it reads.
    pub(crate) rule: Rule,
}

/// A rule, by what it reads. It returns `None`, or nothing, where there is nothing to report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Over the attempts at one service. Of several rules the first that applies is the only one.
    Service(fn(&Service<'_>, &Limits) -> Option<Finding>),
    /// Over the attempts of one source.
    Source(fn(&Source<'_>, &Limits) -> Option<Finding>),
    /// Over the idle times that connections to one host did not survive.
    IdleTimes(fn(&[IdleEnd], &Limits) -> Option<Finding>),
    /// Over the ARP and neighbour discovery messages of the link.
    Link(fn(&Neighbours, &Limits) -> Vec<(IpAddr, Finding)>),
    /// Over what is known of the recording.
    Recording(fn(&CaptureFaults, &Limits) -> Option<Finding>),
    /// Added to single connections by [`Survey::revise`](crate::Survey::revise).
    Connection,
}

/// The rules over many connections, one line each. Where several apply to one thing, the order decides.
pub(crate) const SURVEY: &[Detector] = &[
    tcp::probe::DETECTOR,
    rst::stray_segment::DETECTOR,
    host::syn_flood::DETECTOR,
    service::down::DETECTOR,
    service::flaky::DETECTOR,
    host::port_scan::DETECTOR,
    host::idle_timer::DETECTOR,
    host::address_conflict::DETECTOR,
    arp::unanswered::DETECTOR,
    capture::cut_short::DETECTOR,
    capture::packets_missing::DETECTOR,
    capture::one_direction::DETECTOR,
    capture::truncated_packets::DETECTOR,
    capture::duplicate_packets::DETECTOR,
    capture::time_backwards::DETECTOR,
    capture::offload::DETECTOR,
];

/// The groups of codes, in the order in which they are listed.
const GROUPS: &[&str] = &["tcp", "rst", "tls", "service", "host", "arp", "capture"];

/// Every record of the catalogue, in the order of `wirewhy explain`: by group, and within a group in the order of the rules.
pub fn records() -> impl Iterator<Item = &'static Record> + Clone {
    GROUPS.iter().flat_map(|group| {
        let single = DETECTORS.iter().map(|detector| detector.record);
        let many = SURVEY.iter().map(|detector| detector.record);
        single
            .chain(many)
            .filter(move |record| record.code.split('.').next() == Some(group))
    })
}

/// The record of a code.
#[must_use]
pub fn record_of(code: &str) -> Option<&'static Record> {
    records().find(|record| record.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_in_the_catalogue_once() {
        let mut codes: Vec<&str> = records().map(|record| record.code).collect();
        assert_eq!(codes.len(), DETECTORS.len() + SURVEY.len());
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), DETECTORS.len() + SURVEY.len());
    }
}
