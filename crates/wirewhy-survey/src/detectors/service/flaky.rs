//! `service.flaky`: a service that fails now and then.

use wirewhy_packet::Interval;

use super::{causes_fact, reason};
use crate::rule::{Rule, Service, SurveyDetector};
use crate::service::{Failures, ServiceTally};
use wirewhy_detect::wording::{count, instant, span};
use wirewhy_detect::{Facts, Finding, Group, Limits, Record, Reportable, Severity};

pub(crate) const RECORD: Record = Record {
    code: "service.flaky",
    group: Group::Service,
    title: "Some attempts at this service fail, others work",
    severity: Severity::Warning,
    means: "The same address and port served some clients and failed others. What the failed attempts have in common, and the others \
            have not, points to the part that is broken: one client, one stretch of time, one machine behind a balancer.",
    recognised: "At least 3 failed attempts, at least one in twenty, beside others that worked. Attempts that the client gave up \
                 or was at fault for count neither way.",
    look_alikes: "A service that began or ceased to work in the middle of the capture: then all failures lie before or behind all \
                  successes, and the sentence says so. A few failures among very many attempts are the Internet's.",
    check_next: &[
        "Follow what the failed attempts have in common; where it is nothing, look for load, limits and lossy links.",
        "Behind a balancer: which machine answered the failed ones? Another hop count is another machine or another way.",
        "Look at the failed connections one by one: their root causes are listed in the facts.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Service(find),
};

/// What failed attempts have in common.
#[derive(Default)]
struct Common {
    words: Vec<String>,
    facts: Vec<&'static str>,
}

/// The finding about one service.
fn find(service: &Service<'_>, limits: &Limits) -> Option<Finding> {
    if service.is_scanned {
        return None;
    }
    let is_quic = service.works_over_tcp.is_some();
    let service = service.tally;
    let failures = service.failures.as_deref()?;
    let tried = service.worked.saturating_add(failures.count);
    let share = f64::from(failures.count) / f64::from(tried.max(1));
    if service.worked == 0 || failures.count < limits.flaky_failures || share < limits.flaky_share {
        return None;
    }
    let (code, most) = failures.main_kind()?;
    let common = common(service, failures);
    let together = if common.words.is_empty() {
        "; the failed ones have nothing in common that the others have not".to_owned()
    } else {
        format!("; {}", common.words.join("; "))
    };
    let mostly = if most == failures.count {
        reason(code)
    } else {
        format!("{most} times {}", reason(code))
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: failures.confidence,
        culprit: failures.culprit,
        summary: format!(
            "{} of {}{} failed ({:.0} %): {mostly}{together}",
            failures.count,
            count(u64::from(tried), "attempt"),
            if is_quic { " over QUIC" } else { "" },
            share * 100.0,
        ),
        frames: failures.frames.clone(),
        facts: Facts::default()
            .with("transport", is_quic.then_some("quic"))
            .with("attempts", tried)
            .with("failed", failures.count)
            .with("failed_share", wirewhy_detect::Value::Share(share))
            .with("failed_clients", failures.clients.count())
            .with("in_common", common.facts)
            .with("client", failures.only_client())
            .with("root_cause", code)
            .with("causes", causes_fact(failures))
            .with("first_failure", instant(failures.from))
            .with("last_failure", instant(failures.until)),
        consequence_of: None,
    })
}

fn common(service: &ServiceTally, failures: &Failures) -> Common {
    let mut common = Common::default();
    let others_work = |client| {
        service
            .working_clients
            .iter()
            .flatten()
            .any(|other| *other != client)
    };
    if let Some(client) = failures.only_client().filter(|client| others_work(*client)) {
        common.words.push(format!(
            "all of them of {client}, while it works for others"
        ));
        common.facts.push("client");
    }
    if let Some(words) = common_time(service, failures) {
        common.words.push(words);
        common.facts.push("time");
    }
    for (name, words) in failures.features.missing_in(&service.working_features) {
        common.words.push(words);
        common.facts.push(name);
    }
    let ttl = failures.ttls.only().filter(|ttl| {
        failures.answered == failures.count
            && !service.working_ttls.is_empty()
            && !service.working_ttls.contains(*ttl)
    });
    if let Some(ttl) = ttl {
        common.words.push(format!(
            "all of them were answered with a hop count of {ttl}, which no attempt that worked was: another machine, or \
             another way"
        ));
        common.facts.push("ttl");
    }
    common
}

