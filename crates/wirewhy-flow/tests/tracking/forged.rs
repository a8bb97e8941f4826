//! Segments that do not belong where they say they do: they must not move the state.

use wirewhy_flow::{EndpointState, EventKind, Position};

use crate::traces::{CLIENT_ISN, SERVER_ISN, opened, trouble};

/// A request and an answer around `stray`, then a close.
fn around(stray: &str) -> wirewhy_flow::Connection {
    opened(&format!(
        "0.300 > PA 1:101(100) ack 1
         0.400 < PA 1:1001(1000) ack 101
         0.401 > A 101:101(0) ack 1001
         {stray}
         0.600 > PA 101:201(100) ack 1001
         0.700 < PA 1001:2001(1000) ack 201
         0.701 > A 201:201(0) ack 2001"
    ))
}

/// Nothing went wrong, and both sides are where the honest segments left them.
#[track_caller]
fn assert_unmoved(connection: &wirewhy_flow::Connection) {
    assert_eq!(connection.client.tcp.next, Some(CLIENT_ISN.advance(201)));
    assert_eq!(connection.server.tcp.next, Some(SERVER_ISN.advance(2001)));
    assert_eq!(
        connection.client.tcp.acknowledged,
        Some(SERVER_ISN.advance(2001))
    );
    assert_eq!(
        connection.server.tcp.acknowledged,
        Some(CLIENT_ISN.advance(201))
    );
    assert_eq!(connection.client.tcp.state, EndpointState::Established);
    assert_eq!(connection.server.tcp.state, EndpointState::Established);
    for side in [&connection.client, &connection.server] {
        assert_eq!(side.tcp.counts.retransmissions, 0);
        assert_eq!(side.tcp.counts.out_of_order, 0);
        assert_eq!(side.tcp.counts.unseen_bytes, 0);
        assert_eq!(trouble(side).losses(), 0);
        assert_eq!(side.tcp.fin, None);
    }
}

#[test]
fn without_a_stray_segment_nothing_is_wrong() {
    assert_unmoved(&around(""));
}

#[test]
fn a_reset_far_ahead_moves_nothing() {
    let reset = around("0.5 < R 90000001:90000001(0)");
    assert_unmoved(&reset);
    let position = reset.events.iter().find_map(|event| match &event.kind {
        EventKind::Reset(reset) => Some(reset.position),
        _ => None,
    });
    assert_eq!(position, Some(Position::Outside));
    assert_eq!(reset.server.tcp.counts.resets, 1);
}

#[test]
fn a_reset_within_the_window_but_not_at_its_edge_moves_nothing() {
    assert_unmoved(&around("0.5 < R 21001:21001(0)"));
}

#[test]
fn data_far_ahead_moves_nothing() {
    assert_unmoved(&around("0.5 < PA 90000001:90000101(100) ack 101"));
    assert_unmoved(&around("0.5 > PA 90000001:90000101(100) ack 1001"));
}

#[test]
fn data_far_behind_moves_nothing() {
    assert_unmoved(&around("0.5 < PA -90000001:-89999901(100) ack 101"));
}

#[test]
fn a_fin_far_ahead_closes_nothing() {
    assert_unmoved(&around("0.5 < FA 90000001:90000001(0) ack 101"));
}

#[test]
fn an_acknowledgement_far_ahead_moves_nothing() {
    assert_unmoved(&around("0.5 > A 101:101(0) ack 90000001"));
    assert_unmoved(&around("0.5 < A 1001:1001(0) ack 90000001"));
}

#[test]
fn a_window_closed_by_a_stray_segment_closes_nothing() {
    let closed = around("0.5 > A 90000001:90000001(0) ack 1001 win 0");
    assert_unmoved(&closed);
    assert_eq!(trouble(&closed.client).window.episodes, 0);
}

