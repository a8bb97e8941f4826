//! What the findings of connections with one cause say, and in what they differ.

use std::net::IpAddr;
use std::sync::Arc;

use wirewhy_detect::{Confidence, Finding, Role, Value};

use super::causes::Service;

/// How many culprits are kept apart. Addresses are kept only while they are few: a scan blames a different host each time.
const MAX_CULPRITS: usize = 8;

/// How many facts are compared, and how many values of one are counted: what has more of them is a name, no kind.
const MAX_FACTS: usize = 12;
const MAX_VALUES: usize = 6;

/// Longer texts are no kinds either.
const MAX_LENGTH: usize = 48;

/// Facts that name a connection, a certificate or a place, or that are shown elsewhere: they say not what went wrong.
const NAMES: [&str; 28] = [
    "stage",
    "vantage",
    "server_name",
    "subject",
    "client_subject",
    "subject_at_fault",
    "issuer",
    "root",
    "missing",
    "serial",
    "not_before",
    "not_after",
    "valid_from",
    "valid_until",
    "captured_at",
    "revoked_at",
    "version",
    "cipher_suite",
    "trigger",
    "asked_for",
    "name_asked_for",
    "known_timer",
    "product",
    "stray_address",
    "sender",
    "roots",
    "alert_seen",
    "upstream_cause",
];

/// The findings about the connections of a problem.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    /// The finding of the first of them.
    pub(crate) example: Arc<Finding>,
    culprits: Vec<(Blame, u64)>,
    confidences: Vec<(Confidence, u64)>,
    also: Vec<(&'static str, u64)>,
    /// The kinds of each, by fact.
    facts: Vec<Kinds>,
    /// The service and the root cause of the connections that made these fail, where it is one, and of how many.
    behind: Option<(Service, String, u64)>,
    /// The place of the first of them among all connections.
    place: u64,
    /// Whether it is about more connections than these, so that it tells what there is, and not how often.
    is_of_more: bool,
}

/// Whom a finding blames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Blame {
    pub(crate) role: Role,
    pub(crate) address: Option<IpAddr>,
    /// How surely; nothing where it is not known who did it.
    pub(crate) confidence: Option<Confidence>,
}

impl Blame {
    pub(crate) fn of(finding: &Finding) -> Blame {
        Blame {
            role: finding.culprit.role,
            address: finding.culprit.address,
            confidence: finding.culprit_confidence(),
        }
    }
}

/// The values of one fact, and how often each.
#[derive(Clone, Debug)]
struct Kinds {
    fact: &'static str,
    values: Vec<(Value, u64)>,
    /// More than are counted.
    many: bool,
}

impl Detail {
    pub(super) fn new(example: Arc<Finding>, place: u64) -> Detail {
        Detail {
            example,
            culprits: Vec::new(),
            confidences: Vec::new(),
            also: Vec::new(),
            facts: Vec::new(),
            behind: None,
            place,
            is_of_more: false,
        }
    }

    /// The service and the root cause of the connections that made all of `connections` fail.
    pub(super) fn all_behind(&self, connections: u64) -> Option<(Service, &str)> {
        let (service, code, tied) = self.behind.as_ref()?;
        (*tied == connections).then_some((*service, code))
    }

    /// Counts connections that one to this service made fail.
    fn tie(&mut self, service: Service, code: &str, connections: u64) {
        let (known, cause, tied) = self
            .behind
            .get_or_insert_with(|| (service, code.to_owned(), 0));
        if *known == service && cause == code {
            *tied += connections;
        }
    }

