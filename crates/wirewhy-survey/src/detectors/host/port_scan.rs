//! `host.port-scan`: one source tries many doors and finds them shut.

use wirewhy_packet::Interval;

use crate::rule::{Rule, Source, SurveyDetector};
use crate::source::{Scan, Tried};
use wirewhy_detect::wording::span;
use wirewhy_detect::{
    Confidence, Culprit, Facts, Finding, Group, Limits, Record, Reportable, Role, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "host.port-scan",
    group: Group::Host,
    title: "Port scan: one source tries many ports or hosts and finds nothing",
    severity: Severity::Warning,
    means: "One address tries one port after another, or one host after another, and nearly nothing comes of it: a scanner, a worm, or \
            an inventory or monitoring system that sweeps.",
    recognised: "Within five minutes one source tries at least 15 ports of a host, or a port of at least 25 hosts, and at least nine in ten \
                 of all that it tries refuse it, are unreachable, are left half-way, or stay silent and are given up after one or two SYNs.",
    look_alikes: "Browsers and crawlers talk to many hosts, and most of them answer. A host cut off from the network repeats its SYNs \
                  for each destination. Peer-to-peer clients try many hosts, each at a port of its own. A client whose service is \
                  down asks for the same again and again (service.down).",
    check_next: &[
        "Who is that address? An inventory or vulnerability scanner of your own is the usual answer.",
        "If it is none of your own: look at what did answer it (streams from that address with payload).",
        "From inside: the machine may be infected. From outside: make sure that what answered is meant to be reachable.",
    ],
    explained_by: &[],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: SurveyDetector = SurveyDetector {
    record: &RECORD,
    rule: Rule::Source(find),
};

/// The finding about one source.
fn find(source: &Source<'_>, limits: &Limits) -> Option<Finding> {
    let Source {
        address: source,
        tally,
        recorded,
    } = *source;
    let scan = tally.scan(limits)?;
    let tried = &*tally.tried()?;
    if !tally.is_proven(scan, recorded) {
        return None;
    }
    let took = tried.last.since(tried.first).max(Interval::ZERO);
    let kind = match scan {
        Scan::Ports => "ports",
        Scan::Hosts => "hosts",
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Client, source),
        summary: format!(
            "{source} tried {} within {} and found next to nothing: {}",
            what(tried),
            span(took),
            fates(tried),
        ),
        frames: tried.frames.clone(),
        facts: Facts::default()
            .with("kind", kind)
            .with("attempts", tally.attempts)
            .with("fruitless", tally.failed_probes)
            .with("targets_found", tally.fruitful())
            .with("targets", tried.targets.count())
            .with("hosts", tried.hosts.count())
            .with("ports", tried.ports.count())
            .with("counts_are_exact", tried.targets.is_exact())
            .with("refused", tried.refused)
            .with("unanswered", tried.unanswered)
            .with("unreachable", tried.unreachable)
            .with("aborted", tried.aborted)
            .with("span_seconds", took),
        consequence_of: None,
    })
}

fn what(tried: &Tried) -> String {
    let (hosts, ports) = (tried.hosts.count(), tried.ports.count());
    let (host, port) = tried.example;
    match (hosts, ports) {
        (1, _) => format!("{} ports of {host}", tried.ports.words()),
        (_, 1) => format!("port {port} of {} hosts", tried.hosts.words()),
        _ => format!(
            "{} ports on {} hosts",
            tried.ports.words(),
            tried.hosts.words()
        ),
    }
}

