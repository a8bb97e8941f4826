//! How connections begin: round trips, roles, ports used again, two answers to one SYN.

use wirewhy_flow::{Ended, EndpointState, EventKind, Roles, RoundTrip, Side};
use wirewhy_packet::Interval;

use crate::traces::{CLIENT_ISN, SERVER_ISN, micros, only, opened, tracked, trouble};

#[test]
fn the_two_halves_of_the_handshake_are_measured_apart() {
    let connection = opened("");
    let expected = RoundTrip {
        handshake: Some(micros(100_100)),
        to_server: Some(micros(100_000)),
        to_client: Some(micros(100)),
    };
    assert_eq!(connection.round_trip(), expected);
}

#[test]
fn a_refusal_measures_no_round_trip() {
    let refused = only(
        "0.0 > S 0:0(0)
         0.2 < RA 0:0(0) ack 1 abs-seq win 0",
    );
    assert_eq!(refused.round_trip(), RoundTrip::default());
    assert_eq!(refused.tcp.handshake.ack, None);
    assert!(!refused.is_open());
}

#[test]
fn a_syn_sent_again_leaves_the_way_to_the_server_unknown() {
    let retried = only(
        "0.0 > S 0:0(0)
         1.0 > S 0:0(0)
         1.1 < SA 0:0(0) ack 1
         1.2 > A 1:1(0) ack 1",
    );
    assert_eq!(retried.round_trip().to_server, None);
    assert_eq!(retried.tcp.handshake.syns, 2);
    let answered = retried.tcp.handshake.answered_syn.map(|mark| mark.frame);
    assert_eq!(answered, Some(2));
}

#[test]
fn a_syn_sent_again_after_its_answer_passed_does_not_shorten_the_way() {
    let crossed = only(
        "0.0 > S 0:0(0)
         0.9 < SA 0:0(0) ack 1
         1.0 > S 0:0(0)
         1.1 > A 1:1(0) ack 1",
    );
    let round_trip = crossed.round_trip();
    assert_eq!(round_trip.to_server, Some(micros(900_000)));
    assert_eq!(round_trip.to_client, Some(micros(200_000)));
}

#[test]
fn a_repeated_syn_ack_leaves_the_way_to_the_client_unknown() {
    let repeated = only(
        "0.0 > S 0:0(0)
         0.1 < SA 0:0(0) ack 1
         1.1 < SA 0:0(0) ack 1
         1.2 > A 1:1(0) ack 1",
    );
    assert_eq!(repeated.round_trip().to_client, None);
    assert_eq!(repeated.round_trip().handshake, None);
    assert_eq!(repeated.tcp.handshake.syn_acks, 2);
}

#[test]
fn data_is_timed_smoothed_and_never_by_what_was_sent_again() {
    let timed = opened(
        "1.0 > PA 1:101(100) ack 1
         1.1 < A 1:1(0) ack 101
         2.0 > PA 101:201(100) ack 1
         2.18 < A 1:1(0) ack 201
         3.0 > PA 201:301(100) ack 1
         3.3 > PA 201:301(100) ack 1
         3.301 < A 1:1(0) ack 301",
    );
    let measured = timed.client.tcp.delivery.round_trip;
    assert_eq!((measured.samples, measured.min), (2, micros(100_000)));
    // RFC 6298 section 2.3: seven eighths of the old and one of the new.
    assert_eq!(measured.smoothed, micros(110_000));
}

#[test]
fn a_conversation_joined_late_says_so_and_guesses_by_the_port() {
    let late = only(
        "0.0 < PA 1:101(100) ack 1
         0.1 > A 1:1(0) ack 101",
    );
    assert_eq!(late.roles, Roles::Guessed);
    assert!(!late.roles.are_known());
    assert_eq!((late.client.port, late.server.port), (40_000, 80));
    assert_eq!(late.client.tcp.state, EndpointState::JoinedLate);
    assert_eq!(late.server.tcp.state, EndpointState::JoinedLate);
    assert_eq!(late.round_trip(), RoundTrip::default());
    assert_eq!((late.tcp.handshake.ack, late.client.tcp.isn), (None, None));
    assert!(late.is_open());
}

