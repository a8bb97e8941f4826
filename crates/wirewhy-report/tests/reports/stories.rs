//! Entries of the text report that are about a gateway and what is behind it.

use std::net::IpAddr;

use wirewhy_detect::{Diagnosis, Facts, Finding, Severity};
use wirewhy_report::View;

use crate::entries::{diagnosis, finding, report};
use crate::sample::refused;

/// An answer of a gateway, with the service and the root cause behind it where they are known.
fn answered(stream: u32, behind: Option<(&str, &str)>) -> Diagnosis {
    let facts = match behind {
        Some((address, cause)) => Facts::default()
            .with("upstream_address", address.parse::<IpAddr>().unwrap())
            .with("upstream_port", 8080_u16)
            .with("upstream_cause", cause),
        None => Facts::default(),
    };
    let found = Finding {
        facts,
        ..finding("http.error-status", Severity::Error)
    };
    diagnosis(stream, "192.0.2.1:40000", "192.0.2.9:80", vec![found])
}

fn headlines(diagnosis: &[Diagnosis]) -> Vec<String> {
    let text = report(diagnosis, &[], View::default());
    let lines = text.lines().filter(|line| line.starts_with("error    "));
    let codes = lines.filter_map(|line| line.split_whitespace().nth(1));
    codes.map(str::to_owned).collect()
}

#[test]
fn the_answer_of_a_gateway_goes_under_its_cause() {
    let refusal = refused(2, "192.0.2.9:50000", "198.51.100.7:8080");
    let behind = Some(("198.51.100.7", "tcp.refused"));
    let story = [answered(1, behind), refusal.clone()];
    assert_eq!(headlines(&story), ["tcp.refused"]);
    let text = report(&story, &[], View::default());
    let also = "also     http.error-status: likely: Something is wrong: http.error-status";
    assert!(text.contains(also), "{text}");
    assert!(text.contains("tcp.stream in {1,2}"), "{text}");
    // Its reason is not known, is at another service, or failed otherwise.
    for other in [
        None,
        Some(("198.51.100.8", "tcp.refused")),
        Some(("198.51.100.7", "tcp.syn-unanswered")),
    ] {
        let apart = [answered(1, other), refusal.clone()];
        assert_eq!(headlines(&apart), ["http.error-status", "tcp.refused"]);
    }
    // Answers without a known reason stay beside those that have one.
    let both = [answered(1, behind), refusal, answered(3, None)];
    assert_eq!(headlines(&both), ["tcp.refused", "http.error-status"]);
}
