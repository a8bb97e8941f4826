//! Connections in trouble, folded by root cause and service in bounded memory.

use std::net::IpAddr;

use wirewhy_detect::{Diagnosis, Finding, Severity};

use super::cause::{Cause, Problem};
use super::detail::behind;
use super::explained::{Reach, Whose};
use super::instance::Instance;
use crate::view::chain;

/// How many services are kept apart, over all causes. When more come, those with the fewest connections are folded
/// into the count of their cause.
const MAX_SERVICES: usize = 4096;

/// How many clients of one cause are kept apart, those with the most connections: whether one of them is a scanner shows only
/// at the end.
const MAX_SOURCES: usize = 16;

/// How many other clients of one cause are remembered to see how often they come.
const MET: usize = 64;

/// With so many codes, and services behind them, what is behind others is not kept apart any more.
const MAX_STORIES: usize = 256;

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
    /// The service and the root cause of the connections behind all of them, where these are known.
    behind: Option<(Service, String)>,
    /// Those of clients that are kept apart.
    sources: Vec<Source>,
    rest: Option<Cause>,
    /// Clients in `rest` and how often they came, by a few bits of their addresses: less one for each other client of the same
    /// bits.
    met: Vec<(Option<IpAddr>, u64)>,
    /// No client that is kept apart came less often.
    fewest: u64,
}

/// The connections of one client.
#[derive(Debug)]
struct Source {
    client: IpAddr,
    /// How often it had come before it was kept apart.
    before: u64,
    cause: Cause,
}

impl Source {
    /// How often it came in all.
    fn times(&self) -> u64 {
        self.before.saturating_add(self.cause.connections())
    }
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
    pub(super) fn add(&mut self, diagnosis: &Diagnosis, place: u64) {
        let findings = &diagnosis.findings;
        let Some(root) = self.root(diagnosis) else {
            return;
        };
        let instance = Instance::of(&diagnosis.connection);
        let severities = findings.iter().map(|finding| finding.severity);
        let severity = severities.fold(root.severity, Severity::max);
        let follows = |finding: &Finding| {
            let last = chain(findings, finding).last();
            last.is_some_and(|last| last.code == root.code)
        };
        let others = findings.iter().filter(|finding| {
            let is_notable = finding.severity >= Severity::Warning || follows(finding);
            is_notable && finding.code != root.code
        });
        self.count_with(&instance, (root, severity, place), others);
    }

    /// Counts a connection about which nothing but its root cause was found.
    pub(super) fn count(&mut self, instance: &Instance<'_>, root: &Finding, place: u64) {
        if root.severity >= self.least {
            self.count_with(instance, (root, root.severity, place), std::iter::empty());
        }
    }

