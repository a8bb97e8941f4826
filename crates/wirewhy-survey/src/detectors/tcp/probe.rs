//! `tcp.probe`: a health check.

use std::net::IpAddr;

use wirewhy_packet::Interval;

use crate::rule::{Rule, SurveyDetector};
use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Culprit, Facts, Finding, Group, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tcp.probe",
    group: Group::Tcp,
    title: "Health checks",
    severity: Severity::Note,
    means: "A client opens this service at a steady pace and leaves at once without a byte, or with no more than a TLS handshake: a \
            balancer, a monitor. Nothing is wrong.",
    recognised: "At least 5 connections from one source to one service, opened and closed or reset within a second, without payload or \
                 with an unused TLS handshake, at a constant period.",
    look_alikes: "A port scanner asks many ports once each, a client that gives up asks at no steady pace.",
    check_next: &["Nothing to do, unless it is not known who checks here."],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Connection,
};

/// The finding about one source and one service.
pub(crate) fn finding(client: IpAddr, count: u32, period: Interval, frames: Vec<u64>) -> Finding {
    Finding {
        code: RECORD.code,
        severity: Severity::Note,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Client, client),
        summary: format!(
            "{client} opened and left this service {count} times without a request, once every {}: health checks",
            span(period)
        ),
        frames,
        facts: Facts::default()
            .with("connections", count)
            .with("period_seconds", period),
        consequence_of: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{diagnose_all, group_codes};
    use wirewhy_detect::Outcome;

    fn checks(times: &[f64], last: &str) -> String {
        let mut lines = String::new();
        for (index, start) in times.iter().enumerate() {
            let n = index + 1;
            lines += &format!(
                "{start:.3} #{n} > S 0:0(0)\n{:.3} #{n} < SA 0:0(0) ack 1\n",
                start + 0.01
            );
            lines += &format!("{:.3} #{n} {last}\n", start + 0.02);
        }
        lines + &format!("{:.3} end", times.last().unwrap() + 5.0)
    }

    #[test]
    fn half_open_checks_at_a_steady_pace_are_no_failures() {
        let lines = checks(&[0.0, 2.0, 4.01, 6.0, 8.02, 10.0], "> R 1:1(0)");
        assert_eq!(group_codes(&lines), ["tcp.probe"]);
        assert!(
            diagnose_all(&lines)
                .iter()
                .all(|diagnosis| diagnosis.outcome() == Outcome::Ok)
        );
    }

    #[test]
    fn aborts_at_no_steady_pace_are_failures() {
        let lines = checks(&[0.0, 0.2, 4.01, 4.4, 8.02, 15.0], "> R 1:1(0)");
        assert!(group_codes(&lines).is_empty());
        assert!(
            diagnose_all(&lines)
                .iter()
                .all(|diagnosis| diagnosis.outcome() == Outcome::Failed)
        );
    }

    #[test]
    fn refused_checks_do_not_break_the_series() {
        let mut lines = checks(&[0.0, 2.0, 4.01, 10.0, 12.02, 14.0, 16.01], "> R 1:1(0)");
        for (n, start) in [(21, 6.0), (22, 8.0)] {
            let refused = format!(
                "{start:.3} #{n} > S 0:0(0)\n{:.3} #{n} < RA 0:0(0) ack 1\n",
                start + 0.001
            );
            let place = lines.find("10.000 #4").unwrap();
            lines.insert_str(place, &refused);
        }
        let failed = diagnose_all(&lines)
            .iter()
            .filter(|diagnosis| diagnosis.outcome() == Outcome::Failed)
            .map(|diagnosis| diagnosis.root_cause().unwrap().code)
            .collect::<Vec<_>>();
        assert_eq!(failed, ["tcp.refused", "tcp.refused"]);
    }
}
