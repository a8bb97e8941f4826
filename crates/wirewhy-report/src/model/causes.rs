//! Connections in trouble, folded by root cause and service in bounded memory.

use std::net::IpAddr;

use wirewhy_detect::{Finding, Judged, Severity};

use super::cause::{Cause, Problem};
use super::explained::{Reach, Whose};
use crate::view::chain;

/// How many services are kept apart, over all causes. When more come, those with the fewest connections are folded
/// into the count of their cause.
const MAX_SERVICES: usize = 4096;

/// How many clients of one cause are kept apart, those with the most connections: whether one of them is a scanner shows only
/// at the end.
const MAX_SOURCES: usize = 16;

/// How many other clients of one cause are remembered to see whether they come again.
const MET: usize = 64;

/// The address and port of a server.
pub(crate) type Service = (IpAddr, u16);

/// Everything that went wrong so far.
#[derive(Debug)]
pub(super) struct Causes {
    least: Severity,
    codes: Vec<Code>,
    services: usize,
    /// Beyond so many services some are to be folded.
    room: usize,
}

/// All connections with one root cause.
#[derive(Debug)]
struct Code {
    code: &'static str,
    /// Those of clients that are kept apart.
    sources: Vec<(IpAddr, Cause)>,
    rest: Option<Cause>,
    /// Clients in `rest` that may come again, by a few bits of their addresses.
    met: Vec<Option<IpAddr>>,
}

impl Causes {
    pub(super) fn new(least: Severity) -> Causes {
        Causes {
            least,
            codes: Vec::new(),
            services: 0,
            room: MAX_SERVICES,
        }
    }

    /// Counts a connection under its root cause, with everything else that was found about it. `place` is its place among all
    /// connections.
    pub(super) fn add(&mut self, judged: &Judged, place: u64) {
        let findings = &judged.findings;
        let Some(severity) = findings.iter().map(|finding| finding.severity).max() else {
            return;
        };
        let Some(root) = judged.root_cause().filter(|_| severity >= self.least) else {
            return;
        };
        let follows = |finding: &Finding| {
            let last = chain(findings, finding).last();
            last.is_some_and(|last| last.code == root.code)
        };
        let others = findings.iter().filter(|finding| {
            let is_notable = finding.severity >= Severity::Warning || follows(finding);
            is_notable && finding.code != root.code
        });
        if self.services >= self.room {
            self.fold();
        }
        let at = self.codes.iter().position(|known| known.code == root.code);
        let at = at.unwrap_or_else(|| {
            self.codes.push(Code {
                code: root.code,
                sources: Vec::new(),
                rest: None,
                met: Vec::new(),
            });
            self.codes.len() - 1
        });
        if let Some(code) = self.codes.get_mut(at) {
            let cause = code.of_source(judged.connection.client.address, root, place);
            self.services += cause.count(&judged.connection, (root, severity, place), others);
        }
    }

    fn causes(&mut self) -> impl Iterator<Item = &mut Cause> {
        self.codes.iter_mut().flat_map(|code| {
            let sources = code.sources.iter_mut().map(|(_, cause)| cause);
            sources.chain(code.rest.as_mut())
        })
    }

    /// Keeps the quarter of the services with the most connections. Every cause keeps the count of all its connections.
    fn fold(&mut self) {
        let mut sizes: Vec<u64> = self
            .causes()
            .filter(|cause| cause.can_fold())
            .flat_map(|cause| cause.sizes())
            .collect();
        let quarter = MAX_SERVICES / 4;
        let least = if sizes.len() > quarter {
            let (_, least, _) = sizes.select_nth_unstable_by(quarter, |a, b| b.cmp(a));
            *least
        } else {
            0
        };
        for cause in self.causes().filter(|cause| cause.can_fold()) {
            cause.keep_larger_than(least);
        }
        self.services = self.causes().map(|cause| cause.sizes().count()).sum();
        // What may not be folded takes room of its own.
        self.room = MAX_SERVICES.max(self.services.saturating_mul(2));
    }

