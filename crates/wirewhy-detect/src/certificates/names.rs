//! Whether a certificate is for the name that was asked for (RFC 9525 section 6).

use std::borrow::Cow;
use std::net::IpAddr;

use wirewhy_protocol::{CertificateFacts, SubjectName};

/// How the name asked for and those of a certificate go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NameMatch {
    /// A subject alternative name is for it.
    Matches,
    /// Only the subject's common name is, which most clients no longer look at.
    OnlyCommonName,
    /// None is.
    Differs,
}

/// Holds a certificate's names against the one asked for: a host name, or an address in its text form.
pub(crate) fn match_name(facts: &CertificateFacts, asked: &str) -> NameMatch {
    if let Ok(address) = asked.parse::<IpAddr>() {
        let listed = facts.names.contains(&SubjectName::Ip(address));
        return if listed {
            NameMatch::Matches
        } else {
            NameMatch::Differs
        };
    }
    let asked = ascii(asked);
    let is_for = |pattern: &str| covers(&ascii(pattern), &asked);
    let listed = facts
        .names
        .iter()
        .any(|name| matches!(name, SubjectName::Dns(pattern) if is_for(pattern)));
    if listed {
        return NameMatch::Matches;
    }
    // The common name counts, where it does, only without names of this kind.
    let has_names = facts
        .names
        .iter()
        .any(|name| matches!(name, SubjectName::Dns(_)));
    match facts.common_name.as_deref() {
        Some(name) if !has_names && is_for(name) => NameMatch::OnlyCommonName,
        _ => NameMatch::Differs,
    }
}

/// The names a certificate is for, in words.
pub(crate) fn names_of(facts: &CertificateFacts) -> Vec<String> {
    let names: Vec<String> = facts
        .names
        .iter()
        .map(|name| match name {
            SubjectName::Dns(name) | SubjectName::Other(name) => name.to_string(),
            SubjectName::Ip(address) => address.to_string(),
        })
        .collect();
    match &facts.common_name {
        Some(name) if names.is_empty() => vec![name.to_string()],
        _ => names,
    }
}

/// The name as it is compared but for the case of its letters: A-labels (RFC 5890), without the root's dot.
fn ascii(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    // A wildcard and an underscore are no host name to the library, and need no conversion.
    if name.is_ascii() {
        return name.into();
    }
    let (wildcard, rest) = match name.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", name),
    };
    idna::domain_to_ascii(rest)
        .map_or_else(|_| name.to_lowercase(), |rest| format!("{wildcard}{rest}"))
        .into()
}

/// A wildcard stands for one whole label, the leftmost (RFC 9525 section 6.3).
fn covers(pattern: &str, name: &str) -> bool {
    let Some(rest) = pattern.strip_prefix("*.") else {
        return pattern.eq_ignore_ascii_case(name);
    };
    name.split_once('.')
        .is_some_and(|(label, parent)| !label.is_empty() && parent.eq_ignore_ascii_case(rest))
}

/// Whether a name is of the public name space: not of one that is reserved for private use, tests or documentation (RFC
/// 2606, 6761, 6762, 8375), nor an address or a single label.
pub(crate) fn is_public(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "test",
        "example",
        "invalid",
        "localhost",
        "local",
        "internal",
        "home.arpa",
        "arpa",
        "onion",
        "alt",
        "lan",
        "home",
        "corp",
        "mail",
        "private",
        "intranet",
        "localdomain",
        "example.com",
        "example.net",
        "example.org",
    ];
    let name = ascii(name).to_ascii_lowercase();
    let is_under = |zone: &&str| {
        name.strip_suffix(*zone)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.contains('.')
        && name.parse::<IpAddr>().is_err()
        && last.chars().any(|c| c.is_ascii_alphabetic())
        && !RESERVED.iter().any(is_under)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_one_label() {
        assert!(covers("*.example.org", "www.example.org"));
        assert!(!covers("*.example.org", "example.org"));
        assert!(!covers("*.example.org", "a.b.example.org"));
        assert!(!covers("w*.example.org", "www.example.org"));
    }

    #[test]
    fn international_names_are_compared_as_a_labels() {
        assert_eq!(ascii("Bücher.example."), "xn--bcher-kva.example");
        assert_eq!(ascii("*.bücher.example"), "*.xn--bcher-kva.example");
        assert!(covers(&ascii("_dmarc.EXAMPLE"), "_dmarc.example"));
        assert!(covers(
            &ascii("*.Bücher.Example"),
            &ascii("a.bücher.example.")
        ));
        assert!(is_public("WWW.Wirewhy.ORG"));
        assert!(!is_public("WWW.EXAMPLE.ORG"));
    }

    #[test]
    fn reserved_names_are_not_public() {
        for name in [
            "shop.test",
            "localhost",
            "10.0.0.1",
            "printer",
            "www.example.com",
            "a.local",
        ] {
            assert!(!is_public(name), "{name}");
        }
        for name in ["www.rust-lang.org", "attest.io", "myexample.com"] {
            assert!(is_public(name), "{name}");
        }
    }
}
