//! Behind others, sent again, or never recorded: what became of bytes that came late.

use wirewhy_flow::{Connection, EventKind, Side};
use wirewhy_packet::Interval;

use crate::traces::{SERVER_ISN, only, opened, trouble};

/// Reordered, lost before the capture point, retransmitted in all: of what the server sent.
fn verdict(connection: &Connection) -> (u32, u32, u32) {
    let server = trouble(&connection.server);
    assert_eq!(connection.server.tcp.counts.out_of_order, server.reordered);
    let counts = connection.server.tcp.counts;
    (server.reordered, server.lost_before, counts.retransmissions)
}

#[test]
fn a_late_segment_with_an_earlier_identification_was_overtaken_however_late() {
    let late = opened(
        "0.300 < A 1:1001(1000) ack 1 id 100
         0.301 < A 2001:3001(1000) ack 1 id 102
         0.450 < A 1001:2001(1000) ack 1 id 101",
    );
    assert_eq!(verdict(&late), (1, 0, 0));
    let trouble = trouble(&late.server);
    assert_eq!(trouble.longest_reordering, Interval::from_millis(149));
    assert_eq!(trouble.reordered_frames, [6]);
}

#[test]
fn a_hole_filled_with_a_later_identification_was_sent_again_however_soon() {
    let again = opened(
        "0.3000 < A 1:1001(1000) ack 1 id 100
         0.3001 < A 2001:3001(1000) ack 1 id 102
         0.3008 < A 1001:2001(1000) ack 1 id 103",
    );
    assert_eq!(verdict(&again), (0, 1, 1));
}

#[test]
fn identifications_compare_across_their_wrap() {
    let overtaken = opened(
        "0.300 < A 1:1001(1000) ack 1 id 65534
         0.301 < A 2001:3001(1000) ack 1 id 2
         0.450 < A 1001:2001(1000) ack 1 id 65535",
    );
    assert_eq!(verdict(&overtaken), (1, 0, 0));
}

#[test]
fn identifications_far_apart_are_random_and_the_clock_decides() {
    let trace = |clock| {
        format!(
            "0.300 < A 1:1001(1000) ack 1 id 100 <ts 5000 1>
             0.301 < A 2001:3001(1000) ack 1 id 30000 <ts 5001 1>
             0.450 < A 1001:2001(1000) ack 1 id 200 <ts {clock} 1>"
        )
    };
    assert_eq!(verdict(&opened(&trace(5000))), (1, 0, 0));
    assert_eq!(verdict(&opened(&trace(5149))), (0, 1, 1));
}

#[test]
fn without_identifications_the_senders_clock_decides() {
    let trace = |at, clock| {
        format!(
            "0.3000 < A 1:1001(1000) ack 1 id 0 <ts 5000 1>
             0.3001 < A 2001:3001(1000) ack 1 id 0 <ts 5010 1>
             {at} < A 1001:2001(1000) ack 1 id 0 <ts {clock} 1>"
        )
    };
    // A minute later but clocked before: a long way round. At once but clocked later: sent again.
    assert_eq!(verdict(&opened(&trace("60.0", 5005))), (1, 0, 0));
    assert_eq!(verdict(&opened(&trace("0.3002", 5011))), (0, 1, 1));
}

#[test]
fn the_senders_clock_compares_across_its_wrap() {
    let overtaken = opened(
        "0.3000 < A 1:1001(1000) ack 1 id 0 <ts 4294967290 1>
         0.3001 < A 2001:3001(1000) ack 1 id 0 <ts 3 1>
         0.5000 < A 1001:2001(1000) ack 1 id 0 <ts 4294967295 1>",
    );
    assert_eq!(verdict(&overtaken), (1, 0, 0));
}

#[test]
fn without_any_sign_of_order_the_whole_round_trip_decides() {
    let trace = |at| {
        format!(
            "0.3000 < A 1:1001(1000) ack 1 id 0
             0.3010 < A 2001:3001(1000) ack 1 id 0
             {at} < A 1001:2001(1000) ack 1 id 0"
        )
    };
    assert_eq!(verdict(&opened(&trace("0.3900"))), (1, 0, 0));
    assert_eq!(verdict(&opened(&trace("0.4020"))), (0, 1, 1));
}