    /// Takes out the connections that something beyond them explains: all of a source, all to a service or to a host. Nothing
    /// where there are more than it accounts for.
    pub(super) fn take(&mut self, reach: &Reach) -> Vec<Problem> {
        let explained = self.codes.iter().filter(|code| reach.covers(code.code));
        let connections = explained.map(|code| code.connections(reach)).sum();
        if !reach.accounts_for(connections) {
            return Vec::new();
        }
        let codes = self.codes.iter_mut();
        let explained = codes.filter(|code| reach.covers(code.code));
        explained.filter_map(|code| code.take(reach)).collect()
    }

    /// What is left, as one problem for each cause at one service, or at many.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let codes = self.codes.into_iter();
        codes
            .filter_map(Code::into_cause)
            .flat_map(Cause::into_problems)
            .collect()
    }
}

impl Code {
    /// The connections of one client; of many where too many have this cause, until the client comes again: a flood of forged
    /// addresses costs no more than one address.
    fn of_source(&mut self, source: IpAddr, root: &Finding, place: u64) -> &mut Cause {
        let known = self.sources.iter().position(|(known, _)| *known == source);
        let is_full = self.sources.len() >= MAX_SOURCES;
        let mut at = known;
        if known.is_none() && (!is_full || self.comes_again(source)) {
            if is_full {
                self.merge_smallest();
            }
            at = Some(self.sources.len());
            self.sources.push((source, Cause::new(root, place)));
        }
        match at.and_then(|at| self.sources.get_mut(at)) {
            Some((_, cause)) => cause,
            None => self.rest.get_or_insert_with(|| Cause::new(root, place)),
        }
    }

    fn merge_smallest(&mut self) {
        let sources = self.sources.iter().enumerate();
        let smallest = sources.min_by_key(|(_, (_, cause))| cause.connections());
        let Some(at) = smallest.map(|(at, _)| at) else {
            return;
        };
        let (_, cause) = self.sources.swap_remove(at);
        self.rest = Some(merged(self.rest.take(), cause));
    }

    /// Whether a client that is not kept apart was met lately.
    fn comes_again(&mut self, source: IpAddr) -> bool {
        if self.met.is_empty() {
            self.met.resize(MET, None);
        }
        let bits = match source {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let slot = usize::try_from((bits ^ (bits >> 64)) % MET as u128).unwrap_or(0);
        let met = self.met.get_mut(slot);
        met.is_some_and(|met| met.replace(source) == Some(source))
    }

    /// How many connections are in reach.
    fn connections(&self, reach: &Reach) -> u64 {
        let sources = self.sources.iter();
        match reach.whose {
            Whose::Source(source) => sources
                .filter(|(known, _)| *known == source)
                .map(|(_, cause)| cause.connections())
                .sum(),
            Whose::Service(_) | Whose::Host(_) => sources
                .map(|(_, cause)| cause)
                .chain(&self.rest)
                .map(|cause| cause.connections_to(|service| reach.holds(service)))
                .sum(),
        }
    }

    fn take(&mut self, reach: &Reach) -> Option<Problem> {
        let mut taken: Option<Cause> = None;
        if let Whose::Source(source) = reach.whose {
            let at = self.sources.iter().position(|(known, _)| *known == source);
            taken = at.map(|at| self.sources.swap_remove(at).1);
            // Before it came again it was one of many.
            let rest = self.rest.as_mut();
            let first = rest.and_then(|rest| rest.take(|found| found.tally.is_only_of(source)));
            if let Some(first) = first {
                taken = Some(merged(taken, first));
            }
        } else {
            let all = self.sources.iter_mut().map(|(_, cause)| cause);
            for cause in all.chain(&mut self.rest) {
                if let Some(part) = cause.take(|found| reach.holds(found.service)) {
                    taken = Some(merged(taken, part));
                }
            }
        }
        self.sources.retain(|(_, cause)| cause.connections() > 0);
        self.rest = self.rest.take().filter(|cause| cause.connections() > 0);
        taken.map(Cause::into_problem)
    }

    fn into_cause(self) -> Option<Cause> {
        let sources = self.sources.into_iter().map(|(_, cause)| cause);
        sources
            .chain(self.rest)
            .reduce(|one, other| merged(Some(one), other))
    }
}

fn merged(into: Option<Cause>, cause: Cause) -> Cause {
    let Some(mut all) = into else {
        return cause;
    };
    all.merge(cause);
    all
}
