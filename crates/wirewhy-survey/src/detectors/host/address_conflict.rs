//! `host.address-conflict`: two MAC addresses claim one IP address.

use std::net::IpAddr;

use indexmap::IndexMap;
use wirewhy_flow::{Claimant, Contest, LinkId, Neighbour, Neighbours};
use wirewhy_packet::MacAddr;

use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::{count, span};
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "host.address-conflict",
    group: Group::Host,
    title: "Two MAC addresses claim one IP address",
    severity: Severity::Warning,
    means: "Two network cards say that this IP address is theirs. Which of them a neighbour talks to changes with every ARP or neighbour \
            discovery answer, so connections hang, are reset or reach the wrong machine, now and then.",
    recognised: "Two MAC addresses answer the same request; or claims pass from one to the other and back, and back again, within a \
                 minute; or a host that asks whether the address is free (RFC 5227, RFC 4862) receives the answer that it is not.",
    look_alikes: "An address handed over (failover of VRRP or keepalived, DHCP, a container or a private MAC address) moves once and \
                  does not come back at once. Proxy ARP answers for many and claims nothing of its own. Virtual routers (VRRP, HSRP, \
                  GLBP) share MAC addresses on purpose. One machine with two cards in one network, or a bond that balances by ARP, \
                  shows two MAC addresses too: look whose they are.",
    check_next: &[
        "Whose are the two MAC addresses? The first three bytes name the maker; the switch's table (show mac address-table) the port.",
        "A static address inside the DHCP range, a cloned virtual machine, a forgotten device: take one of them off the link.",
        "If one of them answers for the gateway and is not the gateway, it may be there to intercept traffic (ARP spoofing).",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Link(find),
};

/// Addresses one MAC address must dispute with others, or probe for, before it is taken for a proxy, or for a sweep.
const MANY: usize = 4;

/// Addresses one MAC address must answer for, and never speak for of its own accord, before it is taken for a proxy: more
/// than a host has.
const MORE_THAN_ITS_OWN: usize = 32;

/// Two MAC addresses at one IP address, and what shows it.
struct Conflict<'a> {
    pair: [MacAddr; 2],
    how: How<'a>,
}

enum How<'a> {
    /// Both answer the same requests.
    Both,
    /// They take it from each other.
    InTurn { returns: u64 },
    /// One was answered that the other has it.
    Contested(&'a Contest),
}

/// The findings, by address.
fn find(neighbours: &Neighbours, limits: &Limits) -> Vec<(IpAddr, Finding)> {
    let roles = LinkRoles::of(neighbours);
    let conflicts = neighbours
        .hosts()
        .filter(|(_, address, _)| !is_link_local(*address));
    conflicts
        .filter_map(|(place, address, host)| {
            let conflict = Conflict::of(place, host, &roles, limits)?;
            Some((address, conflict.finding(address, host)))
        })
        .collect()
}

/// On every link the same addresses, and captures do not always tell links apart.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// For how many addresses each MAC address speaks without being theirs, or asks whether they are free.
#[derive(Default)]
struct LinkRoles {
    answers_for: IndexMap<(LinkId, MacAddr), usize>,
    disputes: IndexMap<(LinkId, MacAddr), usize>,
    probes_for: IndexMap<(LinkId, MacAddr), usize>,
}

impl LinkRoles {
    fn of(neighbours: &Neighbours) -> LinkRoles {
        let mut roles = LinkRoles::default();
        for (place, _, host) in neighbours.hosts() {
            for claimant in host.claimants.iter().filter(|claimant| claimant.own == 0) {
                let key = (place, claimant.mac);
                *roles.answers_for.entry(key).or_default() += 1;
                if host.claimants.len() > 1 {
                    *roles.disputes.entry(key).or_default() += 1;
                }
            }
            if let Some(contest) = &host.contested {
                *roles.probes_for.entry((place, contest.prober)).or_default() += 1;
            }
        }
        roles
    }

    fn is_proxy(&self, place: LinkId, claimant: &Claimant) -> bool {
        let key = (place, claimant.mac);
        let many = |table: &IndexMap<(LinkId, MacAddr), usize>, least| {
            table.get(&key).is_some_and(|count| *count >= least)
        };
        claimant.own == 0
            && (many(&self.disputes, MANY) || many(&self.answers_for, MORE_THAN_ITS_OWN))
    }

