//! What connections of the lab's captures say of the lookups and the connections of gateways behind them.

use std::path::Path;

use serde_json::Value as Json;

use crate::run::Bench;

/// The connections of a capture of the lab.
fn connections(scenario: &str, capture: &str) -> Vec<Json> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures");
    let path = folder.join(scenario).join(capture);
    let bench = Bench::new();
    let path = path.to_str().unwrap();
    let ran = bench.run(&["--format", "ndjson", "--all", path]);
    let records = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    records
        .filter(|record: &Json| record["type"] == "connection")
        .collect()
}

/// The facts of a connection's root cause.
fn facts(connection: &Json) -> &Json {
    let root = &connection["root_cause"];
    let mut findings = connection["findings"].as_array().unwrap().iter();
    findings
        .find(|finding| finding["code"] == *root)
        .map_or(&Json::Null, |finding| &finding["facts"])
}

/// What is behind the answers of each gateway, by its port: the server's port, the root cause, and how many connections.
fn behind(capture: &str, gateway: &str) -> Vec<(u64, u64, String, usize)> {
    let connections = connections("http-upstreams", capture);
    let mut found = Vec::new();
    for connection in connections
        .iter()
        .filter(|connection| connection["server"]["address"] == gateway)
    {
        let facts = facts(connection);
        let Some(streams) = facts["upstream_streams"].as_array() else {
            continue;
        };
        // Each of them names the connection that it is the reason of.
        for stream in streams {
            let mut all = connections.iter();
            let other = all.find(|other| other["stream"] == *stream).unwrap();
            assert_eq!(self::facts(other)["answered_stream"], connection["stream"]);
        }
        found.push((
            connection["server"]["port"].as_u64().unwrap(),
            facts["upstream_port"].as_u64().unwrap(),
            facts["upstream_cause"].as_str().unwrap().to_owned(),
            streams.len(),
        ));
    }
    found.sort();
    found
}

#[test]
fn answers_of_gateways_name_the_connections_behind_them() {
    let row = |port, server, cause: &str, attempts| (port, server, cause.to_owned(), attempts);
    let over_the_network = [
        row(8001, 9, "tcp.refused", 1),
        row(8002, 9001, "tcp.no-response", 1),
        row(8003, 9002, "tcp.closed-without-data", 1),
        row(8004, 9004, "tcp.syn-unanswered", 1),
    ];
    // HAProxy tries once more.
    let others = [
        row(8011, 9, "tcp.refused", 2),
        row(8012, 9001, "rst.abort", 1),
        row(8013, 9002, "tcp.closed-without-data", 1),
        row(8014, 9004, "tcp.syn-unanswered", 2),
        row(8021, 9, "tcp.refused", 1),
        row(8022, 9001, "tcp.no-response", 1),
        row(8023, 9002, "tcp.closed-without-data", 1),
        row(8024, 9004, "tcp.syn-unanswered", 1),
    ];
    // 503 by configuration (8006) and two servers that both failed (8007) have no one reason.
    let gateway = [&over_the_network[..], &others].concat();
    assert_eq!(behind("gateway.pcap", "10.9.2.2"), gateway);
    let loopback = [row(8008, 9, "tcp.refused", 1)];
    let any = [&over_the_network[..], &loopback, &others].concat();
    assert_eq!(behind("any.pcap", "10.9.2.2"), any);
    // Over another family only a capture of all interfaces shows that it is the same host.
    assert_eq!(behind("gateway.pcap", "fd09:2::2"), []);
    let over_v6 = [
        row(8001, 9, "tcp.refused", 1),
        row(8011, 9, "tcp.refused", 2),
        row(8021, 9, "tcp.refused", 1),
    ];
    assert_eq!(behind("any.pcap", "fd09:2::2"), over_v6);
    // And what is behind a gateway is not seen at its client.
    assert_eq!(behind("client.pcap", "10.9.2.2"), []);
}

#[test]
fn connections_name_the_lookups_that_they_waited_for() {
    for capture in ["client.pcap", "any.pcap"] {
        let connections = connections("dns-connections", capture);
        let [late, unanswered, other, aborted, second, anyway] = &connections[..] else {
            panic!("{capture}: {} connections", connections.len());
        };
        for connection in &connections {
            assert_eq!(connection["lookup"]["name"], "www.lab.example", "{capture}");
        }
        let trouble = &late["lookup"]["trouble"];
        assert!(trouble["seconds"].as_f64().unwrap() > 5.0, "{trouble}");
        assert_eq!(trouble["missed"][0]["how"], "unanswered");
        // Happy eyeballs over both families, which only the name ties.
        assert_eq!(facts(unanswered)["reached_stream"], other["stream"]);
        assert_eq!(facts(aborted)["winning_stream"], second["stream"]);
        let trouble = &anyway["lookup"]["trouble"];
        assert_eq!(trouble["resolved"], false);
        assert_eq!(trouble["missed"][0]["response_code"], "SERVFAIL");
        for quick in [unanswered, other, aborted, second] {
            assert_eq!(quick["lookup"]["trouble"], Json::Null);
        }
    }
}
