//! `arp.unanswered`: no host on the link answers for an address that another needs.

use std::net::IpAddr;

use indexmap::IndexMap;
use wirewhy_flow::{Asking, Hearing, LinkId, Neighbours};
use wirewhy_packet::{Interval, MacAddr};

use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Culprit, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "arp.unanswered",
    group: Group::Link,
    title: "No host on the link answers for this address",
    severity: Severity::Error,
    means: "A host on this link keeps asking by ARP or neighbour discovery who has the address, and no host answers. As long as that \
            lasts not one packet is sent to it: applications see \"no route to host\", and no SYN is ever captured.",
    recognised: "At least 5 requests of one host without a sign of life of the address between them or afterwards, or 3 where the \
                 address had been there before; or at least 10 that were answered in the end. Only where the capture would show \
                 the answers: it was taken at the host that asks, or shows what several others send to it.",
    look_alikes: "On a switch the requests of every host are seen, and none of the answers: such a capture proves nothing. A host that starts \
                  asks whether its own address is free and wants no answer. A sweep (a scanner, monitoring, a router in front of unused \
                  addresses) asks for many addresses a few times each. A sleeping or slow host answers a second later.",
    check_next: &[
        "Is the machine on, plugged in, and in this VLAN? Look for its MAC address in the switch's table.",
        "Is the address right (a typing error, an old entry in DNS or in a configuration)? Is the asker's network mask right?",
        "Does the target itself filter ARP or neighbour discovery (arptables, nft table arp, IPv6 filters that drop ICMPv6)?",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Link(find),
};

/// Addresses a host asks for without an answer, without ever having seen them, that make it one who sweeps.
const SWEEP: usize = 8;

/// Requests for one address, of all that ask for it.
struct Unanswered<'a> {
    asking: &'a Asking,
    asker: MacAddr,
    hearing: Hearing,
    others: u32,
    answered_later: bool,
}

/// The findings, by address.
fn find(neighbours: &Neighbours, limits: &Limits) -> Vec<(IpAddr, Finding)> {
    let sweeps = sweeps(neighbours);
    let mut found: IndexMap<(LinkId, IpAddr), Unanswered<'_>> = IndexMap::new();
    for (place, target, asker, asking) in neighbours.askings() {
        let hearing = hearing(neighbours, asker, asking);
        let answered_later = answered_later(neighbours, place, target, asking);
        let sweeping = sweeps.get(&asker).is_some_and(|many| *many >= SWEEP);
        if hearing == Hearing::Unknown
            || !keeps_asking(asking, answered_later, limits)
            || (sweeping && !is_needed(asking))
        {
            continue;
        }
        if let Some(known) = found.get_mut(&(place, target)) {
            known.others += 1;
            continue;
        }
        let unanswered = Unanswered {
            asking,
            asker,
            hearing,
            others: 0,
            answered_later,
        };
        found.insert((place, target), unanswered);
    }
    found
        .into_iter()
        .map(|((_, target), unanswered)| (target, unanswered.finding(target)))
        .collect()
}

fn hearing(neighbours: &Neighbours, asker: MacAddr, asking: &Asking) -> Hearing {
    if asking.outgoing == Some(true) {
        Hearing::Sure
    } else {
        neighbours.hearing(asker)
    }
}

fn answered_later(neighbours: &Neighbours, place: LinkId, target: IpAddr, asking: &Asking) -> bool {
    neighbours
        .host(place, target)
        .and_then(|host| host.alive)
        .is_some_and(|alive| alive.time >= asking.longest.last)
}

/// Enough requests in a row. An operating system gives up after three and tells the application; more come only if a program
/// still wants to know.
fn keeps_asking(asking: &Asking, answered_later: bool, limits: &Limits) -> bool {
    let least = match (answered_later, asking.longest.known_before) {
        (true, _) => limits.arp_requests.saturating_mul(2),
        (false, true) => limits.arp_requests_known,
        (false, false) => limits.arp_requests,
    };
    asking.longest.frames.count >= u64::from(least)
}

/// Addresses a host asks for without an answer that were never there.
fn sweeps(neighbours: &Neighbours) -> IndexMap<MacAddr, usize> {
    let mut sweeps: IndexMap<MacAddr, usize> = IndexMap::new();
    for (place, target, asker, asking) in neighbours.askings() {
        if !asking.longest.known_before && !answered_later(neighbours, place, target, asking) {
            *sweeps.entry(asker).or_default() += 1;
        }
    }
    sweeps
}

/// Among many addresses asked for without an answer, one that is missed: it was there before, or is asked for without end.
fn is_needed(asking: &Asking) -> bool {
    let run = &asking.longest;
    let count = i64::try_from(run.frames.count).unwrap_or(i64::MAX);
    let steady = run.last.since(run.first) <= Interval::from_secs(count.saturating_mul(10));
    run.known_before || (count >= 10 && steady)
}