fn common_time(service: &ServiceTally, failures: &Failures) -> Option<String> {
    let (works_from, works_until) = service.working?;
    let (from, until) = (failures.from, failures.until);
    if from > works_until {
        return Some(format!("since {} none worked", instant(from)));
    }
    if until < works_from {
        return Some(format!(
            "until {} none worked, then all did",
            instant(works_from)
        ));
    }
    let whole = works_until.max(until).since(works_from.min(from));
    let part = until.since(from).max(Interval::ZERO);
    (part.0 <= whole.0 / 4).then(|| {
        format!(
            "all of them within {} of the {} that attempts were made in, from {}",
            span(part),
            span(whole),
            instant(from),
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::GroupFinding;
    use crate::testing::group;
    use wirewhy_detect::Severity;

    /// One attempt a second at port 80, of the client and with the fate given: `w` works, `r` is refused.
    fn attempts(fates: &[(u8, char)]) -> String {
        let mut lines = String::new();
        for (index, (client, fate)) in fates.iter().enumerate() {
            let n = index + 1;
            lines += &format!(
                "#{n} client 192.0.2.{client}:{}\n{index}.00 #{n} > S 0:0(0)\n",
                41_000 + n
            );
            let rest: &[&str] = match fate {
                'r' => &["02 #N < RA 0:0(0) ack 1 abs-seq win 0"],
                'f' => &["02 #N < RA 0:0(0) ack 1 abs-seq win 0 ttl 120"],
                'a' => &["02 #N < SA 0:0(0) ack 1", "03 #N > R 1:1(0)"],
                _ => &[
                    "02 #N < SA 0:0(0) ack 1",
                    "03 #N > A 1:1(0) ack 1",
                    "04 #N > PA 1:11(10) ack 1",
                    "06 #N < PA 1:11(10) ack 11",
                    "07 #N > FA 11:11(0) ack 11",
                    "08 #N < FA 11:11(0) ack 12",
                    "09 #N > A 12:12(0) ack 12",
                ],
            };
            for line in rest {
                lines += &format!("{index}.{}\n", line.replace('N', &n.to_string()));
            }
        }
        lines + &format!("{}.0 end", fates.len() + 9)
    }

    fn mixed(fate: char) -> Vec<(u8, char)> {
        (0..24)
            .map(|n| (n % 5, if n % 6 == 1 { fate } else { 'w' }))
            .collect()
    }

    fn flaky(fates: &[(u8, char)]) -> Option<GroupFinding> {
        let found = group(&attempts(fates));
        let mut flaky = found
            .into_iter()
            .filter(|found| found.finding.code.starts_with("service."));
        let first = flaky.next();
        assert!(flaky.next().is_none());
        first
    }

    #[test]
    fn some_work_and_some_are_refused() {
        let found = flaky(&mixed('r')).unwrap();
        assert_eq!(
            (found.finding.code, found.finding.severity),
            ("service.flaky", Severity::Warning)
        );
        assert!(
            found
                .finding
                .summary
                .starts_with("4 of 24 attempts failed (17 %): connection refused")
        );
        assert!(found.finding.summary.contains("nothing in common"));
    }

    #[test]
    fn the_failed_ones_ask_for_something_else() {
        let attempt = |n: u32, fails: bool| {
            let flags = if fails { "SEC" } else { "S" };
            let answer = if fails {
                format!("{n}.02 #{n} < RA 0:0(0) ack 1 abs-seq win 0")
            } else {
                format!(
                    "{n}.02 #{n} < SA 0:0(0) ack 1\n{n}.03 #{n} > A 1:1(0) ack 1
                     {n}.04 #{n} > PA 1:11(10) ack 1\n{n}.06 #{n} < PA 1:11(10) ack 11
                     {n}.07 #{n} > FA 11:11(0) ack 11\n{n}.08 #{n} < FA 11:11(0) ack 12
                     {n}.09 #{n} > A 12:12(0) ack 12"
                )
            };
            format!("{n}.00 #{n} > {flags} 0:0(0)\n{answer}\n")
        };
        let lines: String = (1..=20).map(|n| attempt(n, n % 4 == 1)).collect();
        let found = group(&format!("{lines}40.0 end"));
        let flaky = found
            .iter()
            .find(|found| found.finding.code == "service.flaky");
        let summary = &flaky.unwrap().finding.summary;
        assert!(
            summary.contains("all of them asked for ECN in the SYN"),
            "{summary}"
        );
    }

    #[test]
    fn one_client_alone_fails() {
        let fates: Vec<_> = (0..20)
            .map(|n| (n % 4, if n % 4 == 1 { 'r' } else { 'w' }))
            .collect();
        let summary = flaky(&fates).unwrap().finding.summary;
        assert!(
            summary.contains("all of them of 192.0.2.1, while it works for others"),
            "{summary}"
        );
    }

    #[test]
    fn it_went_down_or_came_up_in_the_middle() {
        let (works, fails) = ([(1, 'w'); 6], [(2, 'r'); 4]);
        let summary = flaky(&[works.as_slice(), &fails].concat())
            .unwrap()
            .finding
            .summary;
        assert!(
            summary.contains("since 2026-01-02 03:04:11 UTC none worked"),
            "{summary}"
        );
        let summary = flaky(&[fails.as_slice(), &works].concat())
            .unwrap()
            .finding
            .summary;
        assert!(
            summary.contains("until 2026-01-02 03:04:09 UTC none worked"),
            "{summary}"
        );
    }

    #[test]
    fn the_failed_ones_lie_close_together() {
        let fates: Vec<_> = (0..40)
            .map(|n| (n % 5, if (20..24).contains(&n) { 'r' } else { 'w' }))
            .collect();
        let summary = flaky(&fates).unwrap().finding.summary;
        assert!(summary.contains("within 3.0 s of the 39.0 s"), "{summary}");
    }

    #[test]
    fn the_failed_ones_come_from_another_machine() {
        let summary = flaky(&mixed('f')).unwrap().finding.summary;
        assert!(summary.contains("hop count of 120"), "{summary}");
    }

    #[test]
    fn a_busy_service_with_a_few_failures_is_well() {
        let fates: Vec<_> = (0..100)
            .map(|n| (n % 7, if n % 33 == 1 { 'r' } else { 'w' }))
            .collect();
        assert_eq!(flaky(&fates), None);
    }

    #[test]
    fn what_clients_give_up_makes_no_service_flaky() {
        assert_eq!(flaky(&mixed('a')), None);
    }

    #[test]
    fn two_failures_prove_no_rate() {
        assert_eq!(flaky(&[(1, 'w'), (1, 'r'), (2, 'w'), (2, 'r')]), None);
    }
}