#[test]
fn at_the_server_the_far_half_of_the_round_trip_counts_too() {
    // From the server's side SYN to SYN-ACK takes no time: measured by it nothing could ever be reordered.
    let near_server = only(
        "0.0000 > S 0:0(0) <mss 1460>
         0.0001 < SA 0:0(0) ack 1 <mss 1460>
         0.1000 > A 1:1(0) ack 1
         0.3000 < A 1:1001(1000) ack 1 id 0
         0.3001 < A 2001:3001(1000) ack 1 id 0
         0.3101 < A 1001:2001(1000) ack 1 id 0",
    );
    assert_eq!(verdict(&near_server), (1, 0, 0));
}

#[test]
fn without_a_handshake_three_milliseconds_decide() {
    let trace = |at| {
        format!(
            "0.3000 < A 1:1001(1000) ack 1 id 0
             0.3010 < A 2001:3001(1000) ack 1 id 0
             {at} < A 1001:2001(1000) ack 1 id 0"
        )
    };
    assert_eq!(verdict(&only(&trace("0.3035"))), (1, 0, 0));
    assert_eq!(verdict(&only(&trace("0.3045"))), (0, 1, 1));
}

#[test]
fn a_hole_that_was_acknowledged_is_the_captures_own_loss() {
    let unseen = opened(
        "0.300 < A 1:1001(1000) ack 1
         0.301 < A 2001:3001(1000) ack 1
         0.302 > A 1:1(0) ack 3001
         0.303 < A 3001:4001(1000) ack 1
         0.304 > A 1:1(0) ack 4001",
    );
    assert_eq!(unseen.server.tcp.counts.unseen_bytes, 1000);
    assert_eq!(verdict(&unseen), (0, 0, 0));
    let seen: Vec<_> = unseen
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Unseen { bytes: 1000 }))
        .map(|event| (event.frame, event.from))
        .collect();
    assert_eq!(seen, [(6, Side::Server)]);
}

#[test]
fn bytes_acknowledged_beyond_the_last_segment_seen_are_the_captures_loss_too() {
    let unseen = opened(
        "0.300 < A 1:1001(1000) ack 1
         0.302 > A 1:1(0) ack 2501
         0.303 < A 2501:3001(500) ack 1",
    );
    assert_eq!(unseen.server.tcp.counts.unseen_bytes, 1500);
    assert_eq!(verdict(&unseen), (0, 0, 0));
}

#[test]
fn a_hole_the_receiver_asks_for_before_it_is_filled_was_lost_before_the_capture_point() {
    let before = opened(
        "0.3000 < A 1:1001(1000) ack 1 id 1
         0.3010 < A 2001:3001(1000) ack 1 id 3
         0.3011 > A 1:1(0) ack 1001 sack 2001:3001
         0.3020 < A 3001:4001(1000) ack 1 id 4
         0.3021 > A 1:1(0) ack 1001 sack 2001:4001
         0.3030 < A 4001:5001(1000) ack 1 id 5
         0.3031 > A 1:1(0) ack 1001 sack 2001:5001
         0.4040 < A 1001:2001(1000) ack 1 id 6
         0.4041 > A 1:1(0) ack 5001",
    );
    assert_eq!(verdict(&before), (0, 1, 1));
    // The first of the three acknowledged new bytes.
    assert_eq!(before.client.tcp.counts.duplicate_acks, 2);
    assert_eq!(before.server.tcp.counts.unseen_bytes, 0);
    let server = trouble(&before.server);
    assert_eq!((server.fast, server.timeout, server.losses()), (0, 0, 1));
    assert_eq!(server.hole, None, "it was filled");
}

#[test]
fn a_hole_the_receiver_keeps_asking_for_stays_open() {
    let open = opened(
        "0.3000 < A 1:1001(1000) ack 1
         0.3010 > A 1:1(0) ack 1001
         0.3020 < A 2001:3001(1000) ack 1
         0.3021 > A 1:1(0) ack 1001 sack 2001:3001
         0.3030 < A 3001:4001(1000) ack 1
         0.3031 > A 1:1(0) ack 1001 sack 2001:4001
         9.0 end",
    );
    let hole = trouble(&open.server).hole.expect("open");
    assert_eq!((hole.seq, hole.len), (SERVER_ISN.advance(1001), 1000));
    assert_eq!((hole.since.frame, hole.asked), (6, 2));
    assert_eq!(hole.last_asked.frame, 9);
}

