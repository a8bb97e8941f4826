//! Counters for Prometheus.
//!
//! Labels come from bounded sets: codes of the catalogue, roles, outcomes. Addresses and names never become labels: a scan
//! would make a series of each. Every series that can be foreseen stands there from the start with 0, so that a rate sees the
//! first event, too: each code with each severity up to its own, each culprit, each outcome.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use wirewhy_detect::{Finding, Outcome, Role, Severity};
use wirewhy_packet::Interval;
use wirewhy_survey::records;

/// Everything counted.
///
/// Methods take a shared reference: one thread counts while another one writes.
pub struct Metrics {
    registry: Registry,
    connections: Family<[(&'static str, &'static str); 1], Counter>,
    findings: Family<[(&'static str, &'static str); 2], Counter>,
    culprits: Family<[(&'static str, &'static str); 2], Counter>,
    build: Family<[(&'static str, &'static str); 1], Gauge>,
    resets: Counter,
    retransmissions: Counter,
    tcp_handshake: Histogram,
    tls_handshake: Histogram,
    packets: Counter,
    tcp_packets: Counter,
    kernel_dropped: Counter,
    interface_dropped: Counter,
    given_up: Counter,
    evidence: Family<[(&'static str, &'static str); 1], Counter>,
    followed: Gauge,
    table_limit: Gauge,
    memory: Gauge,
}

/// What is counted elsewhere, as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// Packets seen.
    pub packets: u64,
    /// TCP packets among them.
    pub tcp_packets: u64,
    /// Resets among those.
    pub resets: u64,
    /// Retransmitted segments among those.
    pub retransmissions: u64,
    /// Packets the kernel dropped because the program was too slow.
    pub kernel_dropped: u64,
    /// Packets the interface dropped.
    pub interface_dropped: u64,
    /// Connections given up because the table was full.
    pub given_up: u64,
    /// Files of evidence.
    pub evidence: EvidenceSums,
    /// Connections being followed.
    pub followed: u64,
    /// Memory held, in bytes, where the system tells.
    pub memory: Option<u64>,
}

/// What became of the evidence of failed connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EvidenceSums {
    /// Files written.
    pub written: u64,
    /// Files removed to make room for others.
    pub removed: u64,
    /// Connections without a file because there were too many at once.
    pub passed_over: u64,
    /// Connections without a file because it could not be written.
    pub failed: u64,
}

impl EvidenceSums {
    fn by_result(self) -> [(&'static str, u64); 4] {
        [
            ("written", self.written),
            ("removed", self.removed),
            ("passed_over", self.passed_over),
            ("failed", self.failed),
        ]
    }
}

const ROLES: [Role; 5] = [
    Role::Client,
    Role::Server,
    Role::Path,
    Role::Capture,
    Role::Unknown,
];

/// Upper bounds in seconds: from hosts of one rack to a SYN sent three times.
const HANDSHAKE_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

impl Metrics {
    /// Nothing counted yet, for a table of so many connections.
    #[must_use]
    pub fn new(table_limit: u64) -> Metrics {
        let metrics = Metrics {
            registry: Registry::with_prefix("wirewhy"),
            connections: Family::default(),
            findings: Family::default(),
            culprits: Family::default(),
            build: Family::default(),
            resets: Counter::default(),
            retransmissions: Counter::default(),
            tcp_handshake: Histogram::new(HANDSHAKE_SECONDS),
            tls_handshake: Histogram::new(HANDSHAKE_SECONDS),
            packets: Counter::default(),
            tcp_packets: Counter::default(),
            kernel_dropped: Counter::default(),
            interface_dropped: Counter::default(),
            given_up: Counter::default(),
            evidence: Family::default(),
            followed: Gauge::default(),
            table_limit: Gauge::default(),
            memory: Gauge::default(),
        };
        for outcome in ["failed", "degraded", "ok", "undecided"] {
            let _ = metrics.connections.get_or_create(&[("outcome", outcome)]);
        }
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            for record in records().filter(|record| record.severity >= severity) {
                let labels = [("code", record.code), ("severity", severity.name())];
                let _ = metrics.findings.get_or_create(&labels);
            }
            for role in ROLES {
                let labels = [("culprit", role.name()), ("severity", severity.name())];
                let _ = metrics.culprits.get_or_create(&labels);
            }
        }
        for (result, _) in EvidenceSums::default().by_result() {
            let _ = metrics.evidence.get_or_create(&[("result", result)]);
        }
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        metrics.build.get_or_create(&build).set(1);
        set(&metrics.table_limit, table_limit);
        metrics.registered()
    }

