//! Connections over QUIC, as `show`, pages and tables have them.

use crate::run::{Bench, Ran};

/// The path of a capture of the lab.
fn capture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/captures");
    format!("{folder}/{name}")
}

fn show(capture_name: &str, stream: &str, more: &[&str]) -> Ran {
    let path = capture(capture_name);
    let keys = format!("{}.keylog", path.trim_end_matches(".pcap"));
    let args = [&["show", &path, stream, "--keylog", &keys], more].concat();
    Bench::new().run(&args)
}

#[test]
fn show_draws_datagrams_with_their_packets() {
    // The first connection of the capture: aioquic to aioquic.
    let ran = show("quic-healthy/client.pcap", "udp:0", &[]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    for part in [
        "|--- Initial  len 1200 -",
        "Initial + Handshake + 1-RTT  len 1200 ---|",
        "Client Hello (SNI=lab.example)",
        "CONNECTION_CLOSE H3_NO_ERROR (0x100)",
        "Stream udp:0: ok",
        "version 1",
        "read with secrets",
        "Nothing was found wrong with this connection.",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
}

#[test]
fn early_data_are_opened() {
    let path = capture("quic-resumed/client.pcap");
    let keys = capture("quic-resumed/client.keylog");
    let args = ["--all", "--format", "json", &path, "--keylog", &keys];
    let json: serde_json::Value = serde_json::from_str(&Bench::new().run(&args).out).unwrap();
    let mut with_early_data = 0;
    for connection in json["connections"].as_array().unwrap() {
        let client = &connection["quic"]["client"];
        let count = |of: &str| client[of].as_u64().unwrap_or_default();
        if count("zero_rtt") > 0 {
            let sent = count("zero_rtt") + count("handshake") + count("one_rtt");
            assert_eq!(count("decrypted"), sent, "{client}");
            with_early_data += 1;
        }
    }
    assert_eq!(with_early_data, 4);
}

#[test]
fn show_draws_all_connections_between_the_same_ends_and_those_that_move() {
    // quinn keeps its socket for a second connection.
    let ran = show("quic-idle-timeout/client.pcap", "udp:2", &[]);
    assert_eq!(ran.out.matches("Stream udp:2: ").count(), 2, "{}", ran.out);
    // A client that goes on from another port has one drawing.
    let ran = show("quic-migration/client.pcap", "udp:0", &[]);
    assert!(ran.out.contains("from port "), "{}", ran.out);
    assert!(
        ran.out.contains("CONNECTION_CLOSE H3_NO_ERROR"),
        "{}",
        ran.out
    );
}

#[test]
fn annotate_keeps_all_datagrams_of_a_connection_that_failed() {
    let bench = Bench::new();
    let path = capture("quic-migration/client.pcap");
    let keys = capture("quic-migration/client.keylog");
    let ran = bench.run(&[
        "annotate", "--failed", &path, "--keylog", &keys, "-o", "b.pcapng",
    ]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    // Its packets before and behind the move, and none of the connections over TCP whose streams have the same numbers.
    let ran = bench.run(&["b.pcapng", "--keylog", &keys]);
    let counted = ran.out.contains("59 packets") && ran.out.contains("1 connection: 1 failed");
    assert!(counted, "{}", ran.out);
    let ran = bench.run(&["show", "b.pcapng", "udp:0", "--keylog", &keys]);
    assert!(
        ran.out.contains("root cause quic.stateless-reset"),
        "{}",
        ran.out
    );
}

#[test]
fn dtls_is_named_and_not_judged() {
    let path = capture("dtls/client.pcap");
    let ran = Bench::new().run(&["show", &path, "udp:2"]);
    for part in [
        "|--- DTLS handshake  len 153 -",
        "Alert: fatal, handshake_failure",
        "Stream udp:2: undecided",
        "DTLS is named and not diagnosed",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = Bench::new().run(&[&path]);
    let counted = "12 ok, 3 undecided\nUndecided: 3 over DTLS, which is named and not diagnosed.";
    assert!(ran.out.contains(counted), "{}", ran.out);
}

#[test]
fn show_names_what_is_no_connection_over_quic() {
    let path = capture("quic-fallback/client.pcap");
    let ran = Bench::new().run(&["show", &path, "udp:0"]);
    assert_eq!(ran.status, Some(2));
    assert!(
        ran.err.contains("stream udp:0 is no connection over QUIC"),
        "{}",
        ran.err
    );
}

#[test]
fn pages_draw_datagrams() {
    let path = capture("quic-unanswered/client.pcap");
    let page = Bench::new().run(&["--format", "html", &path]).out;
    assert!(page.contains("The packets of the connection: stream udp:"));
    assert!(page.contains("aria-label=\"Initial 1,200 to the server\""));
}
