//! What the captures of an episode show together.

use std::cmp::Reverse;
use std::hash::Hash;
use std::net::IpAddr;

use indexmap::IndexMap;
use wirewhy_packet::Timestamp;

use super::joined::{Joined, Network, Standing};
use super::{Across, Episode, Judgement, Said};
use crate::detectors::{down, flaky, port_scan, syn_flood};
use crate::survey::attempts::{Scanners, about_service};
use crate::survey::flood::Recorded;
use crate::survey::recording::Recording;
use crate::survey::service::{Failures, ServiceTally};
use crate::survey::source::SourceTally;
use crate::wording::socket_of;
use crate::{Confidence, Finding, Limits, Scope, Severity};

type Recordings = IndexMap<Recording, Standing>;

/// What is known of one subject in one network.
struct Subject<S, T> {
    subject: S,
    network: Network,
    /// Whether every capture kept an account of it.
    is_known: bool,
    joined: Joined<T>,
}

/// What is known of an address and port in all networks: they may be one.
#[derive(Clone, Copy, Default)]
struct Anywhere {
    worked: u32,
    is_reached: bool,
}

type Elsewhere = IndexMap<(IpAddr, u16), Anywhere>;

pub(super) fn of(episode: Episode, limits: &Limits) -> Judgement {
    let Episode {
        services,
        sources,
        other_services,
        other_sources,
        alive,
        recordings,
        mut scanners,
        said,
        ..
    } = episode;
    let mut judgement = Judgement {
        across: Vec::new(),
        said: said.into_values().collect(),
    };
    let lost = sources.lost().clone();
    let sources = sources
        .into_iter()
        .map(|((address, network), joined)| Subject {
            subject: address,
            network,
            is_known: !other_sources.has(address) && !lost.has((address, network)),
            joined,
        });
    let sources = united(
        sources,
        &recordings,
        SourceTally::is_that_of,
        |tally, more| tally.join(more, limits),
    );
    let mut fruitful: IndexMap<IpAddr, u64> = IndexMap::new();
    for source in &sources {
        let sum = fruitful.entry(source.subject).or_default();
        *sum = sum.saturating_add(source.joined.tally.fruitful());
    }
    let at_work = sources
        .iter()
        .filter(|source| source.joined.tally.scans(limits));
    scanners.extend(at_work.map(|source| source.subject));
    for source in sources {
        let found = fruitful.get(&source.subject).copied().unwrap_or_default();
        judgement.judge_source(source, &recordings, found, limits);
    }
    let lost = services.lost().clone();
    let services = services
        .into_iter()
        .map(|((address, port, network), joined)| Subject {
            subject: (address, port),
            network,
            is_known: !other_services.has((address, port)) && !lost.has((address, port, network)),
            joined,
        });
    let mut services = united(
        services,
        &recordings,
        ServiceTally::is_that_of,
        ServiceTally::join,
    );
    let mut elsewhere: Elsewhere = IndexMap::new();
    for service in &mut services {
        let tally = &mut service.joined.tally;
        tally.doubt_unsettled();
        let sum = elsewhere.entry(service.subject).or_default();
        sum.worked = sum.worked.saturating_add(tally.worked);
        sum.is_reached |= tally.worked > 0 || tally.left > 0 || tally.goes_on();
        sum.is_reached |= alive.has(service.subject);
    }
    for service in services {
        judgement.judge_service(service, &recordings, &elsewhere, &scanners, limits);
    }
    judgement
        .across
        .sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    judgement
}

/// Takes two networks for one where the same attempts were seen in both: captures of both sides of a router.
fn united<S: Hash + Eq + Copy, T>(
    subjects: impl Iterator<Item = Subject<S, T>>,
    recordings: &Recordings,
    is_same: impl Fn(&T, &T) -> bool,
    join: impl Fn(&mut T, T),
) -> Vec<Subject<S, T>> {
    let mut united: Vec<Subject<S, T>> = Vec::new();
    let mut places: IndexMap<S, Vec<usize>> = IndexMap::new();
    for next in subjects {
        let known = places.entry(next.subject).or_default();
        let is_one = next.joined.is_of_one_recording(next.network, recordings);
        let same = known.iter().copied().find(|place| {
            united.get(*place).is_some_and(|known| {
                is_one
                    && known.joined.is_of_one_recording(known.network, recordings)
                    && is_same(&known.joined.tally, &next.joined.tally)
            })
        });
        match same.and_then(|place| united.get_mut(place)) {
            Some(known) => {
                known.is_known &= next.is_known;
                known.joined.absorb(next.joined, &join);
            }
            None => {
                known.push(united.len());
                united.push(next);
            }
        }
    }
    united
}

fn order(across: &Across) -> (Reverse<Severity>, Timestamp, &str, &str) {
    let severity = across.finding.severity;
    let (subject, source) = (across.subject.as_str(), across.last_source.as_str());
    (Reverse(severity), across.first, subject, source)
}

