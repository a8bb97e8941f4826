//! What an extended error (RFC 8914) says about who is at fault.

use wirewhy_detect::{Confidence, Culprit, Facts, Role};
use wirewhy_flow::{Answered, Query, Socket};
use wirewhy_protocol::{ExtendedError, dns_error_name};

/// Who is at fault by an extended error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// In a few words.
    pub(super) of: &'static str,
    pub(super) role: Role,
    /// What it means.
    pub(super) means: &'static str,
}

/// By code, as the registry has them.
const FAULTS: [(u16, Fault); 28] = [
    (
        0,
        Fault {
            of: "resolver",
            role: Role::Server,
            means: "see the text",
        },
    ),
    (
        1,
        zone("the zone is signed with an algorithm that the resolver does not know"),
    ),
    (
        2,
        zone("the zone's DS record has a digest that the resolver does not know"),
    ),
    (
        3,
        servers("it gave old data, since the zone's servers cannot be reached now"),
    ),
    (4, policy("it replaced the answer by policy")),
    (5, zone("whether the zone is signed could not be found out")),
    (
        6,
        zone("the zone's signatures do not fit: signed wrongly, or tampered with on the way"),
    ),
    (
        7,
        zone("the zone's signatures have expired, or the resolver's clock is wrong"),
    ),
    (
        8,
        zone("the zone's signatures are not valid yet, or the resolver's clock is wrong"),
    ),
    (
        9,
        zone("the parent has a DS record and the zone no key that fits it"),
    ),
    (10, zone("signatures are missing in the zone")),
    (11, zone("the zone's key is not marked as one")),
    (
        12,
        zone("the zone's proof that something does not exist is missing"),
    ),
    (
        13,
        resolver("it repeated an earlier failure: look for the first one"),
    ),
    (14, resolver("it is still starting")),
    (15, policy("its operator blocks the name")),
    (16, policy("it must block the name on others' orders")),
    (17, policy("it filters the name at the client's own wish")),
    (
        18,
        Fault {
            of: "resolver's access list",
            role: Role::Server,
            means: "this client may not use it",
        },
    ),
    (
        19,
        servers("it gave an old \"no such name\", since the zone's servers cannot be reached now"),
    ),
    (
        20,
        Fault {
            of: "client",
            role: Role::Client,
            means: "it is no resolver: it only speaks for its own zones",
        },
    ),
    (
        21,
        Fault {
            of: "client",
            role: Role::Client,
            means: "what was asked for is not supported",
        },
    ),
    (22, servers("all servers of the zone were silent to it")),
    (
        23,
        servers("a server of the zone failed or could not be reached"),
    ),
    (
        24,
        zone("the server's own copy of the zone has expired or is unusable"),
    ),
    (
        25,
        zone("the zone's signatures expire before they become valid"),
    ),
    (
        27,
        zone("the zone's NSEC3 iterations are more than the resolver accepts"),
    ),
    (
        30,
        Fault {
            of: "client",
            role: Role::Client,
            means: "the type asked for is not one to ask for",
        },
    ),
];

const fn zone(means: &'static str) -> Fault {
    Fault {
        of: "zone",
        role: Role::Server,
        means,
    }
}

const fn servers(means: &'static str) -> Fault {
    Fault {
        of: "zone's servers, or the way to them",
        role: Role::Server,
        means,
    }
}

const fn resolver(means: &'static str) -> Fault {
    Fault {
        of: "resolver",
        role: Role::Server,
        means,
    }
}

const fn policy(means: &'static str) -> Fault {
    Fault {
        of: "resolver's policy",
        role: Role::Server,
        means,
    }
}

/// Who is at fault by a code.
pub(super) fn fault_of(code: u16) -> Option<Fault> {
    let found = FAULTS.iter().find(|(known, _)| *known == code);
    found.map(|(_, fault)| *fault)
}

/// The first extended error among answers.
pub(super) fn error_of<'a>(queries: &[&'a Query]) -> Option<&'a ExtendedError> {
    let answers = queries.iter().filter_map(|query| query.answer.as_ref());
    answers
        .filter_map(|answer: &Answered| answer.error.as_deref())
        .next()
}

/// The error in words: `; it says DNSKEY Missing (9), "text": the parent …`.
pub(super) fn in_words(error: &ExtendedError) -> String {
    let name = dns_error_name(error.code).unwrap_or("an unknown code");
    let text = match &*error.text {
        "" => String::new(),
        text => format!(", \"{text}\""),
    };
    let means = match fault_of(error.code) {
        Some(fault) if error.code != 0 => format!(": {}", fault.means),
        _ => String::new(),
    };
    format!("; it says {name} ({}){text}{means}", error.code)
}

/// The error as facts.
pub(super) fn as_facts(error: Option<&ExtendedError>) -> Facts {
    let Some(error) = error else {
        return Facts::default();
    };
    Facts::default()
        .with("extended_error", error.code)
        .with("extended_error_name", dns_error_name(error.code))
        .with("extended_error_text", &*error.text)
        .with("at_fault", fault_of(error.code).map(|fault| fault.of))
}

/// The culprit by the error; without one the resolver, as far as `otherwise` says.
pub(super) fn culprit(
    error: Option<&ExtendedError>,
    resolver: Socket,
    client: std::net::IpAddr,
    otherwise: Confidence,
) -> Culprit {
    let fault = error
        .filter(|error| error.code != 0)
        .and_then(|error| fault_of(error.code));
    match fault {
        Some(fault) if fault.role == Role::Client => {
            Culprit::new(Role::Client, client).at_most(Confidence::Likely)
        }
        // The zone's servers are servers, too, and not seen.
        Some(fault) if fault.of.starts_with("zone") => {
            Culprit::new(Role::Server, None).at_most(Confidence::Likely)
        }
        Some(_) => Culprit::new(Role::Server, resolver.0).at_most(Confidence::Likely),
        None => Culprit::new(Role::Server, resolver.0).at_most(otherwise),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_with_a_culprit_has_a_name() {
        for (code, fault) in FAULTS {
            assert!(dns_error_name(code).is_some(), "{code}");
            assert!(!fault.means.is_empty() && !fault.of.is_empty());
        }
        assert_eq!(fault_of(29), None);
        assert_eq!(
            fault_of(22).unwrap().of,
            "zone's servers, or the way to them"
        );
    }
}