fn fates(tried: &Tried) -> String {
    let fates = [
        (tried.refused, "refused"),
        (tried.unanswered, "unanswered"),
        (tried.unreachable, "turned away by ICMP"),
        (tried.aborted, "left half-way"),
    ];
    let words: Vec<String> = fates
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, fate)| format!("{count} {fate}"))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::testing::group;

    /// One attempt every 20 ms of 192.0.2.1 at each target.
    fn tries(targets: impl Iterator<Item = (u8, u16)>, rest: &[&str]) -> String {
        let (mut lines, mut last) = (String::new(), 0.0);
        for (n, (host, port)) in (1_u32..).zip(targets) {
            last = f64::from(n) * 0.02;
            lines += &format!(
                "#{n} client 192.0.2.1:{}\n#{n} server 198.51.100.{host}:{port}\n",
                20_000 + n
            );
            lines += &format!("{last:.3} #{n} > S 0:0(0)\n");
            for (step, line) in (1..).zip(rest) {
                let (after, line) = line.split_once(' ').unwrap_or(("1", line));
                let after: f64 = after.parse().unwrap_or(f64::from(step));
                lines += &format!("{:.3} #{n} {line}\n", last + after / 1e3);
            }
        }
        // Times have to run forward.
        let mut sorted: Vec<&str> = lines.lines().collect();
        sorted.sort_by(|a, b| when(a).total_cmp(&when(b)));
        sorted.join("\n") + &format!("\n{:.1} end", last + 120.0)
    }

    fn when(line: &str) -> f64 {
        line.split(' ').next().unwrap().parse().unwrap_or(-1.0)
    }

    fn codes(lines: &str) -> Vec<&'static str> {
        group(lines)
            .iter()
            .map(|found| found.finding.code)
            .collect()
    }

    const REFUSED: &[&str] = &["1 < RA 0:0(0) ack 1 abs-seq win 0"];
    const ANSWERED: &[&str] = &[
        "1 < SA 0:0(0) ack 1",
        "2 > A 1:1(0) ack 1",
        "3 > PA 1:11(10) ack 1",
        "4 < PA 1:11(10) ack 11",
        "5 > FA 11:11(0) ack 11",
        "6 < FA 11:11(0) ack 12",
        "7 > A 12:12(0) ack 12",
    ];

    #[test]
    fn many_ports_of_one_host() {
        for rest in [REFUSED, &[], &["1 < SA 0:0(0) ack 1", "2 > R 1:1(0)"]] {
            let found = group(&tries((1..=40).map(|port| (9, port)), rest));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(
                (found[0].finding.code, found[0].subject.as_str()),
                ("host.port-scan", "192.0.2.1")
            );
            assert!(
                found[0]
                    .finding
                    .summary
                    .contains("tried 40 ports of 198.51.100.9 within 780 ms")
            );
        }
    }

    #[test]
    fn one_port_of_many_hosts() {
        let found = group(&tries((1..=60).map(|host| (host, 22)), REFUSED));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0]
                .finding
                .summary
                .contains("tried port 22 of 60 hosts")
        );
    }

    #[test]
    fn a_scan_that_comes_again_makes_no_service_down() {
        let rounds = (0..4).flat_map(|_| (1..=40).map(|port| (9, port)));
        assert_eq!(codes(&tries(rounds, REFUSED)), ["host.port-scan"]);
    }

    #[test]
    fn a_crawler_finds_what_it_looks_for() {
        let lines = tries((1..=60).map(|host| (host, 443)), ANSWERED);
        assert!(codes(&lines).is_empty());
    }

    #[test]
    fn a_sweep_whose_hosts_answer_is_monitoring() {
        let checks = &[
            "1 < SA 0:0(0) ack 1",
            "2 > A 1:1(0) ack 1",
            "3 > RA 1:1(0) ack 1",
        ];
        assert!(codes(&tries((1..=60).map(|host| (host, 9100)), checks)).is_empty());
    }

    #[test]
    fn a_host_cut_off_goes_on_asking() {
        let rest = &["1000 > S 0:0(0)", "3000 > S 0:0(0)", "7000 > S 0:0(0)"];
        assert!(codes(&tries((1..=60).map(|host| (host, 443)), rest)).is_empty());
    }

    #[test]
    fn peers_have_ports_of_their_own() {
        let peers = (1..=60_u8).map(|host| (host, 20_000 + u16::from(host) * 7));
        assert!(codes(&tries(peers, REFUSED)).is_empty());
    }

    #[test]
    fn fourteen_ports_are_few() {
        assert!(codes(&tries((1..=14).map(|port| (9, port)), REFUSED)).is_empty());
    }

    #[test]
    fn slow_failures_do_not_add_up() {
        let mut lines = String::new();
        for n in 1..=40 {
            lines += &format!(
                "#{n} server 198.51.100.9:{n}\n{}.0 #{n} > S 0:0(0)\n",
                n * 60
            );
            lines += &format!("{}.1 #{n} < RA 0:0(0) ack 1 abs-seq win 0\n", n * 60);
        }
        assert!(codes(&(lines + "2600.0 end")).is_empty());
    }

    #[test]
    fn a_recording_of_nothing_but_syns_proves_no_sweep() {
        assert!(codes(&tries((1..=60).map(|host| (host, 443)), &[])).is_empty());
    }
}
