//! The rules over many connections, and the catalogue of all codes.

use wirewhy_detect::{DETECTORS, Group, Record};

use crate::detectors::{arp, capture, dns, ftp, host, rst, service, tcp};
use crate::rule::SurveyDetector;

/// The rules over many connections, one line each. Where several apply to one thing, the order decides.
pub(crate) const SURVEY: &[SurveyDetector] = &[
    tcp::option_blackhole::DETECTOR,
    tcp::probe::DETECTOR,
    rst::stray_segment::DETECTOR,
    ftp::data_connection_failed::DETECTOR,
    ftp::control_lost::DETECTOR,
    host::syn_flood::DETECTOR,
    service::down::DETECTOR,
    service::flaky::DETECTOR,
    host::port_scan::DETECTOR,
    host::idle_timer::DETECTOR,
    host::address_conflict::DETECTOR,
    arp::unanswered::DETECTOR,
    dns::timeout::DETECTOR,
    dns::nxdomain::DETECTOR,
    dns::servfail::DETECTOR,
    dns::refused::DETECTOR,
    dns::slow::DETECTOR,
    dns::tcp_blocked::DETECTOR,
    dns::fragments_lost::DETECTOR,
    dns::conflicting_answers::DETECTOR,
    capture::cut_short::DETECTOR,
    capture::packets_missing::DETECTOR,
    capture::one_direction::DETECTOR,
    capture::truncated_packets::DETECTOR,
    capture::duplicate_packets::DETECTOR,
    capture::time_backwards::DETECTOR,
    capture::offload::DETECTOR,
];

/// Every record of the catalogue, in the order of `wirewhy explain`: by group, and within a group in the order of the rules.
pub fn records() -> impl Iterator<Item = &'static Record> + Clone {
    Group::ALL.into_iter().flat_map(|group| {
        let single = DETECTORS.iter().map(|detector| detector.record);
        let many = SURVEY.iter().map(|detector| detector.record);
        single
            .chain(many)
            .filter(move |record| record.group == group)
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
        for record in records() {
            let group = record.code.split('.').next();
            assert_eq!(group, Some(record.group.name()), "{}", record.code);
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), DETECTORS.len() + SURVEY.len());
    }

    #[test]
    fn what_explains_a_code_is_in_the_catalogue() {
        for record in records() {
            for code in record.explained_by.iter().flat_map(|cause| cause.codes()) {
                assert!(record_of(code).is_some(), "{}: {code}", record.code);
                assert_ne!(code, record.code);
            }
        }
    }
}