#[test]
fn a_segment_captured_and_sent_again_after_duplicate_acks_was_lost_behind_the_capture_point() {
    let behind = opened(
        "0.3000 < A 1:1001(1000) ack 1
         0.3001 < A 1001:2001(1000) ack 1
         0.3002 < A 2001:3001(1000) ack 1
         0.3003 < A 3001:4001(1000) ack 1
         0.3004 < A 4001:5001(1000) ack 1
         0.3500 > A 1:1(0) ack 1001
         0.3501 > A 1:1(0) ack 1001 sack 2001:3001
         0.3502 > A 1:1(0) ack 1001 sack 2001:4001
         0.3503 > A 1:1(0) ack 1001 sack 2001:5001
         0.4500 < A 1001:2001(1000) ack 1
         0.5000 > A 1:1(0) ack 5001",
    );
    assert_eq!(verdict(&behind), (0, 0, 1));
    let server = trouble(&behind.server);
    assert_eq!((server.fast, server.timeout, server.spurious), (1, 0, 0));
    assert_eq!(behind.client.tcp.counts.duplicate_acks, 3);
    let stuck = server.stuck.expect("sent again");
    assert_eq!(stuck.acknowledged.map(|mark| mark.frame), Some(14));
    assert!(stuck.heard);
}

#[test]
fn the_second_and_third_hole_recovered_by_sack_are_fast_too() {
    // Three holes in one window. Each partial ACK moves on, so no three duplicate ACKs ever ask for the later ones.
    let recovered = opened(
        "0.3000 < A 1:1001(1000) ack 1
         0.3001 < A 1001:2001(1000) ack 1
         0.3002 < A 2001:3001(1000) ack 1
         0.3003 < A 3001:4001(1000) ack 1
         0.3004 < A 4001:5001(1000) ack 1
         0.3005 < A 5001:6001(1000) ack 1
         0.3500 > A 1:1(0) ack 1 sack 1001:2001
         0.3501 > A 1:1(0) ack 1 sack 3001:4001+1001:2001
         0.3502 > A 1:1(0) ack 1 sack 5001:6001+3001:4001+1001:2001
         0.4500 < A 1:1001(1000) ack 1
         0.5000 > A 1:1(0) ack 2001 sack 5001:6001+3001:4001
         0.5500 < A 2001:3001(1000) ack 1
         0.6000 > A 1:1(0) ack 4001 sack 5001:6001
         0.6500 < A 4001:5001(1000) ack 1
         0.7000 > A 1:1(0) ack 6001",
    );
    let server = trouble(&recovered.server);
    assert_eq!((server.fast, server.timeout, server.tail_probes), (3, 0, 0));
    assert_eq!(recovered.server.tcp.counts.retransmissions, 3);
    assert_eq!(server.stalled, Interval::ZERO);
    assert_eq!(server.frames, [13, 15, 17]);
}

#[test]
fn a_retransmission_nobody_asked_for_after_silence_is_a_timeout_and_costs_its_wait() {
    let timeout = opened(
        "0.300 > PA 1:101(100) ack 1
         0.600 > PA 1:101(100) ack 1
         1.200 > PA 1:101(100) ack 1
         1.300 < A 1:1(0) ack 101",
    );
    let client = trouble(&timeout.client);
    assert_eq!((client.timeout, client.fast, client.spurious), (2, 0, 0));
    assert_eq!(client.stalled, Interval::from_millis(900));
    assert_eq!(client.longest_stall, Interval::from_millis(600));
    assert_eq!(client.unanswered.count, 0, "it was answered in the end");
    let stuck = client.stuck.expect("sent again");
    assert_eq!((stuck.sent, stuck.heard), (3, true));
}