/// Whether the share of those that failed is that of a flaky service beside so many that worked.
fn fails_often(tally: &ServiceTally, worked: u32, limits: &Limits) -> bool {
    let failed = tally.failures.as_ref().map_or(0, |failures| failures.count);
    let all = f64::from(failed) + f64::from(worked);
    f64::from(failed) >= limits.flaky_share * all
}

/// Whether most of those that failed did so in one way, and enough of them. Over hours every service fails somebody in one
/// way or another.
fn fails_alike(tally: &ServiceTally, limits: &Limits) -> bool {
    tally.failures.as_deref().is_some_and(|failures| {
        let (_, most) = failures.main_kind().unwrap_or_default();
        most >= limits.flaky_failures && most >= failures.count - most
    })
}

/// Whether a finding over captures tells what a single one said, and more.
fn is_told_better(said: &Said, finding: &Finding) -> bool {
    said.code == finding.code || said.code.starts_with("service.")
}

impl<T> Joined<T> {
    /// Whether files that look like those of one recording are.
    fn is_of_one_recording(&self, network: Network, recordings: &Recordings) -> bool {
        match network {
            Network::Link(_) => true,
            Network::Of(recording) => recordings
                .get(&recording)
                .is_some_and(|standing| !standing.is_mixed),
        }
    }

    /// What is known to have been recorded where attempts were in vain; nothing where nothing can be concluded from it.
    fn recorded(&self, network: Network, recordings: &Recordings) -> Option<Recorded> {
        if !self.is_of_one_recording(network, recordings) {
            return None;
        }
        if self.has_more_recordings {
            return Some(Recorded::default());
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

    /// Whether a capture says so by itself.
    fn was_said(&self, code: &str) -> bool {
        self.said.iter().any(|said| said.code == code)
    }

    /// Marks what was said by captures although others show that it is not so.
    fn contradict(&mut self, code: &str) {
        for said in self.said.iter_mut().filter(|said| said.code == code) {
            said.contradicted = said.captures;
        }
    }
}

impl Judgement {
    fn judge_source(
        &mut self,
        source: Subject<IpAddr, SourceTally>,
        recordings: &Recordings,
        found_anywhere: u64,
        limits: &Limits,
    ) {
        let (address, joined) = (source.subject, source.joined);
        let finding = joined
            .recorded(source.network, recordings)
            .filter(|_| source.is_known && joined.tally.scans_beside(found_anywhere, limits))
            .and_then(|recorded| port_scan::find(address, &joined.tally, &recorded, limits))
            .filter(|finding| joined.in_trouble > 1 || !joined.was_said(finding.code));
        let when = joined.tally.tried.as_ref();
        let when = when.map(|tried| (tried.first, tried.last));
        self.conclude(Scope::Host, address.to_string(), joined, finding.zip(when));
    }

    fn judge_service(
        &mut self,
        service: Subject<(IpAddr, u16), ServiceTally>,
        recordings: &Recordings,
        elsewhere: &Elsewhere,
        scanners: &Scanners,
        limits: &Limits,
    ) {
        let ((address, port), mut joined) = (service.subject, service.joined);
        let tally = &joined.tally;
        let finding = joined
            .recorded(service.network, recordings)
            .filter(|_| service.is_known)
            .and_then(|recorded| about_service(tally, &recorded, scanners, limits))
            .filter(|finding| {
                if finding.code == syn_flood::RECORD.code {
                    return joined.in_trouble > 1 || !joined.was_said(finding.code);
                }
                let is_known = joined.captures == 1 && joined.was_said(finding.code);
                // Under a flood nobody gets through, be it seen in one capture only.
                if is_known || joined.was_said(syn_flood::RECORD.code) {
                    return false;
                }
                let anywhere = elsewhere.get(&service.subject).copied().unwrap_or_default();
                let is_so_anywhere = if finding.code == down::RECORD.code {
                    !anywhere.is_reached
                } else {
                    fails_often(tally, anywhere.worked, limits)
                };
                is_so_anywhere
                    && fails_alike(tally, limits)
                    && !tally
                        .failures
                        .as_deref()
                        .is_some_and(Failures::are_of_strangers)
            });
        if finding.is_none() && joined.captures > 1 {
            // What was under way at the end of a capture counts as working there, and as nothing here.
            joined.contradict(if joined.tally.worked > 0 {
                down::RECORD.code
            } else {
                flaky::RECORD.code
            });
        }
        let tally = &joined.tally;
        let flood = tally.flood.as_ref();
        let first = [tally.first, flood.and_then(|flood| flood.first)];
        let last = tally.last.max(flood.and_then(|flood| flood.last));
        let when = first.into_iter().flatten().min().zip(last);
        let subject = socket_of(address, port);
        self.conclude(Scope::Service, subject, joined, finding.zip(when));
    }

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
            proofs: joined.proofs.into_iter().map(|(_, proof)| proof).collect(),
            in_trouble: joined.in_trouble,
            last_source: joined.last.map(|(_, source)| source).unwrap_or_default(),
        };
        self.across.push((across, replaced));
    }
}