#[test]
fn http_is_read_from_the_first_request_on() {
    let talk = |acknowledged: u32| {
        let late = only(&format!(
            "0.00 < A 1:301(300) ack 1
             0.01 < PA 301:401(100) ack 1
             0.02 > PA 1:23(22) ack {acknowledged} \"GET /b HTTP/1.1\\r\\nHost:\"
             0.03 > PA 23:29(6) ack 401 \" h\\r\\n\\r\\n\"
             0.04 < PA 401:448(47) ack 29 \"HTTP/1.1 404 Not Found\\r\\nContent-Length: 2\\r\\n\\r\\nno\"
             0.05 > PA 29:60(31) ack 448 \"GET /ccccc HTTP/1.1\\r\\nHost:h\\r\\n\\r\\n\"
             0.06 < PA 448:486(38) ack 60 \"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n\""
        ));
        let app = late.app?;
        let status = app
            .http
            .trouble
            .as_ref()
            .map(|trouble| trouble.refusals[0].status);
        Some((app.http.requests, app.http.responses, status))
    };
    assert_eq!(talk(401), Some((2, 2, Some(404))));
    // Where the server still sends when the client asks, what is acknowledged later begins it.
    assert_eq!(talk(301), Some((1, 1, None)));
}

#[test]
fn the_middle_of_a_body_is_no_request() {
    let late = only(
        "0.00 > A 1:27(26) ack 1 \"GET / HTTP/1.1 is a line\\r\\n\"
         0.01 < PA 1:19(18) ack 27 \"HTTP/1.1 200 OK\\r\\n\\r\"",
    );
    assert!(late.app.is_none());
    // Lines of an upload, each in a segment of its own.
    let late = only(
        "0.00 > A 1:7(6) ack 1 \"line\\r\\n\"
         0.01 > A 7:24(17) ack 1 \"GET / HTTP/1.1\\r\\n\\n\"
         0.02 < PA 1:18(17) ack 24 \"HTTP/1.1 200 OK\\r\\n\"",
    );
    assert!(late.app.is_none());
}

/// A whole ClientHello of TLS 1.2 for one cipher suite, and a ServerHello that takes it, as records.
fn hellos() -> [String; 2] {
    let random = "5a".repeat(32);
    [
        format!("160301002d010000290303{random}000002c02f0100"),
        format!("160303002a020000260303{random}00c02f00"),
    ]
}

#[test]
fn tls_is_read_from_the_first_record_on_and_tells_the_client() {
    let [client_hello, server_hello] = hellos();
    let late = only(&format!(
        "client 192.0.2.1:443
         server 198.51.100.1:40000
         0.00 > PA 1:301(300) ack 1
         0.01 > PA 301:351(50) ack 1 hex {client_hello}
         0.02 < PA 1:48(47) ack 351 hex {server_hello}
         0.03 < PA 48:55(7) ack 351 hex 15030300020228"
    ));
    assert_eq!((late.roles, late.client.port), (Roles::Hello, 443));
    assert!(!late.roles.are_known());
    assert_eq!(late.client.counts.payload_bytes, 350);
    let tls = late.app.and_then(|app| app.tls).expect("TLS");
    assert_eq!(tls.client_hello.map(|hello| hello.mark.frame), Some(2));
    assert_eq!(tls.server_hello.map(|hello| hello.mark.frame), Some(3));
    assert_eq!(tls.server.alerts.len(), 1);
}

#[test]
fn a_server_hello_tells_the_server_too() {
    let [_, server_hello] = hellos();
    let late = only(&format!(
        "client 192.0.2.1:443
         server 198.51.100.1:40000
         0.02 < PA 1:48(47) ack 1 hex {server_hello}"
    ));
    assert_eq!((late.roles, late.server.port), (Roles::Hello, 40_000));
    let tls = late.app.and_then(|app| app.tls).expect("TLS");
    assert!(tls.server_hello.is_some());
}

#[test]
fn nothing_else_is_read_in_the_middle_of_a_stream() {
    let late = only(
        "0.00 > PA 1:13(12) ack 1 \"GET a-value\\n\"
         0.01 < PA 1:17(16) ack 13 \"HTTP/1.0 200 OK\\n\"",
    );
    assert_eq!(late.app, None);
}

#[test]
fn an_endpoint_that_answered_others_is_known_for_a_service() {
    let (connections, _) = tracked(
        "0.0 10.0.0.1:40000 > 10.0.0.9:9000 S 0:0(0)
         0.1 10.0.0.1:40000 < 10.0.0.9:9000 SA 0:0(0) ack 1
         0.2 10.0.0.9:9000 > 10.0.0.2:500 PA 1:101(100) ack 1",
    );
    let ends: Vec<_> = connections
        .iter()
        .map(|connection| (connection.roles, connection.server.port))
        .collect();
    assert_eq!(ends, [(Roles::Syn, 9000), (Roles::KnownService, 9000)]);
}

