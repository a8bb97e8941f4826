//! Where the capture was taken.

use wirewhy_flow::{Bounds, Vantage};
use wirewhy_packet::LinkType;
use wirewhy_testkit::{OwnedFrame, trace};

use crate::traces::{only, track};

/// A handshake with these hop counts and these halves of the round trip in milliseconds.
fn seen(client_ttl: u8, server_ttl: u8, to_server: u32, to_client: u32) -> Vantage {
    let there = f64::from(to_server) / 1000.0;
    let back = there + f64::from(to_client) / 1000.0;
    only(&format!(
        "client ttl {client_ttl}\nserver ttl {server_ttl}\n\
         0.0 > S 0:0(0)\n{there:.6} < SA 0:0(0) ack 1\n{back:.6} > A 1:1(0) ack 1\n"
    ))
    .vantage()
}

#[test]
fn a_hop_count_nobody_lowered_belongs_to_a_host_next_to_the_capture() {
    assert_eq!(seen(64, 57, 50, 50), Vantage::ClientSide);
    assert_eq!(seen(128, 49, 50, 50), Vantage::ClientSide);
    assert_eq!(seen(60, 64, 50, 50), Vantage::ServerSide);
    assert_eq!(seen(120, 255, 50, 50), Vantage::ServerSide);
    assert_eq!(seen(60, 57, 50, 50), Vantage::InBetween);
}

#[test]
fn hop_counts_outweigh_the_halves_of_the_handshake() {
    assert_eq!(seen(64, 57, 1, 99), Vantage::ClientSide);
}

#[test]
fn lopsided_halves_place_the_capture_where_hop_counts_do_not() {
    assert_eq!(seen(64, 64, 99, 1), Vantage::ClientSide);
    assert_eq!(seen(64, 64, 1, 99), Vantage::ServerSide);
    assert_eq!(seen(64, 64, 50, 50), Vantage::InBetween);
    // One router away from the client on a long way.
    assert_eq!(seen(63, 50, 99, 1), Vantage::ClientSide);
    assert_eq!(seen(50, 63, 1, 99), Vantage::ServerSide);
}

#[test]
fn a_handshake_faster_than_scheduling_tells_nothing() {
    let quick = only(
        "server ttl 64
         0.000000 > S 0:0(0)
         0.000400 < SA 0:0(0) ack 1
         0.000410 > A 1:1(0) ack 1",
    );
    assert_eq!(quick.vantage(), Vantage::Unknown);
}

#[test]
fn one_side_alone_tells_nothing() {
    assert_eq!(
        only("0 > S 0:0(0)\n1 > S 0:0(0)").vantage(),
        Vantage::Unknown
    );
}

#[test]
fn an_attempt_nobody_answered_borrows_what_others_tell_of_the_server() {
    let (connections, _) = crate::traces::tracked(
        "0.0 #1 > S 0:0(0)
         0.1 #1 < SA 0:0(0) ack 1
         0.2 #1 > A 1:1(0) ack 1
         0.3 #2 > S 0:0(0)
         9.0 end",
    );
    let unanswered = connections.last().expect("two");
    assert_eq!(unanswered.vantage(), Vantage::ClientSide);
}

/// An Ethernet frame as a cooked capture (version 1) records it.
fn cooked(frame: &OwnedFrame, outgoing: bool) -> OwnedFrame {
    let kind = if outgoing { 4 } else { 0 };
    let mut data = vec![0, kind, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    data.extend_from_slice(frame.data.get(14..).unwrap_or(&[]));
    OwnedFrame {
        link_type: LinkType::LINUX_SLL,
        original_len: frame.original_len + 2,
        data,
        ..frame.clone()
    }
}

/// Neither hop counts nor the halves of the handshake tell anything.
const HANDSHAKE: &str = "client ttl 64\nserver ttl 64\n\
    0.0 > S 0:0(0)\n0.0002 < SA 0:0(0) ack 1\n0.0004 > A 1:1(0) ack 1\n";

/// The handshake recorded by a host that sent what `sent` says.
fn on_host(sent: impl Fn(&OwnedFrame) -> bool) -> Vantage {
    let frames: Vec<_> = trace(HANDSHAKE)
        .iter()
        .map(|frame| cooked(frame, sent(frame)))
        .collect();
    let (connections, _) = track(&frames, Bounds::default());
    connections
        .first()
        .map_or(Vantage::Unknown, |one| one.vantage())
}

#[test]
fn the_capturing_host_is_the_side_whose_packets_it_sent() {
    assert_eq!(on_host(|frame| frame.number != 2), Vantage::ClientSide);
    assert_eq!(on_host(|frame| frame.number == 2), Vantage::ServerSide);
}

#[test]
fn a_host_that_sent_the_packets_of_both_sides_forwards_them() {
    assert_eq!(on_host(|_| true), Vantage::InBetween);
}

#[test]
fn a_router_that_records_every_packet_in_and_out_lies_in_between() {
    let mut frames = Vec::new();
    for frame in trace(HANDSHAKE) {
        let mut forwarded = cooked(&frame, true);
        forwarded.time.0 += 20_000;
        // The hop count, behind 16 bytes of cooked header; the checksum of the header is not looked at.
        if let Some(ttl) = forwarded.data.get_mut(16 + 8) {
            *ttl -= 1;
        }
        frames.extend([cooked(&frame, false), forwarded]);
    }
    for (number, frame) in (1..).zip(&mut frames) {
        frame.number = number;
    }
    let (connections, tally) = track(&frames, Bounds::default());
    assert_eq!((connections.len(), tally.copies.count), (1, 3));
    assert_eq!(
        connections.first().map(|one| one.vantage()),
        Some(Vantage::InBetween)
    );
}