    fn registered(mut self) -> Metrics {
        let registry = &mut self.registry;
        registry.register(
            "connections",
            "Connections by outcome: failed ones when that is known, others when they are over",
            self.connections.clone(),
        );
        registry.register(
            "findings",
            "Findings, by code and severity",
            self.findings.clone(),
        );
        registry.register(
            "culprits",
            "Findings, by the role of the culprit and severity",
            self.culprits.clone(),
        );
        registry.register(
            "build_info",
            "1, with the version of the program as a label",
            self.build.clone(),
        );
        for (name, help, counter) in [
            ("resets", "TCP resets seen", &self.resets),
            (
                "retransmissions",
                "TCP segments seen again",
                &self.retransmissions,
            ),
            ("packets", "Packets captured", &self.packets),
            ("tcp_packets", "TCP packets captured", &self.tcp_packets),
            (
                "kernel_dropped_packets",
                "Packets the kernel dropped because they were not taken in time",
                &self.kernel_dropped,
            ),
            (
                "interface_dropped_packets",
                "Packets the interface or its driver dropped",
                &self.interface_dropped,
            ),
            (
                "connections_given_up",
                "Connections no longer followed because the table was full",
                &self.given_up,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "evidence_files",
            "Files of evidence by what became of them: written, removed to make room, passed over because too many came at once, \
             failed to be written",
            self.evidence.clone(),
        );
        registry.register_with_unit(
            "tcp_handshake",
            "Time from the SYN to the ACK of the SYN-ACK",
            Unit::Seconds,
            self.tcp_handshake.clone(),
        );
        registry.register_with_unit(
            "tls_handshake",
            "Time from the ClientHello to the client's Finished",
            Unit::Seconds,
            self.tls_handshake.clone(),
        );
        registry.register(
            "connections_followed",
            "Connections in the table",
            self.followed.clone(),
        );
        registry.register(
            "connections_limit",
            "Connections the table holds at most",
            self.table_limit.clone(),
        );
        registry.register_with_unit(
            "resident_memory",
            "Memory held",
            Unit::Bytes,
            self.memory.clone(),
        );
        self
    }

    /// Counts a finding.
    pub fn finding(&self, finding: &Finding) {
        let severity = ("severity", finding.severity.name());
        let code = [("code", finding.code), severity];
        self.findings.get_or_create(&code).inc();
        let culprit = [("culprit", finding.culprit.role.name()), severity];
        self.culprits.get_or_create(&culprit).inc();
    }

    /// Counts a connection, once.
    pub fn connection(&self, outcome: Outcome) {
        let outcome = [("outcome", outcome.name())];
        self.connections.get_or_create(&outcome).inc();
    }

    /// Counts a TCP handshake.
    pub fn tcp_handshake(&self, took: Interval) {
        self.tcp_handshake.observe(took.as_secs_f64());
    }

    /// Counts a TLS handshake.
    pub fn tls_handshake(&self, took: Interval) {
        self.tls_handshake.observe(took.as_secs_f64());
    }

    /// Takes over what is counted elsewhere. Counters only ever rise.
    pub fn update(&self, sums: &Sums) {
        for (counter, sum) in [
            (&self.packets, sums.packets),
            (&self.tcp_packets, sums.tcp_packets),
            (&self.resets, sums.resets),
            (&self.retransmissions, sums.retransmissions),
            (&self.kernel_dropped, sums.kernel_dropped),
            (&self.interface_dropped, sums.interface_dropped),
            (&self.given_up, sums.given_up),
        ] {
            counter.inc_by(sum.saturating_sub(counter.get()));
        }
        for (result, sum) in sums.evidence.by_result() {
            let counter = self.evidence.get_or_create(&[("result", result)]);
            counter.inc_by(sum.saturating_sub(counter.get()));
        }
        set(&self.followed, sums.followed);
        if let Some(memory) = sums.memory {
            set(&self.memory, memory);
        }
    }

    /// Everything in the OpenMetrics text format, version 1.0.0.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Everything in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        classic(&self.openmetrics())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// The older format from OpenMetrics: a counter's family carries the suffix of its samples, and there are no units and no
/// end mark.
fn classic(text: &str) -> String {
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|lead| {
            let (name, rest) = line.strip_prefix(lead)?.split_once(' ')?;
            counters.contains(&name).then_some((lead, name, rest))
        });
        match described {
            Some((lead, name, rest)) => {
                for part in [lead, name, "_total ", rest] {
                    out.push_str(part);
                }
            }
            None if line == "# EOF" || line.starts_with("# UNIT ") => continue,
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Metrics {
        let metrics = Metrics::new(1_000);
        metrics.tcp_handshake(Interval::from_millis(30));
        metrics.update(&Sums {
            packets: 12,
            tcp_packets: 10,
            followed: 3,
            memory: Some(1 << 20),
            ..Sums::default()
        });
        metrics
    }

    #[test]
    fn openmetrics_has_the_family_without_suffix_and_its_end() {
        let text = counted().openmetrics();
        assert!(text.contains("# TYPE wirewhy_packets counter\n"), "{text}");
        assert!(text.contains("\nwirewhy_packets_total 12\n"), "{text}");
        assert!(
            text.contains("# UNIT wirewhy_tcp_handshake_seconds seconds\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_older_format_names_the_counter_by_its_samples() {
        let text = counted().text();
        assert!(
            text.contains("# TYPE wirewhy_packets_total counter\n"),
            "{text}"
        );
        assert!(text.contains("# HELP wirewhy_packets_total "), "{text}");
        assert!(
            text.contains("# TYPE wirewhy_tcp_handshake_seconds histogram\n"),
            "{text}"
        );
        assert!(
            text.contains("wirewhy_tcp_handshake_seconds_bucket{le=\"0.05\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("wirewhy_connections_total{outcome=\"failed\"} 0\n"),
            "{text}"
        );
        assert!(
            !text.contains("# EOF") && !text.contains("# UNIT"),
            "{text}"
        );
    }

    #[test]
    fn every_code_is_there_before_it_is_found() {
        let text = Metrics::new(1_000).text();
        let zero = |labels: &str| text.contains(&format!("\n{labels} 0\n"));
        for record in records() {
            let (code, severity) = (record.code, record.severity.name());
            let labels = format!("{{code=\"{code}\",severity=\"{severity}\"}}");
            assert!(
                zero(&format!("wirewhy_findings_total{labels}")),
                "{code}: {text}"
            );
        }
        assert!(
            zero("wirewhy_culprits_total{culprit=\"unknown\",severity=\"note\"}"),
            "{text}"
        );
        // A note is never an error.
        assert!(
            !text.contains("{code=\"tcp.probe\",severity=\"error\"}"),
            "{text}"
        );
        let build = format!(
            "\nwirewhy_build_info{{version=\"{}\"}} 1\n",
            env!("CARGO_PKG_VERSION")
        );
        assert!(text.contains(&build), "{text}");
    }

    #[test]
    fn counters_never_fall() {
        let metrics = counted();
        metrics.update(&Sums::default());
        assert!(metrics.text().contains("\nwirewhy_packets_total 12\n"));
    }
}