    fn sweeps(&self, place: LinkId, prober: MacAddr) -> bool {
        let probes = self.probes_for.get(&(place, prober));
        probes.is_some_and(|many| *many >= MANY)
    }
}

/// MAC addresses that several machines share, or that move between them: VRRP and CARP (RFC 9568 section 7.3), HSRP, GLBP,
/// and the ones of Microsoft's load balancing.
fn is_shared(mac: MacAddr) -> bool {
    matches!(
        mac.0,
        [0x00, 0x00, 0x5e, 0x00, 0x01 | 0x02, _]
            | [0x00, 0x00, 0x0c, 0x07, 0xac, _]
            | [0x00, 0x00, 0x0c, 0x9f, 0xf0..=0xff, _]
            | [0x00, 0x05, 0x73, 0xa0, _, _]
            | [0x00, 0x07, 0xb4, _, _, _]
            | [0x02 | 0x03, 0xbf, _, _, _, _]
    )
}

impl<'a> Conflict<'a> {
    fn of(
        place: LinkId,
        host: &'a Neighbour,
        roles: &LinkRoles,
        limits: &Limits,
    ) -> Option<Conflict<'a>> {
        let counts =
            |claimant: &&Claimant| !is_shared(claimant.mac) && !roles.is_proxy(place, claimant);
        let mut claimants = host.claimants.iter().filter(counts);
        let pair = claimants.next().zip(claimants.next());
        if let Some((one, other)) = pair {
            let pair = [one.mac, other.mac];
            if host.answered_twice.count > 0 {
                return Some(Conflict {
                    pair,
                    how: How::Both,
                });
            }
            let twice = |claimant: &Claimant| claimant.answers.saturating_add(claimant.own) > 1;
            let back = host.returns.iter().filter(|_| twice(one) && twice(other));
            let returns = back
                .filter(|back| back.after <= limits.conflict_window)
                .count();
            let returns = u64::try_from(returns).unwrap_or(u64::MAX);
            if returns >= u64::from(limits.conflict_returns) {
                return Some(Conflict {
                    pair,
                    how: How::InTurn { returns },
                });
            }
        }
        let contest = host.contested.as_ref()?;
        let plain = !is_shared(contest.prober) && !is_shared(contest.owner);
        (plain && !roles.sweeps(place, contest.prober)).then_some(Conflict {
            pair: [contest.owner, contest.prober],
            how: How::Contested(contest),
        })
    }

    fn finding(&self, address: IpAddr, host: &Neighbour) -> Finding {
        let protocol = if address.is_ipv4() {
            "ARP"
        } else {
            "neighbour discovery"
        };
        let [one, other] = self.pair;
        let what = match &self.how {
            How::Both => format!(
                "{one} and {other} both answer for {address} in {protocol}, to {}",
                count(host.answered_twice.count, "same request"),
            ),
            How::InTurn { returns } => format!(
                "{one} and {other} claim {address} in turn in {protocol}: it went back and forth {} within a minute each",
                count(*returns, "time"),
            ),
            How::Contested(contest) => format!(
                "{other} asked whether {address} is free, and {one} answered {} later that it has it ({protocol})",
                span(contest.answer.time.since(contest.probe.time)),
            ),
        };
        let claims: Vec<u64> = host
            .claimants
            .iter()
            .filter(|claimant| self.pair.contains(&claimant.mac))
            .map(|claimant| u64::from(claimant.answers) + u64::from(claimant.own))
            .collect();
        Finding {
            code: RECORD.code,
            severity: Severity::Warning,
            confidence: Confidence::Likely,
            culprit: Role::Unknown.into(),
            summary: what,
            frames: self.frames(host),
            facts: Facts::default()
                .with(
                    "link_addresses",
                    self.pair.map(|mac| mac.to_string()).to_vec(),
                )
                .with("claims", claims)
                .with("answered_twice", host.answered_twice.count)
                .with(
                    "returns",
                    u64::try_from(host.returns.len()).unwrap_or(u64::MAX),
                )
                .with("contested", matches!(self.how, How::Contested(_)))
                .with("protocol", protocol),
            consequence_of: None,
        }
    }

    fn frames(&self, host: &Neighbour) -> Vec<u64> {
        let mut frames = match &self.how {
            How::Both => host.answered_twice.frames.clone(),
            How::InTurn { .. } => host.returns.iter().map(|back| back.mark.frame).collect(),
            How::Contested(contest) => vec![contest.answer.frame, contest.probe.frame],
        };
        let ours = host
            .claimants
            .iter()
            .filter(|claimant| self.pair.contains(&claimant.mac));
        frames.extend(ours.map(|claimant| claimant.first.frame));
        let mut seen = Vec::new();
        frames.retain(|frame| {
            let is_new = !seen.contains(frame);
            seen.push(*frame);
            is_new
        });
        frames.truncate(Finding::MAX_FRAMES);
        frames
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Link;
    use wirewhy_detect::{Confidence, Role};

    const ANN: u8 = 1;
    const BOB: u8 = 2;

    #[test]
    fn two_hosts_answer_one_request() {
        for v6 in [false, true] {
            let mut link = Link::new(v6);
            link.asks(0.0, 9, 5);
            link.answers(0.001, ANN, 5, 9);
            link.answers(0.002, BOB, 5, 9);
            let found = link.findings();
            assert_eq!(found.len(), 1, "{found:?}");
            let (subject, finding) = &found[0];
            assert_eq!(
                (finding.code, subject),
                ("host.address-conflict", &link.address(5))
            );
            assert_eq!(
                (finding.confidence, finding.culprit.role),
                (Confidence::Likely, Role::Unknown)
            );
            assert_eq!(finding.frames, [3, 2]);
        }
    }

    #[test]
    fn two_hosts_take_it_from_each_other() {
        let mut link = Link::new(false);
        for (second, who) in [(0.0, ANN), (5.0, BOB), (10.0, ANN), (15.0, BOB)] {
            link.announces(second, who, 5);
        }
        assert_eq!(link.codes(), ["host.address-conflict"]);
    }

    #[test]
    fn a_host_is_told_that_its_address_is_taken() {
        for v6 in [false, true] {
            let mut link = Link::new(v6);
            link.probes(0.0, BOB, 5);
            link.answers(0.1, ANN, 5, BOB);
            assert_eq!(link.codes(), ["host.address-conflict"]);
        }
    }

    #[test]
    fn an_address_is_handed_over() {
        // A failover and the way back, minutes later; a lease given to another host; a container after the other.
        let mut link = Link::new(false);
        for (second, who) in [
            (0.0, ANN),
            (1.0, ANN),
            (30.0, BOB),
            (31.0, BOB),
            (50.0, ANN),
            (51.0, ANN),
        ] {
            link.announces(second, who, 5);
        }
        for (n, who) in (10..20).enumerate() {
            link.probes(60.0 + n as f64, who, 6);
            link.announces(60.5 + n as f64, who, 6);
        }
        assert!(link.codes().is_empty());
    }

    #[test]
    fn a_host_that_leaves_and_comes_back_hours_later() {
        let mut link = Link::new(false);
        for n in 0..6 {
            link.announces(
                f64::from(n) * 7_200.0,
                if n % 2 == 0 { ANN } else { BOB },
                5,
            );
        }
        assert!(link.codes().is_empty());
    }

    #[test]
    fn a_proxy_answers_for_many() {
        let mut link = Link::new(false);
        for host in 15..22 {
            let at = f64::from(host);
            link.asks(at, 9, host);
            link.answers(at + 0.001, 200, host, 9);
            link.asks(at + 0.1, 100 + host, 9);
            link.claims_asking(at + 0.2, 100 + host, host, 9);
            link.asks(at + 0.3, 9, host);
            link.answers(at + 0.301, 200, host, 9);
            link.answers(at + 0.302, 100 + host, host, 9);
        }
        assert!(link.codes().is_empty(), "{:?}", link.findings());
    }

    #[test]
    fn virtual_routers_share_an_address() {
        let mut link = Link::new(false);
        link.mac(1, [0, 0, 0x5e, 0, 1, 7]);
        for n in 0..8 {
            link.announces(f64::from(n), if n % 2 == 0 { 1 } else { BOB }, 5);
        }
        assert!(link.codes().is_empty());
    }

    #[test]
    fn switches_that_track_devices_probe_everybody() {
        let mut link = Link::new(false);
        for host in 10..20 {
            link.probes(f64::from(host), 200, host);
            link.answers(f64::from(host) + 0.001, host, host, 200);
        }
        assert!(link.codes().is_empty());
    }
}