#[test]
fn the_tail_sent_again_early_is_a_probe_and_reported_as_duplicate_no_loss() {
    let lines = "0.300 > PA 1:101(100) ack 1
         0.460 > PA 1:101(100) ack 1";
    let lost = opened(&format!("{lines}\n0.560 < A 1:1(0) ack 101"));
    let client = trouble(&lost.client);
    assert_eq!((client.tail_probes, client.timeout), (1, 0));
    assert_eq!(client.losses(), 1);
    // RFC 2883: a block below the acknowledgement reports that the segment had arrived before.
    let needless = opened(&format!("{lines}\n0.560 < A 1:1(0) ack 101 sack 1:101"));
    let client = trouble(&needless.client);
    assert_eq!((client.tail_probes, client.reported_duplicates), (1, 1));
    assert_eq!(client.losses(), 0);
}

#[test]
fn what_was_acknowledged_already_is_sent_again_in_vain() {
    let spurious = opened(
        "0.300 > PA 1:101(100) ack 1
         0.400 < A 1:1(0) ack 101
         0.401 > PA 1:101(100) ack 1",
    );
    let client = trouble(&spurious.client);
    assert_eq!((client.spurious, client.losses()), (1, 0));
    assert_eq!(spurious.client.tcp.counts.retransmissions, 1);
}

#[test]
fn a_retransmission_of_part_of_a_super_segment_is_bytes_seen_before() {
    let (connections, tally) = crate::traces::tracked(&format!(
        "{}0.3000 < A 1:14601(14600) ack 1
         0.4000 > A 1:1(0) ack 1461
         0.4001 > A 1:1(0) ack 1461 sack 2921:4381
         0.4002 > A 1:1(0) ack 1461 sack 2921:8761
         0.4003 > A 1:1(0) ack 1461 sack 2921:14601
         0.5000 < A 1461:2921(1460) ack 1
         0.6000 > A 1:1(0) ack 14601
         0.7000 < A 14601:16061(1460) ack 1",
        crate::traces::OPEN
    ));
    let [connection] = connections.as_slice() else {
        unreachable!("one connection")
    };
    assert_eq!(verdict(connection), (0, 0, 1));
    assert_eq!(trouble(&connection.server).fast, 1);
    assert_eq!(connection.server.tcp.next, Some(SERVER_ISN.advance(16061)));
    assert_eq!(
        (tally.offloaded.count, tally.offloaded.frames),
        (1, vec![4])
    );
    assert_eq!(connection.server.counts.largest_payload, 14600);
}

#[test]
fn a_length_left_to_the_network_card_is_offload() {
    let (_, tally) = crate::traces::tracked(&format!(
        "{}0.3 > PA 1:5001(5000) ack 1 iplen 0
         0.4 < A 1:1(0) ack 5001",
        crate::traces::OPEN
    ));
    assert_eq!(
        (tally.offloaded.count, tally.offloaded.frames),
        (1, vec![4])
    );
}

#[test]
fn times_that_run_backwards_give_no_negative_spans() {
    let back = opened(
        "5.000 > PA 1:101(100) ack 1
         4.000 < A 1:1(0) ack 101 win 0
         3.000 < A 1:1(0) ack 101
         2.000 < PA 1:101(100) ack 101
         2.500 < PA 201:301(100) ack 101 id 0
         1.500 < PA 101:201(100) ack 101 id 0
         1.000 > FA 101:101(0) ack 301
         0.900 < RA 301:301(0) ack 102
         0.0   < R 301:301(0)",
    );
    assert!(back.duration() >= Interval::ZERO, "{:?}", back.duration());
    let exchange = back.tcp.exchange;
    assert!(exchange.quiet_before_close >= Some(Interval::ZERO));
    let took = exchange.slowest.expect("answered").took();
    assert!(took >= Interval::ZERO, "{took:?}");
    for event in back.events.iter() {
        if let EventKind::Reset(reset) = &event.kind {
            assert!(reset.idle >= Interval::ZERO, "{reset:?}");
        }
    }
    for side in [&back.client, &back.server] {
        let trouble = trouble(side);
        assert!(trouble.stalled >= Interval::ZERO);
        assert!(trouble.window.total >= Interval::ZERO);
        assert!(trouble.longest_reordering >= Interval::ZERO);
        let measured = side.tcp.delivery.round_trip;
        assert!(measured.min >= Interval::ZERO && measured.smoothed >= Interval::ZERO);
    }
}