    /// Counts the finding about one connection, and the others about it.
    pub(super) fn count<'a>(&mut self, root: &Finding, others: impl Iterator<Item = &'a Finding>) {
        self.blame(Blame::of(root), 1);
        add(&mut self.confidences, root.confidence, 1);
        for finding in others {
            add(&mut self.also, finding.code, 1);
        }
        if let Some((service, code)) = behind(root) {
            self.tie(service, code, 1);
        }
        for (fact, value) in &root.facts.0 {
            if is_kind(fact, value) {
                self.note(fact, value, 1);
            }
        }
    }

    /// What stands for a part of these connections, where it is not known what belongs to it.
    pub(super) fn of_a_part(&self) -> Detail {
        Detail {
            is_of_more: true,
            ..self.clone()
        }
    }

    /// Whom the findings blame, how surely, and how often; 0 where that is not known.
    pub(crate) fn culprits(&self) -> Vec<(Blame, u64)> {
        self.times(&self.culprits)
    }

    /// How sure what happened is, and how often; 0 where that is not known.
    pub(crate) fn confidences(&self) -> Vec<(Confidence, u64)> {
        self.times(&self.confidences)
    }

    /// What else was found of these connections, and how often: what followed from the cause, and its symptoms. 0 where that is
    /// not known.
    pub(crate) fn also(&self) -> Vec<(&'static str, u64)> {
        self.times(&self.also)
    }

    fn times<T: Copy>(&self, counted: &[(T, u64)]) -> Vec<(T, u64)> {
        let mut counted = counted.to_vec();
        if self.is_of_more {
            counted.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
            counted.iter_mut().for_each(|(_, times)| *times = 0);
        }
        counted
    }

    /// Counts those of another as well.
    pub(super) fn merge(&mut self, other: &Detail) {
        self.is_of_more |= other.is_of_more;
        if other.place < self.place {
            self.place = other.place;
            self.example = Arc::clone(&other.example);
        }
        for (blame, times) in &other.culprits {
            self.blame(*blame, *times);
        }
        for (confidence, times) in &other.confidences {
            add(&mut self.confidences, *confidence, *times);
        }
        for (code, times) in &other.also {
            add(&mut self.also, code, *times);
        }
        if let Some((service, code, connections)) = &other.behind {
            self.tie(*service, code, *connections);
        }
        for kinds in &other.facts {
            for (value, times) in &kinds.values {
                self.note(kinds.fact, value, *times);
            }
            if let Some(own) = self.facts.iter_mut().find(|own| own.fact == kinds.fact) {
                own.many |= kinds.many;
            }
        }
    }

    fn blame(&mut self, blame: Blame, times: u64) {
        let is_known = self.culprits.iter().any(|(known, _)| *known == blame);
        let is_crowded = !is_known && self.culprits.len() >= MAX_CULPRITS;
        let address = blame.address.filter(|_| !is_crowded);
        add(&mut self.culprits, Blame { address, ..blame }, times);
    }

    fn note(&mut self, fact: &'static str, value: &Value, times: u64) {
        let at = self.facts.iter().position(|kinds| kinds.fact == fact);
        let at = match at {
            Some(at) => at,
            None if self.facts.len() < MAX_FACTS => {
                self.facts.push(Kinds {
                    fact,
                    values: Vec::new(),
                    many: false,
                });
                self.facts.len() - 1
            }
            None => return,
        };
        let Some(kinds) = self.facts.get_mut(at) else {
            return;
        };
        if let Some((_, sum)) = kinds.values.iter_mut().find(|(known, _)| known == value) {
            *sum += times;
        } else if kinds.values.len() < MAX_VALUES {
            kinds.values.push((value.clone(), times));
        } else {
            kinds.many = true;
        }
    }

    /// The facts in which the connections differ: of each its values and how often, the most frequent first.
    pub(crate) fn differences(&self) -> Vec<(&'static str, Vec<(&Value, u64)>)> {
        let all: u64 = self.confidences.iter().map(|(_, times)| times).sum();
        let reported = self.facts.iter().filter(|kinds| !kinds.many);
        reported
            .filter_map(|kinds| {
                let mut values: Vec<(&Value, u64)> = kinds
                    .values
                    .iter()
                    .map(|(value, times)| (value, *times))
                    .collect();
                values.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
                // Where each has its own, it is a name after all.
                let repeats = values.len() <= 2 || (values.len() as u64) < all;
                if self.is_of_more {
                    values.iter_mut().for_each(|(_, times)| *times = 0);
                }
                (values.len() > 1 && repeats).then_some((kinds.fact, values))
            })
            .collect()
    }

    /// Whether each of the findings is no more than possible.
    pub(crate) fn is_possible(&self) -> bool {
        let possible = |(sure, _): &(Confidence, u64)| *sure == Confidence::Possible;
        self.confidences.iter().all(possible)
    }
}

/// The service and the root cause of the connections that a finding says are behind its own.
pub(crate) fn behind(finding: &Finding) -> Option<(Service, &str)> {
    let fact = |name| finding.facts.value(name);
    let (Some(Value::Address(address)), Some(Value::Count(port)), Some(Value::Text(code))) = (
        fact("upstream_address"),
        fact("upstream_port"),
        fact("upstream_cause"),
    ) else {
        return None;
    };
    Some(((*address, u16::try_from(*port).ok()?), code))
}

fn add<K: Copy + PartialEq>(counts: &mut Vec<(K, u64)>, key: K, times: u64) {
    match counts.iter_mut().find(|(known, _)| *known == key) {
        Some((_, sum)) => *sum += times,
        None => counts.push((key, times)),
    }
}

/// Whether a fact says of what kind something is: a word of few that are possible.
fn is_kind(fact: &str, value: &Value) -> bool {
    let is_word = match value {
        Value::Text(text) => text.len() <= MAX_LENGTH && !text.is_empty(),
        Value::Count(_) => matches!(fact, "status" | "early_status" | "grpc_status"),
        _ => false,
    };
    is_word && !NAMES.contains(&fact)
}