    fn count_with<'a>(
        &mut self,
        instance: &Instance<'_>,
        (root, severity, place): (&Finding, Severity, u64),
        others: impl Iterator<Item = &'a Finding> + Clone,
    ) {
        self.make_room();
        let behind = behind(root).filter(|_| self.codes.len() < MAX_STORIES);
        let at = self.codes.iter().position(|known| {
            let own = known.behind.as_ref();
            known.code == root.code && own.map(|(service, code)| (*service, &**code)) == behind
        });
        let at = at.unwrap_or_else(|| {
            self.codes.push(Code {
                code: root.code,
                behind: behind.map(|(service, code)| (service, code.to_owned())),
                sources: Vec::new(),
                rest: None,
                met: Vec::new(),
                fewest: 0,
            });
            self.codes.len() - 1
        });
        if let Some(code) = self.codes.get_mut(at) {
            let cause = code.of_source(instance.client, root, place);
            self.services += cause.count(instance, (root, severity, place), others);
        }
    }

    /// Whether what the only finding about a connection says is kept, if it is counted now: it is an example.
    pub(super) fn keeps_words(&mut self, instance: &Instance<'_>, root: &Finding) -> bool {
        if root.severity < self.least {
            return false;
        }
        self.make_room();
        let mut codes = self.codes.iter();
        // What is behind others has words.
        let code = codes.find(|known| known.code == root.code && known.behind.is_none());
        let cause = code.and_then(|code| code.kept(instance.client));
        cause.is_none_or(|cause| cause.keeps_words_of(instance.service))
    }

    /// The root cause of a connection that counts.
    fn root<'a>(&self, diagnosis: &'a Diagnosis) -> Option<&'a Finding> {
        let worst = diagnosis
            .findings
            .iter()
            .map(|finding| finding.severity)
            .max();
        diagnosis.root_cause().filter(|_| worst >= Some(self.least))
    }

    fn make_room(&mut self) {
        if self.services >= self.room {
            self.fold();
        }
    }

    fn causes(&mut self) -> impl Iterator<Item = &mut Cause> {
        self.codes.iter_mut().flat_map(|code| {
            let sources = code.sources.iter_mut().map(|source| &mut source.cause);
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
    /// The connections of one client; of many where too many have this cause, until the client came more often than one of
    /// those: a flood of forged addresses costs no more than one address.
    fn of_source(&mut self, client: IpAddr, root: &Finding, place: u64) -> &mut Cause {
        let mut at = self.place_of(client);
        let is_full = self.sources.len() >= MAX_SOURCES;
        let before = match at {
            None if is_full => self.came_often(client),
            None => Some(0),
            Some(_) => None,
        };
        if let Some(before) = before {
            if is_full {
                self.merge_smallest();
            }
            at = Some(self.sources.len());
            self.sources.push(Source {
                client,
                before,
                cause: Cause::new(root, place),
            });
        }
        match at.and_then(|at| self.sources.get_mut(at)) {
            Some(source) => &mut source.cause,
            None => self.rest.get_or_insert_with(|| Cause::new(root, place)),
        }
    }

    fn place_of(&self, client: IpAddr) -> Option<usize> {
        let mut sources = self.sources.iter();
        sources.position(|source| source.client == client)
    }

    /// Where the next connection of a client is counted; `None` where it is the first of its kind.
    fn kept(&self, client: IpAddr) -> Option<&Cause> {
        if let Some(at) = self.place_of(client) {
            return self.sources.get(at).map(|source| &source.cause);
        }
        let (met, times) = self.met.get(slot(client))?;
        let is_full = self.sources.len() >= MAX_SOURCES;
        let may_move = *met == Some(client) && *times >= self.fewest;
        let moves = may_move && *times >= self.smallest()?.1;
        self.rest.as_ref().filter(|_| is_full && !moves)
    }

    /// The place of the client that came least often of those that are kept apart, and how often it came.
    fn smallest(&self) -> Option<(usize, u64)> {
        let times = self.sources.iter().map(Source::times).enumerate();
        times.min_by_key(|(_, times)| *times)
    }

    fn merge_smallest(&mut self) {
        let Some((at, _)) = self.smallest() else {
            return;
        };
        let Source { cause, .. } = self.sources.swap_remove(at);
        self.rest = Some(merged(self.rest.take(), cause));
    }

    /// Takes in that a client came that is not kept apart. Returns how often it had come before, where with this time it came
    /// more often than one that is.
    fn came_often(&mut self, client: IpAddr) -> Option<u64> {
        if self.met.is_empty() {
            self.met.resize(MET, (None, 0));
        }
        let (met, times) = self.met.get_mut(slot(client))?;
        if *met != Some(client) {
            match *times {
                0 | 1 => (*met, *times) = (Some(client), 1),
                _ => *times -= 1,
            }
            return None;
        }
        *times += 1;
        let before = *times - 1;
        if before < self.fewest {
            return None;
        }
        self.fewest = self.smallest()?.1;
        if before < self.fewest {
            return None;
        }
        *self.met.get_mut(slot(client))? = (None, 0);
        Some(before)
    }

    /// How many connections are in reach.
    fn connections(&self, reach: &Reach) -> u64 {
        let sources = self.sources.iter();
        match reach.whose {
            Whose::Source(source) => sources
                .filter(|known| known.client == source)
                .map(|known| known.cause.connections())
                .sum(),
            Whose::Service(_) | Whose::Host(_) => sources
                .map(|source| &source.cause)
                .chain(&self.rest)
                .map(|cause| cause.connections_to(|service| reach.holds(service)))
                .sum(),
        }
    }

    fn take(&mut self, reach: &Reach) -> Option<Problem> {
        let mut taken: Option<Cause> = None;
        if let Whose::Source(source) = reach.whose {
            let at = self.place_of(source);
            taken = at.map(|at| self.sources.swap_remove(at).cause);
            // Before it came again it was one of many.
            let rest = self.rest.as_mut();
            let first = rest.and_then(|rest| rest.take(|found| found.tally.is_only_of(source)));
            if let Some(first) = first {
                taken = Some(merged(taken, first));
            }
        } else {
            let all = self.sources.iter_mut().map(|source| &mut source.cause);
            for cause in all.chain(&mut self.rest) {
                if let Some(part) = cause.take(|found| reach.holds(found.service)) {
                    taken = Some(merged(taken, part));
                }
            }
        }
        self.sources.retain(|source| source.cause.connections() > 0);
        self.rest = self.rest.take().filter(|cause| cause.connections() > 0);
        taken.map(Cause::into_problem)
    }

    fn into_cause(self) -> Option<Cause> {
        let sources = self.sources.into_iter().map(|source| source.cause);
        sources
            .chain(self.rest)
            .reduce(|one, other| merged(Some(one), other))
    }
}

/// Where a client that is not kept apart is remembered.
fn slot(client: IpAddr) -> usize {
    let bits = match client {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    usize::try_from((bits ^ (bits >> 64)) % MET as u128).unwrap_or(0)
}

fn merged(into: Option<Cause>, cause: Cause) -> Cause {
    let Some(mut all) = into else {
        return cause;
    };
    all.merge(cause);
    all
}