#[test]
fn what_the_capture_missed_is_caught_up_with() {
    // A second of a fast transfer that was not recorded: far beyond any window, and both directions agree.
    let lossy = opened(
        "0.300 < A 1:1461(1460) ack 1
         0.301 > A 1:1(0) ack 1461
         1.300 < A 90000001:90001461(1460) ack 1
         1.301 < A 90001461:90002921(1460) ack 1
         1.302 > A 1:1(0) ack 90002921
         1.303 < A 90002921:90004381(1460) ack 1
         1.304 > A 1:1(0) ack 90004381
         1.400 < FA 90004381:90004381(0) ack 1
         1.401 > FA 1:1(0) ack 90004382
         1.500 < A 90004382:90004382(0) ack 2",
    );
    let closed = EndpointState::Closing { acknowledged: true };
    assert_eq!(
        (lossy.client.tcp.state, lossy.server.tcp.state),
        (closed, closed)
    );
    assert_eq!(lossy.server.tcp.next, Some(SERVER_ISN.advance(90_004_382)));
    assert_eq!(lossy.server.tcp.counts.retransmissions, 0);
    assert_eq!(lossy.server.tcp.counts.unseen_bytes, 90_000_000 - 1460);
}

#[test]
fn what_the_capture_missed_is_caught_up_with_by_one_direction_alone() {
    let one_way = opened(
        "0.300 < A 1:1461(1460) ack 1
         1.300 < A 90000001:90001461(1460) ack 1
         1.301 < A 90001461:90002921(1460) ack 1
         1.302 < A 90002921:90004381(1460) ack 1",
    );
    assert_eq!(
        one_way.server.tcp.next,
        Some(SERVER_ISN.advance(90_004_381))
    );
    assert_eq!(one_way.server.tcp.counts.stray, 1);
    let acks = opened(
        "0.300 > A 1:1(0) ack 1461
         1.300 > A 1:1(0) ack 90001461
         1.301 > A 1:1(0) ack 90004381
         1.302 > A 1:1(0) ack 90007301",
    );
    assert_eq!(
        acks.client.tcp.acknowledged,
        Some(SERVER_ISN.advance(90_007_301))
    );
    assert_eq!(acks.client.tcp.counts.stray, 1);
}

#[test]
fn a_request_and_its_answer_behind_a_missed_part_agree() {
    let rejoined = opened(
        "0.300 > PA 1:101(100) ack 1
         0.400 < PA 1:1001(1000) ack 101
         9.300 > PA 40000001:40000101(100) ack 90000001
         9.400 < PA 90000001:90000101(100) ack 40000101
         9.401 > PA 40000101:40000201(100) ack 90000101",
    );
    assert_eq!(
        rejoined.client.tcp.next,
        Some(CLIENT_ISN.advance(40_000_201))
    );
    assert_eq!(
        rejoined.server.tcp.next,
        Some(SERVER_ISN.advance(90_000_101))
    );
    let strays = (
        rejoined.client.tcp.counts.stray,
        rejoined.server.tcp.counts.stray,
    );
    assert_eq!(strays, (1, 0));
}

#[test]
fn a_series_of_guesses_moves_nothing() {
    let guesses: String = (0..64)
        .map(|guess| {
            let seq = 90_000_001 + guess * 65_535;
            format!("+0.0001 < PA {seq}:{}(100) ack 101\n", seq + 100)
        })
        .collect();
    let connection = around(&format!("0.5 end\n{guesses}"));
    assert_unmoved(&connection);
    assert_eq!(connection.server.tcp.counts.stray, 64);
}

#[test]
fn a_stray_segment_leaves_no_trace_in_what_resets_are_compared_with() {
    let stray = around("0.5 < PA 90000001:90000101(100) ack 101 ttl 200 id 9 <ts 7 7>");
    let plain = around("");
    assert_eq!(stray.server.ttl, plain.server.ttl);
    assert_eq!(stray.server.tcp.timestamp, plain.server.tcp.timestamp);
    assert_eq!(stray.server.tcp.counts.stray, 1);
    let bytes = |one: &wirewhy_flow::Connection| one.server.counts.payload_bytes;
    assert_eq!(bytes(&stray), bytes(&plain));
}

#[test]
fn without_both_syns_the_window_may_be_scaled_up_to_a_gigabyte() {
    let joined = crate::traces::only(
        "0.300 < A 1:1461(1460) ack 1 win 500
         0.301 > A 1:1(0) ack 1461 win 500
         0.302 < A 4000001:4001461(1460) ack 1 win 500
         0.303 > A 1:1(0) ack 1461 win 500",
    );
    assert_eq!(joined.server.tcp.counts.stray, 0);
    assert_eq!(trouble(&joined.server).hole.map(|hole| hole.asked), Some(1));
}
