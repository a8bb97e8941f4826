//! Which certificate of a chain was outside its validity when it was presented.

use wirewhy_flow::{Interval, Side};
use wirewhy_protocol::CertificateFacts;

use super::certificate::finding;
use crate::certificates::{Fault, Outside, PathEnd, Presented, Reaction, outside_validity};
use crate::handshake::culprit;
use crate::wording::{instant, span};
use crate::{Confidence, Facts, Finding, Record, Role, Severity};

/// Which side of its validity a certificate is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    /// After its end.
    End,
    /// Before its beginning.
    Beginning,
}

/// A finding where a certificate that the client had to rely on was beyond that edge.
pub(super) fn detect(
    record: &'static Record,
    presented: &Presented<'_>,
    edge: Edge,
) -> Option<Finding> {
    let (place, facts, beyond) = first_beyond(presented, edge)?;
    let whose = if place == 0 {
        "its certificate".to_owned()
    } else {
        format!("certificate {} of its chain ({})", place + 1, facts.subject)
    };
    let what = match edge {
        Edge::End => format!(
            "sent a chain in which {whose} had expired {} before, on {}",
            span(beyond),
            instant(facts.not_after),
        ),
        Edge::Beginning => format!(
            "sent a chain in which {whose} was valid only {} later, from {}",
            span(beyond),
            instant(facts.not_before),
        ),
    };
    let at_fault =
        Facts::default().with("place_in_chain", u64::try_from(place).unwrap_or(u64::MAX));
    // Those of the leaf are reported anyway.
    let at_fault = match place {
        0 => at_fault,
        _ => at_fault
            .with("subject_at_fault", &*facts.subject)
            .with("valid_from", instant(facts.not_before))
            .with("valid_until", instant(facts.not_after)),
    };
    let found = finding(
        record,
        presented,
        presented.weight(Fault::Validity),
        &what,
        at_fault.with("beyond_seconds", beyond),
    );
    Some(match edge {
        Edge::Beginning if presented.is_before_its_time() => by_wrong_clock(presented, found),
        _ => found,
    })
}

/// No certificate of the chain fits the clock of the recording: that clock is at fault, or the client's, where it refused.
fn by_wrong_clock(presented: &Presented<'_>, found: Finding) -> Finding {
    let words = "; no certificate of the chain was valid yet: the clock of the recording is most likely wrong";
    let summary = format!("{}{words}", found.summary);
    if matches!(presented.reaction, Reaction::Refused { .. }) && found.severity == Severity::Error {
        let client = culprit(presented.handshake.connection, Side::Client);
        return Finding {
            confidence: Confidence::Likely,
            culprit: client.at_most(Confidence::Possible),
            summary: format!("{summary}, and the client's with it"),
            ..found
        };
    }
    Finding {
        severity: Severity::Note,
        confidence: Confidence::Possible,
        culprit: Role::Capture.into(),
        summary,
        ..found
    }
}

/// The first certificate of the chain beyond the edge. One that no way to a trusted root needs counts only where the client
/// refused the chain: old clients stumble over it.
fn first_beyond<'a>(
    presented: &Presented<'a>,
    edge: Edge,
) -> Option<(usize, &'a CertificateFacts, Interval)> {
    let refused = matches!(presented.reaction, Reaction::Refused { .. });
    // Where it is not known which certificates lead to a root, only the leaf surely does.
    let is_known = matches!(presented.path.end, PathEnd::Trusted | PathEnd::NotFollowed);
    presented
        .certificates
        .chain
        .iter()
        .enumerate()
        .filter(|(place, _)| refused || !is_known || presented.path.used.contains(place))
        .find_map(|(place, certificate)| {
            let facts = certificate.facts.as_ref()?;
            match (edge, outside_validity(facts, presented.time)?) {
                (Edge::End, Outside::Expired(beyond))
                | (Edge::Beginning, Outside::NotYet(beyond)) => Some((place, facts, beyond)),
                _ => None,
            }
        })
}
