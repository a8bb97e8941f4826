//! `rst.injected`: a third party sent it.

use super::finding;
use crate::resets::{Reason, Resets, origin};
use crate::wording::{request, socket, trigger};
use crate::{
    Cause, Confidence, Culprit, Detector, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity, Value,
};

pub(crate) const RECORD: Record = Record {
    code: "rst.injected",
    group: Group::Reset,
    title: "The reset was not sent by the host it names",
    severity: Severity::Error,
    means: "A device on the way forged a reset in the name of one side: a filter by name or content, a censor, an intrusion prevention \
            system, a traffic manager. The host named as sender is innocent.",
    recognised: "Evidence is weighed: the named side goes on after its reset, guessed sequence numbers, a reset faster than the round trip, \
                 resets in both names at once, header fields its stack never writes. Hop counts support and never convict.",
    look_alikes: "Hosts whose resets have another initial hop count or identification 0, routes that change, raw-socket tools whose kernel \
                  resets, packets that overtake each other, devices that end idle connections openly (rst.idle-expired).",
    check_next: &[
        "Compare a capture at the other end: a reset that arrives here and was never sent there is proof.",
        "What did the client send just before (server name, host)? Does another name, or the same over another path, work?",
        "Ask who runs a filter, proxy or intrusion prevention system as many hops away as the evidence says.",
    ],
    explained_by: &[Cause::IfAsSevere("rst.stray-segment")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Resets(detect),
};

fn detect(resets: &Resets<'_>, limits: &Limits) -> Option<Finding> {
    let (first, all) = resets.because_of(Reason::Injected)?;
    let connection = resets.connection;
    let weighed = all.iter().map(|diagnosis| {
        (
            diagnosis,
            origin(connection, diagnosis.event, diagnosis.reset, limits),
        )
    });
    let (strongest, origin) = weighed.max_by_key(|(_, origin)| origin.score())?;
    let score = origin.score();
    let confidence = match score {
        score if i64::from(score) >= i64::from(limits.foreign_certain) => Confidence::Certain,
        score if i64::from(score) >= i64::from(limits.foreign_likely) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let went_on = [&connection.client, &connection.server]
        .into_iter()
        .all(|side| {
            side.last_payload
                .or(side.tcp.fin)
                .is_some_and(|last| last.time > first.event.time)
        });
    let reasons: Vec<&str> = origin
        .evidence
        .iter()
        .filter(|item| item.weight > 0)
        .map(|item| item.what)
        .take(4)
        .collect();
    let distance = origin.hops_nearer.map_or(String::new(), |hops| {
        format!("; it was sent {hops} hop(s) nearer to the capture point")
    });
    let severity = if went_on {
        Severity::Warning
    } else {
        Severity::Error
    };
    let found = finding(RECORD.code, severity, (strongest, &all), connection, limits);
    Some(Finding {
        confidence,
        culprit: Culprit::from(Role::Path),
        summary: format!(
            "the reset in the name of {} was {} not sent by it{}: {}{distance}{}",
            socket(connection.side(strongest.event.from)),
            adverb(confidence),
            request(connection),
            reasons.join(", "),
            if went_on {
                "; the connection went on all the same"
            } else {
                ""
            },
        ),
        facts: found
            .facts
            .clone()
            .with("score", Value::Signed(i64::from(score)))
            .with("went_on", went_on)
            .with("trigger", trigger(connection)),
        ..found
    })
}

fn adverb(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Certain => "certainly",
        Confidence::Likely => "probably",
        Confidence::Possible => "perhaps",
    }
}

#[cfg(test)]
mod tests {
    use super::super::traces::OPEN;
    use crate::testing::{codes, diagnosis};
    use crate::{Confidence, Role};

    const ASKED: &str = "0.04 > PA 1:11(10) ack 1";

    #[test]
    fn the_server_goes_on_answering() {
        let diagnosis = diagnosis(&format!(
            "{OPEN}
             {ASKED}
             0.045 < RA 1:1(0) ack 11 ttl 61
             0.060 < A 1:1(0) ack 11
             0.090 < PA 1:101(100) ack 11
             0.091 > R 11:11(0) win 0"
        ));
        let found = diagnosis.root_cause().unwrap();
        assert_eq!(
            (found.code, found.culprit.role),
            ("rst.injected", Role::Path)
        );
        assert!(found.confidence >= Confidence::Likely);
    }

    #[test]
    fn another_hop_count_alone_convicts_nobody() {
        let codes = codes(&format!(
            "{OPEN}\n {ASKED}\n 0.06 < A 1:1(0) ack 11\n 1.00 < RA 1:1(0) ack 11 ttl 50"
        ));
        assert_eq!(codes, ["rst.abort"]);
    }

    #[test]
    fn another_initial_hop_count_is_innocent() {
        let codes = codes(&format!(
            "{OPEN}\n {ASKED}\n 0.06 < R 1:1(0) ttl 248 id 0 win 0"
        ));
        assert_eq!(codes, ["rst.no-connection"]);
    }

    #[test]
    fn answers_to_data_on_the_way_are_not_too_fast() {
        let codes = codes(&format!(
            "{OPEN}
             {ASKED}
             0.060 < A 1:1001(1000) ack 11
             0.061 < A 1001:2001(1000) ack 11
             0.079 < A 2001:3001(1000) ack 11
             0.080 > R 11:11(0) win 0
             0.081 > R 11:11(0) win 0"
        ));
        assert!(!codes.contains(&"rst.injected"));
    }

    #[test]
    fn data_that_was_overtaken_by_the_reset_is_innocent() {
        let codes = codes(&format!(
            "{OPEN}
             {ASKED}
             0.060 < RA 101:101(0) ack 11 id 500
             0.0605 < PA 1:101(100) ack 11 id 499"
        ));
        assert!(!codes.contains(&"rst.injected"));
    }
}