#[test]
fn a_guess_is_mended_by_what_is_learned_later() {
    let (connections, _) = tracked(
        "0.0 10.0.0.9:9000 > 10.0.0.2:500 PA 1:101(100) ack 1
         0.1 10.0.0.9:9000 < 10.0.0.2:500 A 1:1(0) ack 101
         0.2 10.0.0.1:40000 > 10.0.0.9:9000 S 0:0(0)
         0.3 10.0.0.1:40000 < 10.0.0.9:9000 SA 0:0(0) ack 1",
    );
    let late = connections.first().expect("first");
    assert_eq!((late.roles, late.server.port), (Roles::KnownService, 9000));
    assert_eq!(late.server.counts.payload_bytes, 100);
    assert_eq!(late.client.counts.payload_bytes, 0);
}

#[test]
fn a_connection_first_seen_by_its_syn_ack_knows_its_roles() {
    let joined = only(
        "0.0 < SA 0:0(0) ack 1
         0.1 > A 1:1(0) ack 1",
    );
    assert_eq!((joined.roles, joined.server.port), (Roles::SynAck, 80));
    assert_eq!(joined.round_trip().to_client, Some(micros(100_000)));
    assert_eq!(joined.round_trip().to_server, None);
    assert_eq!(joined.client.tcp.state, EndpointState::Established);
}

#[test]
fn two_syns_that_cross_open_one_connection() {
    let crossed = only(
        "0.00 > S 0:0(0)
         0.01 < S 0:0(0)
         0.05 > SA 0:0(0) ack 1
         0.06 < SA 0:0(0) ack 1
         0.10 > PA 1:11(10) ack 1
         0.20 < A 1:1(0) ack 11",
    );
    assert_eq!(crossed.roles, Roles::Simultaneous);
    assert_eq!(crossed.client.tcp.state, EndpointState::Established);
    assert_eq!(crossed.server.tcp.state, EndpointState::Established);
    assert_eq!(crossed.client.tcp.counts.retransmissions, 0);
}

#[test]
fn ports_used_again_with_another_number_are_another_connection() {
    let (connections, _) = tracked(
        "0.0 > S 0:0(0)
         0.1 < SA 0:0(0) ack 1
         0.2 > A 1:1(0) ack 1
         client isn 900000
         server isn 700000
         9.0 > S 0:0(0)
         9.1 < SA 0:0(0) ack 1
         9.2 > A 1:1(0) ack 1
         9.3 > PA 1:11(10) ack 1",
    );
    let ended: Vec<_> = connections
        .iter()
        .map(|connection| {
            let earlier = connection.host_context.earlier_stream;
            (connection.stream, connection.ended, earlier)
        })
        .collect();
    assert_eq!(
        ended,
        [(0, Ended::Reused, None), (1, Ended::EndOfCapture, Some(0))]
    );
    for connection in &connections {
        assert!(connection.tcp.handshake.ack.is_some());
        assert_eq!(connection.client.tcp.trouble(), None);
    }
}

#[test]
fn a_syn_sent_again_is_the_same_connection() {
    let (connections, _) = tracked("0 > S 0:0(0)\n1 > S 0:0(0)\n3 > S 0:0(0)\n7 > S 0:0(0)\n");
    assert_eq!(connections.len(), 1);
    assert_eq!(
        connections.first().map(|one| one.tcp.handshake.syns),
        Some(4)
    );
}

#[test]
fn a_second_syn_ack_with_another_number_changes_nothing_once_the_first_was_acknowledged() {
    let twice = opened(
        "0.150 < SA 777777:777777(0) ack 1 abs-seq
         0.300 > PA 1:101(100) ack 1
         0.400 < A 1:1(0) ack 101
         0.401 < PA 1:1001(1000) ack 101
         0.402 > A 101:101(0) ack 1001",
    );
    let numbers: Vec<_> = twice
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::SynAck {
                seq, acceptable, ..
            } => Some((seq.0, acceptable)),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [(5000, true), (777_777, true)], "both are told");
    assert_eq!(twice.server.tcp.isn, Some(SERVER_ISN));
    assert_eq!(twice.server.tcp.next, Some(SERVER_ISN.advance(1001)));
    assert_eq!(twice.server.tcp.acknowledged, Some(CLIENT_ISN.advance(101)));
    assert_eq!(twice.server.tcp.counts.retransmissions, 0);
    assert_eq!(twice.server.tcp.counts.unseen_bytes, 0);
    assert_eq!(trouble(&twice.server).reordered, 0);
}

