//! What the captures of an episode show together.

use std::cmp::Reverse;
use std::net::IpAddr;

use indexmap::{IndexMap, IndexSet};
use wirewhy_packet::Timestamp;

use super::joined::{Joined, Network, Standing};
use super::{Across, Episode, Judgement, Said};
use crate::detectors::{down, port_scan, refused, syn_flood, syn_unanswered, unreachable};
use crate::survey::attempts::about_service;
use crate::survey::flood::Recorded;
use crate::survey::recording::Recording;
use crate::survey::service::ServiceTally;
use crate::wording::socket_of;
use crate::{Confidence, Finding, Limits, Scope, Severity};

type Recordings = IndexMap<Recording, Standing>;

pub(super) fn of(episode: Episode, limits: &Limits) -> Judgement {
    let Episode {
        services,
        sources,
        other_services,
        other_sources,
        recordings,
        mut scanners,
        said,
        ..
    } = episode;
    let mut judgement = Judgement {
        across: Vec::new(),
        said: said.into_values().collect(),
    };
    let at_work = sources
        .iter()
        .filter(|(_, joined)| joined.tally.scans(limits));
    scanners.extend(at_work.map(|((address, _), _)| *address));
    let lost = sources.lost().clone();
    for ((address, network), joined) in sources.into_iter() {
        let is_known = !other_sources.has(address) && !lost.has((address, network));
        let finding = joined
            .recorded(network, &recordings)
            .filter(|_| is_known && joined.in_trouble > 1)
            .and_then(|recorded| port_scan::find(address, &joined.tally, &recorded, limits));
        let when = joined.tally.tried.as_ref();
        let when = when.map(|tried| (tried.first, tried.last));
        let subject = address.to_string();
        judgement.conclude(Scope::Host, subject, joined, finding.zip(when));
    }
    let reached: IndexSet<(IpAddr, u16)> = services
        .iter()
        .filter(|(_, joined)| joined.tally.worked > 0 || joined.tally.left > 0)
        .map(|((address, port, _), _)| (*address, *port))
        .collect();
    let lost = services.lost().clone();
    for ((address, port, network), mut joined) in services.into_iter() {
        let is_known = !other_services.has((address, port)) && !lost.has((address, port, network));
        joined.tally.doubt_unsettled();
        // The same address may be reached another way.
        let down_here_only = |finding: &Finding| {
            finding.code == down::RECORD.code && reached.contains(&(address, port))
        };
        let finding = joined
            .recorded(network, &recordings)
            .filter(|_| is_known && joined.captures > 1)
            .and_then(|recorded| about_service(&joined.tally, &recorded, &scanners, limits))
            .filter(|finding| {
                if finding.code == syn_flood::RECORD.code {
                    joined.in_trouble > 1
                } else {
                    !down_here_only(finding) && !turns_strangers_away(&joined.tally)
                }
            });
        if finding.is_none() && joined.tally.worked > 0 {
            joined.contradict(down::RECORD.code);
        }
        let when = joined.tally.first.zip(joined.tally.last);
        judgement.conclude(
            Scope::Service,
            socket_of(address, port),
            joined,
            finding.zip(when),
        );
    }
    judgement
        .across
        .sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    judgement
}

fn order(across: &Across) -> (Reverse<Severity>, Timestamp, &str, &str) {
    let severity = across.finding.severity;
    let (subject, source) = (across.subject.as_str(), across.last_source.as_str());
    (Reverse(severity), across.first, subject, source)
}

/// Whether those who failed are strangers who knocked about once each and were turned away at the door: every address of
/// the Internet is tried all day, and each is right to refuse.
fn turns_strangers_away(tally: &ServiceTally) -> bool {
    let at_the_door = [
        refused::RECORD.code,
        syn_unanswered::RECORD.code,
        unreachable::RECORD.code,
    ];
    tally.failures.as_deref().is_some_and(|failures| {
        let once = u64::from(failures.count) < failures.clients.count().saturating_mul(2);
        let mut clients = failures.known_clients.iter();
        once && clients.all(|client| is_of_the_internet(*client))
            && failures
                .main_kind()
                .is_some_and(|(code, _)| at_the_door.contains(&code))
    })
}

/// Whether an address is one of the Internet at large (IANA's special-purpose registries name the others).
fn is_of_the_internet(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let is_carrier_grade = a == 100 && (64..128).contains(&b);
            let is_benchmark = a == 198 && (18..20).contains(&b);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || a == 0
                || is_carrier_grade
                || is_benchmark)
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
        }
    }
}

/// Whether a finding over captures tells what a single one said, and more.
fn is_told_better(said: &Said, finding: &Finding) -> bool {
    said.code == finding.code || said.code.starts_with("service.")
}

impl<T> Joined<T> {
    /// What is known to have been recorded where attempts were in vain; nothing where nothing can be concluded from it.
    fn recorded(&self, network: Network, recordings: &Recordings) -> Option<Recorded> {
        if self.has_more_recordings {
            return None;
        }
        if let Network::Of(recording) = network
            && recordings.get(&recording)?.is_mixed
        {
            return None;
        }
        let mut all = Recorded {
            syn_acks: true,
            beyond_syns: true,
        };
        for recording in &self.recordings {
            let recorded = recordings.get(recording)?.recorded;
            all.syn_acks &= recorded.syn_acks;
            all.beyond_syns &= recorded.beyond_syns;
        }
        Some(all)
    }

    /// Marks what was said by captures although others show that it is not so.
    fn contradict(&mut self, code: &str) {
        for said in self.said.iter_mut().filter(|said| said.code == code) {
            said.contradicted = said.captures;
        }
    }
}

impl Judgement {
    fn conclude<T>(
        &mut self,
        scope: Scope,
        subject: String,
        joined: Joined<T>,
        found: Option<(Finding, (Timestamp, Timestamp))>,
    ) {
        let said = joined.said;
        let Some((mut finding, (first, last))) = found else {
            self.said.extend(said);
            return;
        };
        let (replaced, left): (Vec<Said>, Vec<Said>) = said
            .into_iter()
            .partition(|said| is_told_better(said, &finding));
        self.said.extend(left);
        if joined.one_direction {
            finding.confidence = Confidence::Possible;
        }
        let across = Across {
            scope,
            subject,
            finding,
            first,
            last,
            captures: joined.captures,
            proofs: joined.proofs,
            in_trouble: joined.in_trouble,
            last_source: joined.last_source,
        };
        self.across.push((across, replaced));
    }
}
