//! Bytes repeated on purpose, and windows that close.

use wirewhy_packet::Interval;

use crate::traces::{CLIENT_ISN, opened, trouble};

#[test]
fn an_empty_segment_below_the_next_byte_probes_a_closed_window() {
    // Linux probes with no byte at all, one below the oldest unacknowledged: in form a keep-alive.
    let probed = opened(
        "0.300 > A 1:1001(1000) ack 1
         0.400 < A 1:1(0) ack 1001 win 0
         0.700 > A 1000:1000(0) ack 1
         0.800 < A 1:1(0) ack 1001 win 0
         1.400 > A 1000:1000(0) ack 1
         1.500 < A 1:1(0) ack 1001 win 0
         5.400 < A 1:1(0) ack 1001
         5.401 > A 1001:2001(1000) ack 1
         5.500 < A 1:1(0) ack 2001",
    );
    let client = trouble(&probed.client);
    assert_eq!((client.window_probes, client.keep_alives), (2, 0));
    assert_eq!(probed.client.tcp.counts.retransmissions, 0);
    assert_eq!(client.losses(), 0);
    let stall = trouble(&probed.server).window;
    assert_eq!((stall.episodes, stall.closed_since), (1, None));
    assert_eq!(stall.total, Interval::from_secs(5));
    assert_eq!(stall.first.map(|mark| mark.frame), Some(5));
    assert_eq!(probed.server.tcp.counts.zero_windows, 3);
    assert_eq!(probed.server.tcp.counts.duplicate_acks, 0);
    assert_eq!(probed.client.tcp.next, Some(CLIENT_ISN.advance(2001)));
}

#[test]
fn one_new_byte_at_the_edge_of_a_closed_window_is_a_probe_and_takes_no_space_until_accepted() {
    let probed = opened(
        "0.3 > A 1:1001(1000) ack 1
         0.4 < A 1:1(0) ack 1001 win 0
         0.9 > A 1001:1002(1) ack 1
         1.0 < A 1:1(0) ack 1001 win 0
         2.0 > A 1001:1002(1) ack 1
         2.1 < A 1:1(0) ack 1001 win 8000
         2.2 > A 1001:2001(1000) ack 1
         2.3 < A 1:1(0) ack 2001",
    );
    let client = trouble(&probed.client);
    assert_eq!((client.window_probes, client.keep_alives), (2, 0));
    assert_eq!(probed.client.tcp.counts.retransmissions, 0);
    assert_eq!(probed.server.tcp.counts.unseen_bytes, 0);
    assert_eq!(probed.client.tcp.counts.unseen_bytes, 0);
}

#[test]
fn a_window_that_never_opens_stays_closed() {
    let closed = opened(
        "0.3 > A 1:1001(1000) ack 1
         0.4 < A 1:1(0) ack 1001 win 0
         9.0 end",
    );
    let stall = trouble(&closed.server).window;
    assert_eq!(stall.closed_since.map(|mark| mark.frame), Some(5));
}

#[test]
fn a_window_closed_by_a_fin_limits_nobody() {
    let over = opened(
        "0.3 > A 1:1001(1000) ack 1
         0.4 < FA 1:1(0) ack 1001 win 0",
    );
    assert_eq!(trouble(&over.server).window.episodes, 0);
}

#[test]
fn a_scaled_window_is_told_in_bytes() {
    let scaled = crate::traces::only(
        "0.0 > S 0:0(0) win 60000 <mss 1460,nop,wscale 7>
         0.1 < SA 0:0(0) ack 1 win 50000 <mss 1460,nop,wscale 3>
         0.2 > A 1:1(0) ack 1 win 100
         0.3 < A 1:1(0) ack 1 win 100",
    );
    assert_eq!(
        (scaled.client.tcp.window, scaled.server.tcp.window),
        (12_800, 800)
    );
    // RFC 7323 section 2.2: a window in a SYN is never scaled.
    assert_eq!(scaled.client.tcp.max_window, 60_000);
    let unscaled = crate::traces::only(
        "0.0 > S 0:0(0) win 60000 <mss 1460,nop,wscale 7>
         0.1 < SA 0:0(0) ack 1 win 50000 <mss 1460>
         0.2 > A 1:1(0) ack 1 win 100",
    );
    assert_eq!(unscaled.client.tcp.window, 100);
}

#[test]
fn a_byte_repeated_after_idleness_is_a_keep_alive() {
    for probe in ["100:100(0)", "100:101(1)"] {
        let alive = opened(&format!(
            "0.300 > PA 1:101(100) ack 1
             0.400 < A 1:1(0) ack 101
             60.40 > A {probe} ack 1
             60.50 < A 1:1(0) ack 101"
        ));
        let client = trouble(&alive.client);
        assert_eq!(
            (client.keep_alives, client.window_probes),
            (1, 0),
            "{probe}"
        );
        assert_eq!(client.unanswered_keep_alives.count, 0, "it was answered");
        assert_eq!(alive.client.tcp.counts.retransmissions, 0, "{probe}");
    }
}

#[test]
fn keep_alives_nobody_answers_are_counted_in_a_row() {
    let dead = opened(
        "0.300 > PA 1:101(100) ack 1
         0.400 < A 1:1(0) ack 101
         60.40 > A 100:100(0) ack 1
         61.40 > A 100:100(0) ack 1
         62.40 > A 100:100(0) ack 1",
    );
    let unanswered = trouble(&dead.client).unanswered_keep_alives;
    assert_eq!(unanswered.count, 3);
    assert_eq!(unanswered.first.map(|mark| mark.frame), Some(6));
    assert_eq!(unanswered.last.map(|mark| mark.frame), Some(8));
}

#[test]
fn the_last_byte_repeated_without_idleness_is_no_keep_alive() {
    let again = opened(
        "0.300 > PA 1:101(100) ack 1
         0.400 < A 1:1(0) ack 101
         0.450 > A 100:101(1) ack 1",
    );
    let client = trouble(&again.client);
    assert_eq!((client.keep_alives, client.spurious), (0, 1));
    let unacknowledged = opened(
        "0.300 > PA 1:2(1) ack 1
         1.500 > A 1:2(1) ack 1",
    );
    let client = trouble(&unacknowledged.client);
    assert_eq!((client.keep_alives, client.timeout), (0, 1));
}
