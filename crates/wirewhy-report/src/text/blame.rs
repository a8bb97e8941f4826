//! Whom findings blame, in words.

use std::cmp::Reverse;

use wirewhy_detect::{Confidence, Finding, Role};

use crate::model::Blame;
use crate::{Names, format};

/// How many culprits are named one by one.
const MAX_NAMED: usize = 3;

/// Whom a finding blames: `the server 10.0.0.9, likely`.
pub(crate) fn of(finding: &Finding, names: &Names) -> String {
    one(Blame::of(finding), names)
}

fn one(blame: Blame, names: &Names) -> String {
    let role = match blame.role {
        Role::Client => "the client",
        Role::Server => "the server",
        Role::Path => "the path",
        Role::Capture => "the recording",
        Role::Unknown => "unknown",
    };
    let address = match blame.address {
        Some(address) => format!(" {}", names.host(address)),
        None => String::new(),
    };
    format!("{role}{address}{}", surely(blame.confidence))
}

fn surely(confidence: Option<Confidence>) -> String {
    confidence.map_or(String::new(), |sure| format!(", {}", sure.name()))
}

/// Whom many findings blame, and how often each.
pub(crate) fn all(culprits: &[(Blame, u64)], names: &Names) -> String {
    let mut culprits = culprits.to_vec();
    culprits.sort_by_key(|(_, times)| Reverse(*times));
    if let [(blame, _)] = culprits.as_slice() {
        return one(*blame, names);
    }
    let (named, others) = culprits.split_at(culprits.len().min(MAX_NAMED));
    let mut parts: Vec<String> = named
        .iter()
        .map(|(blame, times)| format!("{}{}", one(*blame, names), in_brackets(*times)))
        .collect();
    if !others.is_empty() {
        let rest = others.iter().map(|(_, times)| times).sum();
        parts.push(format!("others{}", in_brackets(rest)));
    }
    parts.join("; ")
}

/// ` (3)`; nothing where how often is not known.
pub(super) fn in_brackets(times: u64) -> String {
    match times {
        0 => String::new(),
        times => format!(" ({})", format::count(times)),
    }
}

/// In as few words as go into a table: `server, likely`, `client 3, path 1`.
pub(super) fn short(culprits: &[(Blame, u64)]) -> String {
    let mut roles: Vec<(Role, u64)> = Vec::new();
    for (blame, times) in culprits {
        match roles.iter_mut().find(|(role, _)| *role == blame.role) {
            Some((_, sum)) => *sum += times,
            None => roles.push((blame.role, *times)),
        }
    }
    roles.sort_by_key(|(_, times)| Reverse(*times));
    if let [(role, _)] = roles.as_slice() {
        // No surer than of the least sure of them.
        let least = culprits.iter().map(|(blame, _)| blame.confidence).min();
        return format!("{}{}", role.name(), surely(least.flatten()));
    }
    let parts: Vec<String> = roles
        .iter()
        .map(|(role, times)| match times {
            0 => role.name().to_owned(),
            times => format!("{} {}", role.name(), format::count(*times)),
        })
        .collect();
    parts.join(", ")
}

/// Blame over many services: by role only, as each has its own address.
pub(crate) fn by_role(culprits: &[(Blame, u64)]) -> Vec<(Blame, u64)> {
    let mut merged: Vec<(Blame, u64)> = Vec::new();
    for (blame, times) in culprits {
        let same = merged
            .iter_mut()
            .find(|(other, _)| (other.role, other.confidence) == (blame.role, blame.confidence));
        match same {
            Some((other, sum)) => {
                *sum += times;
                other.address = other.address.filter(|own| Some(*own) == blame.address);
            }
            None => merged.push((*blame, *times)),
        }
    }
    merged
}
