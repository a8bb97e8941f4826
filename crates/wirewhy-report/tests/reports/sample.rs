//! Diagnosed connections for tests: tracked from real bytes, with findings written by hand.

use wirewhy_detect::{
    Confidence, Culprit, Diagnosis, Facts, Finding, Outcome, Role, Scope, Severity,
};
use wirewhy_flow::wireshark::WiresharkAnalysis;
use wirewhy_flow::{Bounds, Connection, Tracker};
use wirewhy_packet::{Decoder, Interval, Timestamp};
use wirewhy_report::{CaptureSummary, Packets, Reporter};
use wirewhy_survey::{GroupFinding, Totals};
use wirewhy_testkit::trace;

/// The connections of a trace.
pub(crate) fn connections(text: &str) -> Vec<Connection> {
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut connections = Vec::new();
    for frame in trace(text) {
        let packet = decoder.decode(&frame.as_frame());
        tracker.observe(&packet, &mut |connection| connections.push(*connection));
    }
    tracker.finish(&mut |connection| connections.push(*connection));
    connections
}

/// The packets of the first connection of a trace.
pub(crate) fn packets(text: &str) -> Packets {
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut analysis = WiresharkAnalysis::new();
    let mut packets = Packets::new(Packets::MOST);
    for frame in trace(text) {
        let packet = decoder.decode(&frame.as_frame());
        let observed = tracker.observe(&packet, &mut |_| {});
        if let Some(marked) = analysis
            .observe(&packet)
            .filter(|marked| marked.stream == 0)
        {
            packets.add(&packet, &marked, observed.is_some_and(|seen| seen.is_copy));
        }
    }
    packets
}

/// A connection that was refused, and what a detector might say of it.
pub(crate) fn refused(number: u32, client: &str, server: &str) -> Diagnosis {
    let mut connection = connections(&format!(
        "client {client}
         server {server}
         0.000 > S 0:0(0) win 64240 <mss 1460>
         0.0003 < RA 0:0(0) ack 1 win 0"
    ))
    .remove(0);
    connection.stream = number;
    let later = Interval::from_secs(i64::from(number));
    connection.first.time = connection.first.time.after(later);
    connection.last.time = connection.last.time.after(later);
    let address = connection.server.address;
    let finding = Finding {
        code: "tcp.refused",
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: Culprit::new(Role::Server, address),
        summary: format!("{server} answered the SYN with a reset after 0.300 ms."),
        frames: vec![2, 1],
        facts: Facts::default()
            .with("round_trip_seconds", Interval(300_000))
            .with("attempts", 1_u32)
            .with("ttl", 57_u8)
            .with("ttl_of_host", None::<u8>),
        consequence_of: None,
    };
    Diagnosis {
        connection: connection.into(),
        findings: vec![finding],
    }
}

/// A connection that went well.
pub(crate) fn healthy(number: u32) -> Diagnosis {
    let mut connection = connections(
        "0.000 > S 0:0(0) win 64240 <mss 1460>
         0.010 < SA 0:0(0) ack 1 win 65160 <mss 1460>
         0.011 > A 1:1(0) ack 1
         0.012 > PA 1:101(100) ack 1
         0.030 < PA 1:501(500) ack 101
         0.031 > FA 101:101(0) ack 501
         0.041 < FA 501:501(0) ack 102
         0.042 > A 102:102(0) ack 502",
    )
    .remove(0);
    connection.stream = number;
    Diagnosis {
        connection: connection.into(),
        findings: Vec::new(),
    }
}

/// A capture to go with them.
pub(crate) fn capture() -> CaptureSummary {
    let first = Timestamp::from_secs_nanos(1_767_323_045, 0);
    CaptureSummary {
        source: "web.pcap".to_owned(),
        format: "pcap".to_owned(),
        compression: Some("gzip".to_owned()),
        link_types: vec!["EN10MB".to_owned()],
        packets: 2_430_112,
        bytes: 1_540_000_000,
        first_time: Some(first),
        last_time: Some(first.after(Interval::from_millis(61_234))),
        dropped_packets: None,
        given_up: 0,
        problem: None,
        ..CaptureSummary::default()
    }
}

/// Something the recording could not carry.
pub(crate) fn caveat() -> GroupFinding {
    GroupFinding {
        scope: Scope::Capture,
        subject: "web.pcap".to_owned(),
        finding: Finding {
            code: "capture.packets-missing",
            severity: Severity::Warning,
            confidence: Confidence::Certain,
            culprit: Role::Capture.into(),
            summary: "4,096 bytes were acknowledged that this recording does not hold.".to_owned(),
            frames: vec![77],
            facts: Facts::default().with("missing_bytes", 4096_u32),
            consequence_of: None,
        },
    }
}

/// Sums over connections.
pub(crate) fn totals(diagnosis: &[Diagnosis]) -> Totals {
    let mut totals = Totals::default();
    for one in diagnosis {
        totals.connections += 1;
        match one.outcome() {
            Outcome::Failed => totals.failed += 1,
            Outcome::Degraded => totals.degraded += 1,
            Outcome::Undecided => totals.undecided += 1,
            Outcome::Ok => totals.ok += 1,
        }
    }
    totals
}

/// Tells a reporter everything.
pub(crate) fn tell(reporter: &mut dyn Reporter, diagnosis: &[Diagnosis], group: &[GroupFinding]) {
    for one in diagnosis {
        reporter.connection(one).unwrap();
    }
    reporter
        .finish(&capture(), &totals(diagnosis), group)
        .unwrap();
}
