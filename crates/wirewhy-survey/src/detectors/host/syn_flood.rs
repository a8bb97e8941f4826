//! `host.syn-flood`: a service is flooded with half-open attempts.

use wirewhy_packet::Interval;

use crate::rule::{Rule, Service, SurveyDetector};
use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "host.syn-flood",
    group: Group::Host,
    title: "SYN flood: half-open attempts at a high rate from many sources",
    severity: Severity::Warning,
    means: "Many addresses ask to open a connection and none follows it up. Each attempt takes a place in the server's SYN backlog for \
            about a minute; once that is full, real clients get no answer, or SYN cookies without TCP options.",
    recognised: "Within ten seconds at least 128 attempts at one service of a single SYN and not one packet more, not even a reset, \
                 from at least 64 sources, and no fewer of them than of all others. Where the service answers, real stacks would \
                 react; where it does not, they would ask again, so there the sources have to be nearly all different.",
    look_alikes: "Clients of a service that is down repeat their SYNs (service.down). One source that opens and leaves is a scanner \
                  (host.port-scan) or a health check (tcp.probe). Many clients behind one NAT finish their handshakes. A \
                  recording of nothing but SYNs shows every attempt half-open and proves nothing.",
    check_next: &[
        "On the server: are SYN cookies on (sysctl net.ipv4.tcp_syncookies), and do they step in (nstat -az TcpExtSyncookiesSent)?",
        "Look at the backlog: ss -tan state syn-recv | wc -l, against net.ipv4.tcp_max_syn_backlog and the listen backlog.",
        "Compare hop counts and options of the SYNs: one sender forging many addresses shows in both. Ask the provider to filter.",
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
    let Service {
        tally: service,
        recorded,
        ..
    } = *service;
    let flood = service.flood.as_deref()?;
    let peak = flood.peak();
    if peak.silent < limits.flood_attempts
        || !flood.is_scattered(limits)
        || !flood.is_proven(recorded)
    {
        return None;
    }
    let took = flood
        .last
        .zip(flood.first)
        .map_or(Interval::ZERO, |(last, first)| last.since(first));
    let answered = flood.answered.saturating_add(flood.answered_again);
    let half_open = flood.half_open();
    let answers = if answered == 0 {
        "none of them answered".to_owned()
    } else if answered == half_open {
        "all of them answered".to_owned()
    } else {
        format!("{answered} of them answered")
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        // The addresses are most likely forged: none is named.
        culprit: Role::Client.into(),
        summary: format!(
            "{half_open} half-open attempts from {} sources over {}, up to {} in ten seconds ({answers}); \
             {} other attempts worked meanwhile or before",
            flood.sources.words(),
            span(took),
            peak.silent,
            service.worked,
        ),
        frames: flood.frames.clone(),
        facts: Facts::default()
            .with("half_open", half_open)
            .with("sources", flood.sources.count())
            .with("sources_are_exact", flood.sources.is_exact())
            .with("answered", answered)
            .with("peak_in_ten_seconds", peak.silent)
            .with("others_at_peak", peak.others)
            .with("worked", service.worked)
            .with("span_seconds", took),
        consequence_of: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::group;

    /// `many` attempts, `every` milliseconds apart; `sources` addresses take turns; of each what `rest` says.
    fn attempts(many: u32, every: u32, sources: u32, rest: &[&str]) -> String {
        let mut lines = String::new();
        for n in 1..=many {
            let source = n % sources;
            let address = format!("203.0.{}.{}", source / 250, source % 250 + 1);
            let start = f64::from(n * every) / 1e3;
            lines += &format!(
                "#{n} client {address}:{}\n{start:.4} #{n} > S 0:0(0)\n",
                10_000 + n
            );
            for (step, line) in (1..).zip(rest) {
                lines += &format!("{:.4} #{n} {line}\n", start + f64::from(step) * 1e-4);
            }
        }
        lines + &format!("{:.1} end", f64::from(many * every) / 1e3 + 90.0)
    }

    /// A connection of another client that worked, so that the recording is known to hold more than SYNs.
    const HEALTHY: &str = "#9999 server 198.51.100.7:443
         0.0000 #9999 > S 0:0(0)
         0.0001 #9999 < SA 0:0(0) ack 1
         0.0002 #9999 > A 1:1(0) ack 1
         0.0003 #9999 > PA 1:11(10) ack 1
         0.0004 #9999 < PA 1:11(10) ack 11
         0.0005 #9999 > FA 11:11(0) ack 11
         0.0006 #9999 < FA 11:11(0) ack 12
         0.0007 #9999 > A 12:12(0) ack 12\n";

    fn codes(lines: &str) -> Vec<&'static str> {
        let found = group(&format!("{HEALTHY}{lines}"));
        found.iter().map(|found| found.finding.code).collect()
    }

    #[test]
    fn forged_sources_answered_or_not() {
        assert_eq!(
            codes(&attempts(400, 5, 400, &["< SA 0:0(0) ack 1"])),
            ["host.syn-flood"]
        );
        assert_eq!(codes(&attempts(400, 5, 400, &[])), ["host.syn-flood"]);
    }

    #[test]
    fn clients_that_finish_their_handshakes_are_no_flood() {
        let lines = attempts(
            400,
            5,
            400,
            &[
                "< SA 0:0(0) ack 1",
                "> A 1:1(0) ack 1",
                "> PA 1:11(10) ack 1",
                "< PA 1:11(10) ack 11",
                "> RA 11:11(0) ack 11",
            ],
        );
        assert!(codes(&lines).is_empty());
    }

    #[test]
    fn many_behind_one_nat_are_one_source() {
        assert!(!codes(&attempts(400, 5, 1, &["< SA 0:0(0) ack 1"])).contains(&"host.syn-flood"));
    }

    #[test]
    fn clients_of_a_dead_service_ask_again() {
        let again = attempts(400, 5, 400, &["> S 0:0(0)"]);
        assert_eq!(codes(&again), ["service.down"]);
        // Impatient ones ask from other ports.
        assert_eq!(codes(&attempts(400, 5, 80, &[])), ["service.down"]);
    }

    #[test]
    fn losers_of_races_are_reset() {
        let lines = attempts(400, 5, 400, &["< SA 0:0(0) ack 1", "> R 1:1(0)"]);
        assert!(codes(&lines).is_empty());
    }

    #[test]
    fn a_slow_trickle_is_no_flood() {
        assert!(
            !codes(&attempts(400, 200, 400, &["< SA 0:0(0) ack 1"])).contains(&"host.syn-flood")
        );
    }

    #[test]
    fn a_recording_of_nothing_but_syns_proves_nothing() {
        let answered = attempts(400, 5, 400, &["< SA 0:0(0) ack 1"]);
        let found = group(&answered);
        assert!(
            found
                .iter()
                .all(|found| found.finding.code != "host.syn-flood"),
            "{found:?}"
        );
    }
}
