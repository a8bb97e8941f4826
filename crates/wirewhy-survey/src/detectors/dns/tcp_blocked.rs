//! `dns.tcp-blocked`: an answer that does not fit UDP, and TCP to the resolver does not work.

use wirewhy_detect::{
    Confidence, Culprit, Facts, Group, Limits, Record, Reportable, Role, Severity,
};
use wirewhy_flow::Query;

use crate::lookups::{LookupCase, LookupFinding, LookupOutcome, types};
use crate::rule::{Rule, SurveyDetector};

pub(crate) const RECORD: Record = Record {
    code: "dns.tcp-blocked",
    group: Group::Lookup,
    title: "TCP to the resolver is blocked, and the answer does not fit UDP",
    severity: Severity::Error,
    means: "The answer is larger than the client takes over UDP. The resolver says so, the client asks again over TCP, and that \
            connection is refused or never opens. Small answers work, so that only some names fail. A note where the answer came \
            in another way.",
    recognised: "An answer with the flag TC, then a TCP connection of the same client to the same resolver and port that carries no \
                 answer. Why it does not open is that connection's finding.",
    look_alikes: "A client that does not ask over TCP at all (old musl) takes the incomplete answer for all there is. A capture \
                  filtered to UDP shows no TCP either: nothing is concluded.",
    check_next: &[
        "dig +tcp @RESOLVER NAME: refused means that the server does not listen on TCP 53, a time-out that something drops it.",
        "Open TCP port 53 beside UDP port 53 on every firewall on the way (RFC 7766 demands both).",
        "Until then: dig +bufsize=1232 @RESOLVER NAME. If that fits, let clients use EDNS (options edns0).",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Lookup(detect),
};

fn detect(case: &LookupCase<'_>, _limits: &Limits) -> Option<LookupFinding> {
    let blocked = case.blocked?;
    let truncated: Vec<&Query> = case
        .main()
        .filter(|query| {
            let answer = query.answer.as_ref();
            query.stream.is_none() && answer.is_some_and(|answer| answer.truncated)
        })
        .collect();
    let first = *truncated.first()?;
    let lookup = case.lookup;
    let over_tcp = lookup.queries.iter().any(|query| {
        query.stream.is_some() && query.answer.is_some() && query.resolver == first.resolver
    });
    let recovered = match case.outcome {
        LookupOutcome::TcpBlocked => false,
        LookupOutcome::Resolved if !over_tcp => true,
        _ => return None,
    };
    let answer = first.answer.as_ref()?;
    let refused = blocked.cause == Some("tcp.refused");
    let summary = format!(
        "the answer of {} to {} for {} ({}) did not fit {} bytes, and the connection over TCP {}{}",
        first.resolver.0,
        lookup.client,
        case.name_of(first),
        types(&truncated),
        first.edns.unwrap_or(512),
        match (blocked.cause, refused) {
            (_, true) => "was refused",
            (Some("tcp.syn-unanswered"), _) => "got no answer",
            (Some(_), _) => "failed",
            (None, _) => "carried no answer",
        },
        if recovered {
            "; the answer came in another way"
        } else {
            ""
        },
    );
    let severity = if recovered {
        Severity::Note
    } else {
        Severity::Error
    };
    // A refusal is the server's, or of a filter in its name; silence may be of either.
    let sure = if refused {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let culprit = match refused {
        true => Culprit::new(Role::Server, first.resolver.0),
        false => Culprit::new(Role::Path, None),
    };
    let streams: Vec<u32> = lookup.attempts.iter().map(|(stream, _)| *stream).collect();
    let facts = Facts::default()
        .with("stream", blocked.stream)
        .with("streams", streams)
        .with("edns_size_bytes", first.edns)
        .with("answer_bytes", answer.length);
    let mut found = case.finding(
        &RECORD,
        &truncated,
        (severity, Confidence::Certain, culprit.at_most(sure)),
        summary,
        facts,
    )?;
    found.finding.consequence_of = blocked.cause;
    let opened = lookup.attempts.iter().map(|(_, mark)| mark.frame);
    found.finding.frames.extend(opened);
    found
        .finding
        .frames
        .truncate(wirewhy_detect::Finding::MAX_FRAMES);
    Some(found)
}
