//! `service.down`: no client can connect to a service.

use wirewhy_packet::Interval;

use super::{causes_fact, reason};
use crate::rule::{Rule, Service, SurveyDetector};
use crate::service::Failures;
use wirewhy_detect::wording::{count, instant, span};
use wirewhy_detect::{Confidence, Facts, Finding, Group, Limits, Record, Reportable, Severity};

pub(crate) const RECORD: Record = Record {
    code: "service.down",
    group: Group::Service,
    title: "Every attempt at this service failed",
    severity: Severity::Error,
    means: "Every client that tried this address and port in the capture failed, again and again in the same way: it is not one connection \
            that failed, the service cannot be reached from here.",
    recognised: "At least 3 attempts that came to nothing for one reason, none that came to anything, and none that the client \
                 itself gave up or was at fault for. What a port scanner finds closed does not count. QUIC is counted apart from TCP; \
                 where TCP to the same address and port works, it is a warning.",
    look_alikes: "A service that fails now and then is service.flaky. Where one client alone tried, that client's path may be at \
                  fault and the service well: then it is no more than `likely`. Scanners try every address of the Internet all \
                  day: where all clients are addresses of the Internet that tried about once each, it is `possible`. Under a flood of half-open \
                  attempts (host.syn-flood) no client gets through either; then the flood is named instead.",
    check_next: &[
        "Try it from another network: is it down for everyone, or from here only?",
        "On the server: is it running and listening on this address (ss -ltnp)? Follow the reason that the attempts share.",
        "Compare the time of the first failure with deployments, restarts and changes of firewalls.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Service(find),
};

/// The finding about one service.
fn find(service: &Service<'_>, limits: &Limits) -> Option<Finding> {
    if service.is_scanned {
        return None;
    }
    let Service {
        tally: service,
        recorded,
        works_over_tcp,
        ..
    } = *service;
    let failures = service.failures.as_deref()?;
    let (code, most) = failures.main_kind()?;
    let none_else = service.worked == 0 && service.left == 0 && !service.is_ongoing();
    let all = none_else && failures.without_result == failures.count;
    // In a recording of nothing but SYNs every attempt looks unanswered; one that was repeated was.
    let proven = match works_over_tcp {
        None => recorded.beyond_syns || failures.sure > 0,
        Some(_) => failures.sure > 0,
    };
    if !all || !proven || most < limits.down_attempts {
        return None;
    }
    let background_scans = failures.are_background_scans();
    let over = match works_over_tcp {
        Some(_) => " over QUIC",
        None => "",
    };
    let took = failures.until.since(failures.from).max(Interval::ZERO);
    let clients = failures.clients.count();
    let who = match failures.only_client() {
        Some(client) => format!("{client}"),
        None => format!("{} clients", failures.clients.words()),
    };
    let others = failures.count - most;
    let mut rest = if others > 0 {
        format!("; {others} failed in other ways")
    } else {
        String::new()
    };
    if background_scans {
        rest.push_str("; but addresses of the Internet that try about once each may be scanners");
    }
    if works_over_tcp == Some(true) {
        rest.push_str("; over TCP it works");
    }
    Some(Finding {
        code: RECORD.code,
        // Clients get there all the same.
        severity: match works_over_tcp {
            Some(true) => Severity::Warning,
            _ => Severity::Error,
        },
        confidence: if background_scans {
            Confidence::Possible
        } else {
            confidence(failures, clients)
        },
        culprit: failures.culprit,
        summary: format!(
            "all {}{over} of {who} over {} came to nothing, {} for the same reason: {}{rest}",
            count(u64::from(failures.count), "attempt"),
            span(took),
            if others > 0 {
                most.to_string()
            } else {
                "all".to_owned()
            },
            reason(code),
        ),
        frames: failures.frames.clone(),
        facts: Facts::default()
            .with("transport", works_over_tcp.map(|_| "quic"))
            .with("attempts", failures.count)
            .with("clients", clients)
            .with("clients_are_exact", failures.clients.is_exact())
            .with("client", failures.only_client())
            .with("clients_are_strangers", background_scans)
            .with("root_cause", code)
            .with("causes", causes_fact(failures))
            .with("first", service.first.map(instant))
            .with("last", service.last.map(instant))
            .with("span_seconds", took),
        consequence_of: None,
    })
}

/// What several saw is surer than what each saw; what one client saw may be its own trouble.
fn confidence(failures: &Failures, clients: u64) -> Confidence {
    if clients > 1 {
        failures.confidence
    } else {
        failures.confidence.min(Confidence::Likely)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::group;
    use wirewhy_detect::{Confidence, Role};

    /// Attempts at port 80, one a second, each of the client named; `answer` follows 20 ms later.
    fn attempts(clients: &[u8], answer: &str) -> String {
        let mut lines = String::new();
        for (index, client) in clients.iter().enumerate() {
            let n = index + 1;
            lines += &format!("#{n} client 192.0.2.{client}:{}\n", 41_000 + n);
            lines += &format!("{index}.000 #{n} > S 0:0(0)\n");
            if !answer.is_empty() {
                lines += &format!("{index}.020 #{n} {answer}\n");
            }
        }
        lines + &format!("{}.0 end", clients.len() + 9)
    }

    const REFUSED: &str = "< RA 0:0(0) ack 1 abs-seq win 0";

    #[test]
    fn refused_to_three_clients() {
        let found = group(&attempts(&[1, 2, 3], REFUSED));
        let [down] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            (down.finding.code, down.subject.as_str()),
            ("service.down", "198.51.100.1:80")
        );
        assert_eq!(down.finding.culprit.role, Role::Server);
        assert_eq!(down.finding.frames, [2, 4, 6]);
        assert!(
            down.finding
                .summary
                .contains("3 attempts of 3 clients over 2.0 s"),
            "{found:?}"
        );
        assert!(
            down.finding
                .summary
                .contains("connection refused (tcp.refused)")
        );
    }

    #[test]
    fn one_client_without_an_answer_may_have_a_trouble_of_its_own() {
        let found = group(&attempts(&[1, 1, 1], ""));
        // Nothing but SYNs, each once: a filter that lets no more through shows the same.
        assert!(found.is_empty(), "{found:?}");
        let again = "> S 0:0(0)";
        let found = group(&attempts(&[1, 1, 1], again));
        assert_eq!(found[0].finding.code, "service.down");
        assert_eq!(found[0].finding.confidence, Confidence::Likely);
        assert_eq!(found[0].finding.culprit.role, Role::Unknown);
    }

    #[test]
    fn strangers_who_knock_once_may_be_scanners() {
        let from = |address: &str| {
            let lines = attempts(&[1, 2, 3], REFUSED).replace("192.0.2.", address);
            group(&lines).remove(0).finding
        };
        let strangers = from("8.1.2.");
        assert_eq!(strangers.confidence, Confidence::Possible);
        assert!(
            strangers.summary.ends_with("may be scanners"),
            "{strangers:?}"
        );
        assert!(from("10.1.2.").confidence > Confidence::Possible);
        // Who comes again wants something.
        let again = attempts(&[1, 2, 1, 2, 1, 2], REFUSED).replace("192.0.2.", "8.1.2.");
        assert!(group(&again)[0].finding.confidence > Confidence::Possible);
    }

    #[test]
    fn two_attempts_are_too_few() {
        assert!(group(&attempts(&[1, 2], REFUSED)).is_empty());
    }

    #[test]
    fn what_the_client_gives_up_is_not_down() {
        assert!(group(&attempts(&[1, 2, 3], "< SA 0:0(0) ack 1")).is_empty());
    }

    #[test]
    fn one_that_worked_is_enough() {
        let lines = attempts(&[1, 2, 3], REFUSED).replace(
            "12.0 end",
            "3.00 #9 > S 0:0(0)
             3.02 #9 < SA 0:0(0) ack 1
             3.03 #9 > A 1:1(0) ack 1
             3.04 #9 > PA 1:11(10) ack 1
             3.06 #9 < PA 1:11(10) ack 11
             3.07 #9 > FA 11:11(0) ack 11
             3.08 #9 < FA 11:11(0) ack 12
             3.09 #9 > A 12:12(0) ack 12
             12.0 end",
        );
        let codes: Vec<&str> = group(&lines)
            .iter()
            .map(|found| found.finding.code)
            .collect();
        assert_eq!(codes, ["service.flaky"]);
    }
}