impl Unanswered<'_> {
    fn finding(&self, target: IpAddr) -> Finding {
        let run = &self.asking.longest;
        let protocol = if target.is_ipv4() {
            "ARP"
        } else {
            "neighbour discovery"
        };
        let took = run.last.since(run.first).max(Interval::ZERO);
        let others = match self.others {
            0 => String::new(),
            1 => " (and 1 other host)".to_owned(),
            others => format!(" (and {others} other hosts)"),
        };
        let then = match (self.answered_later, run.known_before) {
            (true, _) => "; then there was an answer",
            (false, true) => "; it had been there before",
            (false, false) => "; it was never seen",
        };
        let sure = self.hearing == Hearing::Sure;
        Finding {
            code: RECORD.code,
            severity: Severity::Error,
            confidence: if sure {
                Confidence::Likely
            } else {
                Confidence::Possible
            },
            culprit: Culprit::new(Role::Server, target),
            summary: format!(
                "{}{others} asked {} times in {} by {protocol} who has {target}, and no host answered{then}",
                self.asking.asker,
                run.frames.count,
                span(took),
            ),
            frames: run.frames.frames.clone(),
            facts: Facts::default()
                .with("requests", run.frames.count)
                .with("asker", self.asking.asker)
                .with("asker_link_address", self.asker.to_string())
                .with("other_askers", self.others)
                .with("span_seconds", took)
                .with("known_before", run.known_before)
                .with("answered_later", self.answered_later)
                .with("protocol", protocol),
            consequence_of: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Link;
    use wirewhy_detect::Confidence;

    /// Host 9 is where the capture was taken: it talks to 1 and 2.
    fn at_nine(v6: bool) -> Link {
        let mut link = Link::new(v6);
        for n in 0..4 {
            link.talks(f64::from(n) * 0.01, 9, 1);
            link.talks(f64::from(n) * 0.01 + 0.001, 1, 9);
            link.talks(f64::from(n) * 0.01 + 0.002, 2, 9);
        }
        link
    }

    #[test]
    fn somebody_asks_and_asks() {
        for v6 in [false, true] {
            let mut link = at_nine(v6);
            for n in 0..6 {
                link.asks(f64::from(n) + 1.0, 9, 77);
            }
            let found = link.findings();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(
                (found[0].1.code, &found[0].0),
                ("arp.unanswered", &link.address(77))
            );
            assert_eq!(found[0].1.confidence, Confidence::Likely);
            assert!(found[0].1.summary.contains("asked 6 times in 5.0 s"));
        }
    }

    #[test]
    fn one_that_was_there_is_missed_sooner() {
        let mut link = at_nine(false);
        link.asks(1.0, 9, 77);
        link.answers(1.001, 77, 77, 9);
        for n in 0..3 {
            link.asks(f64::from(n) + 50.0, 9, 77);
        }
        assert_eq!(link.codes(), ["arp.unanswered"]);
    }

    #[test]
    fn a_refresh_that_is_lost_and_one_failed_attempt() {
        let mut link = at_nine(false);
        link.asks(1.0, 9, 77);
        link.answers(1.001, 77, 77, 9);
        link.asks(30.0, 9, 77);
        for n in 0..3 {
            link.asks(f64::from(n) + 50.0, 9, 78);
        }
        assert!(link.codes().is_empty());
    }

    #[test]
    fn a_host_that_answers_a_second_later() {
        let mut link = at_nine(false);
        for n in 0..4 {
            link.asks(f64::from(n) + 1.0, 9, 77);
        }
        link.answers(5.0, 77, 77, 9);
        assert!(link.codes().is_empty());
    }

    #[test]
    fn one_whose_packets_are_seen_is_there() {
        let mut link = at_nine(false);
        for n in 0..20 {
            link.asks(f64::from(n) + 1.0, 9, 77);
            link.talks(f64::from(n) + 1.5, 77, 1);
        }
        assert!(link.codes().is_empty());
    }

    #[test]
    fn the_questions_of_others_on_a_switch() {
        let mut link = at_nine(false);
        for n in 0..20 {
            link.asks(f64::from(n) + 1.0, 1, 77);
        }
        assert!(link.codes().is_empty());
    }

    #[test]
    fn with_one_other_host_either_may_be_the_capturing_one() {
        let mut link = Link::new(false);
        link.talks(0.0, 9, 1);
        link.talks(0.1, 1, 9);
        for n in 0..6 {
            link.asks(f64::from(n) + 1.0, 9, 77);
        }
        let found = link.findings();
        assert_eq!(found[0].1.confidence, Confidence::Possible);
    }

    #[test]
    fn a_sweep_misses_nobody() {
        let mut link = at_nine(false);
        for round in 0..6 {
            for host in 100..140 {
                link.asks(f64::from(round) * 60.0 + f64::from(host) * 0.1, 9, host);
            }
        }
        assert!(link.codes().is_empty());
    }

    #[test]
    fn whether_an_address_is_free() {
        let mut link = at_nine(false);
        for n in 0..10 {
            link.probes(f64::from(n) + 1.0, 9, 77);
            link.announces(f64::from(n) + 1.5, 9, 9);
        }
        assert!(link.codes().is_empty());
    }
}