#[test]
fn the_syn_ack_that_was_acknowledged_is_the_one_that_counts() {
    let lines = |acknowledged: u32| {
        format!(
            "0.100 > S 0:0(0)
             0.200 < SA 5000:5000(0) ack 1 abs-seq
             0.201 < SA 7000:7000(0) ack 1 abs-seq
             0.202 > A 1:1(0) ack {acknowledged} abs-ack
             0.300 < PA {acknowledged}:{}(100) ack 1 abs-seq",
            acknowledged + 100
        )
    };
    for isn in [5000, 7000] {
        let connection = only(&lines(isn + 1));
        assert_eq!(connection.server.tcp.isn.map(|seq| seq.0), Some(isn));
        assert_eq!(connection.server.tcp.next.map(|seq| seq.0), Some(isn + 101));
        assert_eq!(connection.server.tcp.counts.unseen_bytes, 0, "{isn}");
        assert_eq!(connection.server.tcp.counts.retransmissions, 0, "{isn}");
    }
}

#[test]
fn a_syn_ack_for_another_syn_does_not_open() {
    let foreign = only(
        "0.0 > S 0:0(0)
         0.1 < SA 0:0(0) ack 4000
         0.2 > R 4000:4000(0)",
    );
    assert_eq!(foreign.tcp.handshake.syn_ack, None);
    assert_eq!(foreign.tcp.handshake.syn_acks, 1);
    assert!(foreign.events.iter().any(|event| matches!(
        event.kind,
        EventKind::SynAck {
            acceptable: false,
            ..
        }
    )));
}

#[test]
fn an_ack_of_other_numbers_in_answer_to_a_syn_is_told_as_such() {
    let stale = only(
        "0.0 > S 0:0(0)
         0.1 < A 40000:40000(0) ack 90000
         0.2 > R 90000:90000(0)
         1.0 > S 0:0(0)
         1.1 < SA 0:0(0) ack 1
         1.2 > A 1:1(0) ack 1
         1.3 > PA 1:11(10) ack 1",
    );
    assert!(stale.has_unrelated_ack());
    assert_eq!(stale.server.tcp.isn, Some(SERVER_ISN));
    assert_eq!(stale.tcp.handshake.syn_ack.map(|mark| mark.frame), Some(5));
    assert_eq!(stale.client.tcp.counts.retransmissions, 0);
}

#[test]
fn the_turns_of_a_conversation_are_timed_from_the_question_sent_last() {
    let asked = opened(
        "1.0 > PA 1:101(100) ack 1
         1.3 > PA 1:101(100) ack 1
         1.5 < PA 1:101(100) ack 101
         1.6 < A 101:201(100) ack 101
         2.0 > PA 101:201(100) ack 201
         2.1 < PA 201:301(100) ack 201
         3.0 > PA 201:301(100) ack 301",
    );
    let exchange = asked.tcp.exchange;
    let first = exchange.first.expect("answered");
    assert_eq!((first.asked.frame, first.answered.frame), (5, 6));
    assert_eq!(first.took(), Interval::from_millis(200));
    assert_eq!(
        (exchange.answers, exchange.pushes, exchange.greets),
        (2, false, false)
    );
    assert_eq!(exchange.asked.map(|mark| mark.frame), Some(10));
}

#[test]
fn a_server_that_speaks_first_greets_and_one_that_speaks_unasked_pushes() {
    let greeting = opened("0.3 < PA 1:21(20) ack 1\n");
    assert!(greeting.tcp.exchange.greets && !greeting.tcp.exchange.pushes);
    let pushing = opened(
        "0.3 > PA 1:21(20) ack 1
         0.4 < PA 1:21(20) ack 21
         5.4 < PA 21:41(20) ack 21",
    );
    assert!(pushing.tcp.exchange.pushes && !pushing.tcp.exchange.greets);
}

#[test]
fn both_sides_know_when_their_fin_was_acknowledged() {
    let half = opened(
        "0.3 > FA 1:1(0) ack 1
         0.4 < A 1:1(0) ack 2",
    );
    let closing = |acknowledged| EndpointState::Closing { acknowledged };
    assert_eq!(half.client.tcp.state, closing(true));
    assert_eq!(half.server.tcp.state, EndpointState::Established);
    let unheard = opened("0.3 > FA 1:1(0) ack 1\n");
    assert_eq!(unheard.client.tcp.state, closing(false));
    let fins: Vec<_> = half
        .events
        .iter()
        .filter(|event| event.kind == EventKind::Fin)
        .map(|event| event.from)
        .collect();
    assert_eq!(fins, [Side::Client]);
}
