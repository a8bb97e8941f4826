use wirewhy_packet::Decoder;
use wirewhy_testkit::trace;

use super::*;

fn analysed(text: &str) -> Vec<Marked> {
    let mut decoder = Decoder::new();
    let mut analysis = WiresharkAnalysis::new();
    trace(text)
        .iter()
        .filter_map(|frame| analysis.observe(&decoder.decode(&frame.as_frame())))
        .collect()
}

/// For each TCP frame its marks, separated by commas.
fn marked(text: &str) -> Vec<String> {
    let names = |marked: &Marked| marked.marks.names().collect::<Vec<_>>().join(",");
    analysed(text).iter().map(names).collect()
}

/// The marks of the frames behind a handshake with 100 ms of round trip and windows of 1000.
fn after_handshake(text: &str) -> Vec<String> {
    let handshake = "0 > S 0:0(0) win 1000 <mss 1460>\n\
                     0.09 < SA 0:0(0) ack 1 win 1000 <mss 1460>\n\
                     0.1 > A 1:1(0) ack 1 win 1000\n";
    marked(&format!("{handshake}{text}")).split_off(3)
}

fn completeness(text: &str) -> Vec<u8> {
    let frames = analysed(text);
    frames.iter().map(|marked| marked.completeness).collect()
}

fn streams(text: &str) -> Vec<u32> {
    analysed(text).iter().map(|marked| marked.stream).collect()
}

const SAME: &str = "retransmission";
const SPURIOUS: &str = "retransmission,spurious_retransmission";
const FAST: &str = "retransmission,fast_retransmission";

mod opening {
    use super::*;

    #[test]
    fn syns_are_repeated_and_a_new_number_opens_a_stream() {
        let text = "0 > S 0:0(0)\n1 > S 0:0(0)\n3 > S 0:0(0)\n7 > S 100:100(0)\n";
        assert_eq!(marked(text), ["", SAME, SAME, "reused_ports"]);
        assert_eq!(streams(text), [0, 0, 0, 1]);
        assert_eq!(completeness(text), [0, 1, 1, 1]);
    }

    #[test]
    fn a_second_syn_ack_with_another_number_stays_in_the_stream() {
        let text = "0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n1.1 < SA 400:400(0) ack 1\n\
                    1.2 > A 1:1(0) ack 401\n";
        let marks = marked(text);
        assert_eq!(
            marks[2..],
            ["lost_segment,reused_ports", "ack_lost_segment"]
        );
        assert_eq!(streams(text), [0; 4]);
    }

    #[test]
    fn a_refusal_with_seq_zero_makes_the_real_syn_ack_look_reused() {
        let text = "0 > S 0:0(0)\n0.1 < RA 0:0(0) ack 1 abs-seq win 0\n0.2 < SA 0:0(0) ack 1\n";
        assert_eq!(marked(text)[2], "reused_ports");
        assert_eq!(analysed(text)[1].relative_seq, 1);
    }

    #[test]
    fn the_client_is_learned_from_syn_or_syn_ack_and_guessed_otherwise() {
        let sides = |text: &str| -> Vec<Side> {
            let frames = analysed(text);
            frames.iter().map(|marked| marked.from).collect()
        };
        use Side::{Client, Server};
        assert_eq!(
            sides("0 > S 0:0(0)\n1 < SA 0:0(0) ack 1\n"),
            [Client, Server]
        );
        assert_eq!(
            sides("0 < SA 0:0(0) ack 1\n1 > A 1:1(0) ack 1\n"),
            [Server, Client]
        );
        let late = "0 < A 9:9(0) ack 9\n1 > A 9:9(0) ack 9\n2 > S 0:0(0)\n3 < A 9:9(0) ack 9\n";
        assert_eq!(sides(late), [Client, Server, Client, Server]);
    }

    #[test]
    fn numbers_are_relative_to_what_the_first_segment_shows() {
        let text = "0 > A 501:511(10) ack 301\n1 < A 301:301(0) ack 511\n2 < . 301:301(0)\n";
        let numbers: Vec<_> = analysed(text)
            .iter()
            .map(|marked| (marked.relative_seq, marked.relative_ack))
            .collect();
        assert_eq!(numbers, [(1, Some(1)), (1, Some(11)), (1, None)]);
    }

    #[test]
    fn equal_ends_share_one_direction() {
        let text = "0 10.0.0.1:7 > 10.0.0.1:7 S 0:0(0)\n0 10.0.0.1:7 > 10.0.0.1:7 A 9:9(0) ack 9\n";
        assert_eq!(marked(text), ["", "lost_segment"]);
    }
}

mod completeness {
    use super::*;

    #[test]
    fn a_refused_connection_ends_at_37_and_at_33_without_ack() {
        let refused = "0 > S 0:0(0)\n0.1 < RA 0:0(0) ack 1 abs-seq\n9 > S 0:0(0)\n";
        assert_eq!(completeness(refused), [0, 1, 37]);
        let bare = "0 > S 0:0(0)\n0.1 < R 0:0(0)\n9 > S 0:0(0)\n";
        assert_eq!(completeness(bare), [0, 1, 33]);
    }

    #[test]
    fn what_opens_a_stream_without_a_syn_is_not_counted() {
        let text = "0 < SA 0:0(0) ack 1\n1 > A 1:1(0) ack 1\n2 > A 1:11(10) ack 1\n\
                    3 < A 1:1(0) ack 11\n4 > FA 11:11(0) ack 1\n5 < FA 1:1(0) ack 12\n";
        assert_eq!(completeness(text), [0, 0, 4, 12, 12, 28]);
    }

    #[test]
    fn data_in_the_syn_counts_and_in_a_reopening_syn_does_not() {
        let fast_open =
            "0 > S 0:20(20)\n1 < SA 0:0(0) ack 21\n2 > A 21:21(0) ack 1\n3 > A 21:21(0) ack 1\n";
        assert_eq!(completeness(fast_open), [0, 9, 11, 15]);
        let reopened = "0 > S 0:0(0)\n1 > S 50:70(20)\n2 > S 50:70(20)\n";
        assert_eq!(completeness(reopened), [0, 1, 1]);
        let reset = "0 > S 0:0(0)\n1 > SR 50:50(0)\n2 > A 51:51(0) ack 1\n";
        assert_eq!(completeness(reset), [0, 1, 33]);
    }

    #[test]
    fn a_fin_needs_the_ack_flag() {
        let text = "0 > S 0:0(0)\n1 > F 1:1(0)\n2 > FA 1:1(0) ack 1\n3 < R 1:1(0)\n4 < R 1:1(0)\n";
        assert_eq!(completeness(text), [0, 1, 1, 21, 53]);
    }
}

mod sending_again {
    use super::*;

    #[test]
    fn spurious_is_what_was_acknowledged_whatever_the_rest() {
        let marks = after_handshake(
            "0.5 > A 1:101(100) ack 1\n0.6 < A 1:1(0) ack 101\n0.7 > A 1:101(100) ack 1\n\
             0.8 > A 1:102(101) ack 1\n",
        );
        assert_eq!(marks, ["", "", SPURIOUS, SAME]);
    }

    #[test]
    fn a_fin_without_data_is_never_spurious() {
        let marks =
            after_handshake("0.5 > FA 1:1(0) ack 1\n0.6 < A 1:1(0) ack 2\n0.9 > FA 1:1(0) ack 1\n");
        assert_eq!(marks, ["", "", SAME]);
    }

    #[test]
    fn fast_needs_two_duplicates_the_exact_number_and_less_than_20_ms() {
        let fast = |dups: usize, wait: &str, seq: u32| {
            let mut text = String::from(
                "0.5 > A 1:101(100) ack 1\n0.5 > A 101:201(100) ack 1\n0.6 < A 1:1(0) ack 1\n",
            );
            text.push_str(&"+0.001 < A 1:1(0) ack 1\n".repeat(dups));
            text.push_str(&format!("+{wait} > A {seq}:{}(50) ack 1\n", seq + 50));
            after_handshake(&text).pop().expect("frames")
        };
        assert_eq!(fast(2, "0.019999999", 1), FAST);
        assert_eq!(fast(2, "0.02", 1), SAME);
        assert_eq!(fast(1, "0.0001", 1), SAME);
        assert_eq!(fast(0, "0.0001", 1), SAME);
        assert_eq!(fast(2, "0.0001", 51), SAME);
    }

    #[test]
    fn fast_comes_before_out_of_order() {
        let marks = after_handshake(
            "0.5 > A 1:101(100) ack 1\n0.501 > A 101:201(100) ack 1\n0.502 < A 1:1(0) ack 1\n\
             0.503 dup\n0.504 dup\n0.505 > A 1:101(100) ack 1\n0.506 > A 1:101(100) ack 1\n\
             0.507 > A 1:51(50) ack 1\n0.53 > A 1:51(50) ack 1\n",
        );
        assert_eq!(marks[5..], [FAST, FAST, FAST, "out_of_order"]);
    }

    #[test]
    fn out_of_order_within_the_round_trip_unless_it_ends_where_the_stream_ends() {
        let second = |wait: &str, range: &str| {
            after_handshake(&format!(
                "0.5 > A 1:101(100) ack 1\n+{wait} > A {range} ack 1\n"
            ))[1]
                .clone()
        };
        assert_eq!(second("0.099999999", "1:51(50)"), "out_of_order");
        assert_eq!(second("0.1", "1:51(50)"), SAME);
        assert_eq!(second("0.001", "51:101(50)"), SAME);
        assert_eq!(second("0.001", "1:101(100)"), SAME);
    }

    #[test]
    fn without_a_handshake_3_ms_are_the_round_trip() {
        let second = |wait: &str| {
            marked(&format!(
                "0 > A 1:101(100) ack 1\n+{wait} > A 1:51(50) ack 1\n"
            ))[1]
                .clone()
        };
        assert_eq!(second("0.002999999"), "out_of_order");
        assert_eq!(second("0.003"), SAME);
    }

    #[test]
    fn the_round_trip_runs_from_the_latest_syn_and_a_refusal_ends_it() {
        let late = "0 > S 0:0(0)\n1 > S 0:0(0)\n1.05 < SA 0:0(0) ack 1\n1.1 > A 1:1(0) ack 1\n\
                    2 > A 1:101(100) ack 1\n2.05 > A 1:51(50) ack 1\n2.2 > A 1:51(50) ack 1\n";
        assert_eq!(marked(late)[5..], ["out_of_order", SAME]);
        let refused = "0 > S 0:0(0)\n0.5 < RA 0:0(0) ack 1 abs-seq\n1 > A 1:101(100) ack 1\n\
                       1.4 > A 1:51(50) ack 1\n";
        assert_eq!(marked(refused)[3], "out_of_order");
    }

    #[test]
    fn beyond_10000_unacknowledged_segments_a_fin_takes_no_number() {
        let mut text = String::from("0 > S 0:0(0)\n");
        for seq in 1..10_000 {
            text.push_str(&format!("+0.0001 > A {seq}:{}(1) ack 1\n", seq + 1));
        }
        let fin = "+1 > FA 10000:10000(0) ack 1\n";
        text.push_str(&fin.repeat(2));
        text.push_str("+1 < A 1:1(0) ack 5000\n");
        text.push_str(&fin.repeat(2));
        assert_eq!(marked(&text)[10_000..], ["", "", "", "", SAME]);
    }

    #[test]
    fn a_packet_before_its_reference_is_neither_fast_nor_out_of_order() {
        let marks = after_handshake("0.5 > A 1:101(100) ack 1\n0.499 > A 1:51(50) ack 1\n");
        assert_eq!(marks[1], SAME);
    }

    #[test]
    fn every_frame_twice_is_retransmissions_and_duplicate_acks() {
        let marks = marked(
            "0 > S 0:0(0) win 1000\n+0.000002 dup\n0.1 < SA 0:0(0) ack 1 win 1000\n+0.000002 dup\n\
             0.1001 > A 1:1(0) ack 1 win 1000\n+0.000002 dup\n0.2 > A 1:101(100) ack 1 win 1000\n\
             +0.000002 dup\n0.3 < A 1:1(0) ack 101 win 1000\n+0.000002 dup\n",
        );
        let copies: Vec<&str> = marks
            .iter()
            .skip(1)
            .step_by(2)
            .map(String::as_str)
            .collect();
        assert_eq!(copies, [SAME, SAME, "duplicate_ack", SAME, "duplicate_ack"]);
    }

    #[test]
    fn a_high_reset_poisons_what_follows() {
        let marks = after_handshake(
            "0.5 > A 1:101(100) ack 1\n0.6 < R 1461:1461(0)\n0.61 < A 1:1(0) ack 101\n\
             0.65 < A 1:301(300) ack 101\n0.75 < A 301:601(300) ack 101\n",
        );
        assert_eq!(marks[1], "");
        assert_eq!(marks[3..], ["out_of_order", SAME]);
    }

    #[test]
    fn real_data_after_a_one_byte_probe_is_new() {
        let marks = after_handshake("0.5 > A 1:2(1) ack 1\n2 > A 1:101(100) ack 1\n");
        assert_eq!(marks, ["", ""]);
    }
}

mod holes {
    use super::*;

    #[test]
    fn a_hole_is_named_on_both_sides_once() {
        let marks = after_handshake(
            "0.5 > A 101:201(100) ack 1\n0.6 < A 1:1(0) ack 201\n0.7 < A 1:1(0) ack 201\n",
        );
        assert_eq!(marks, ["lost_segment", "ack_lost_segment", "duplicate_ack"]);
    }

    #[test]
    fn a_reset_ahead_is_no_hole() {
        assert_eq!(after_handshake("0.5 > R 101:101(0)\n"), [""]);
    }

    #[test]
    fn data_never_captured_is_missed_once_until_the_peer_acknowledges_anew() {
        let marks = after_handshake(
            "0.5 < A 1:1(0) ack 101\n0.6 < A 1:1(0) ack 201\n0.7 < A 1:1(0) ack 301\n",
        );
        assert_eq!(marks, ["ack_lost_segment", "", ""]);
    }

    #[test]
    fn after_missed_data_one_duplicate_counts_as_many() {
        // The counter of duplicates is set to -1, which compares as the largest number there is.
        let marks = after_handshake(
            "0.5 > A 101:201(100) ack 1\n0.51 < A 1:1(0) ack 301 win 900\n\
             0.52 < A 1:1(0) ack 401 win 900\n0.53 < A 1:1(0) ack 401 win 900\n",
        );
        assert_eq!(
            marks[1..],
            ["ack_lost_segment", "ack_lost_segment", "duplicate_ack"]
        );
    }

    #[test]
    fn a_number_that_wrapped_to_zero_counts_as_unset() {
        let text = "client 192.0.2.1:40000 isn 4294967195\n0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n\
                    0.2 > A 1:101(100) ack 1\n0.3 > A 501:601(100) ack 1\n";
        assert_eq!(marked(text)[3], "");
    }

    #[test]
    fn exactly_half_the_number_space_away_is_both_before_and_after() {
        let text = "0 > A 1:11(10) ack 1\n1 < A 1:1(0) ack 11\n\
                    2 > A 2147483659:2147483669(10) ack 1\n";
        let both = format!("{SPURIOUS},lost_segment");
        assert_eq!(marked(text)[2], both);
    }
}

mod windows {
    use super::*;

    #[test]
    fn probes_of_one_byte_are_named_and_answered() {
        let marks = after_handshake(
            "0.5 > A 1:11(10) ack 1 win 1000\n0.6 < A 1:1(0) ack 11 win 0\n\
             1 > A 11:12(1) ack 1 win 1000\n1.1 < A 1:1(0) ack 11 win 0\n\
             2 > A 11:12(1) ack 1 win 1000\n2.1 < A 1:1(0) ack 11 win 0\n",
        );
        let answer = "zero_window,zero_window_probe_ack";
        let expected = ["", "zero_window", "zero_window_probe", answer];
        assert_eq!(marks[..4], expected);
        assert_eq!(marks[4..], expected[2..]);
    }

    #[test]
    fn linux_probes_look_like_keep_alives() {
        let marks = after_handshake(
            "0.5 > A 1:11(10) ack 1 win 1000\n0.6 < A 1:1(0) ack 11 win 0\n\
             1 > A 10:10(0) ack 1 win 1000\n1.1 < A 1:1(0) ack 11 win 0\n",
        );
        assert_eq!(marks[1..], ["zero_window", "keep_alive", "zero_window"]);
    }

    #[test]
    fn syn_fin_and_rst_never_announce_a_zero_window() {
        let marks =
            marked("0 > S 0:0(0) win 0\n1 > RA 1:1(0) ack 1 win 0\n2 > FA 1:1(0) ack 1 win 0\n");
        assert_eq!(marks, ["", "", ""]);
    }

    #[test]
    fn an_update_changes_only_the_window_and_a_closing_one_is_no_update() {
        let marks = after_handshake(
            "0.5 < A 1:1(0) ack 1 win 900\n0.6 < A 1:1(0) ack 1 win 0\n0.7 < A 1:1(0) ack 1 win 5\n",
        );
        assert_eq!(marks, ["window_update", "zero_window", "window_update"]);
    }

    #[test]
    fn full_is_the_exact_edge_of_the_scaled_window() {
        let full = |options: &str, len: u32| {
            marked(&format!(
                "0 > S 0:0(0) win 1000 <mss 1460{options}>\n\
                 0.1 < SA 0:0(0) ack 1 win 100 <mss 1460{options}>\n\
                 0.2 > A 1:1(0) ack 1 win 1000\n0.3 < A 1:1(0) ack 1 win 100\n\
                 0.4 > A 1:{}({len}) ack 1 win 1000\n",
                1 + len
            ))
            .pop()
            .expect("frames")
        };
        assert_eq!(full(",nop,wscale 2", 400), "window_full");
        assert_eq!(full(",nop,wscale 2", 401), "");
        assert_eq!(full(",nop,wscale 2", 100), "");
        assert_eq!(full("", 100), "window_full");
        assert_eq!(full(",nop,wscale 20", 1000), "");
    }

    #[test]
    fn the_window_of_a_syn_ack_is_not_scaled() {
        let marks = marked(
            "0 > S 0:0(0) win 1000 <mss 1460,nop,wscale 2>\n\
             0.1 < SA 0:0(0) ack 1 win 100 <mss 1460,nop,wscale 2>\n\
             0.2 > A 1:101(100) ack 1 win 1000\n",
        );
        assert_eq!(marks[2], "window_full");
    }

    #[test]
    fn one_side_without_scaling_turns_it_off_for_both() {
        for (client, server) in [("", ",nop,wscale 2"), (",nop,wscale 3", "")] {
            let marks = marked(&format!(
                "0 > S 0:0(0) win 100 <mss 1460{client}>\n\
                 0.1 < SA 0:0(0) ack 1 win 100 <mss 1460{server}>\n\
                 0.2 > A 1:1(0) ack 1 win 100\n0.3 < A 1:1(0) ack 1 win 100\n\
                 0.4 > A 1:101(100) ack 1 win 100\n0.5 < A 1:101(100) ack 1 win 100\n"
            ));
            assert_eq!(marks[4..], ["window_full", "window_full"]);
        }
    }

    #[test]
    fn without_a_handshake_no_window_is_full() {
        let marks = marked("0 < A 1:1(0) ack 1 win 100\n0.4 > A 1:101(100) ack 1 win 1000\n");
        assert_eq!(marks[1], "");
    }
}

mod repeated_acks {
    use super::*;

    #[test]
    fn keep_alives_with_no_or_one_byte_are_answered() {
        let marks = after_handshake(
            "0.5 > A 1:11(10) ack 1 win 1000\n0.6 < A 1:1(0) ack 11 win 1000\n\
             60 > A 10:10(0) ack 1 win 1000\n60.1 < A 1:1(0) ack 11 win 1000\n\
             120 > A 10:11(1) ack 1 win 1000\n120.1 < A 1:1(0) ack 11 win 1000\n",
        );
        assert_eq!(marks[2..4], ["keep_alive", "keep_alive_ack"]);
        assert_eq!(marks[4..], marks[2..4]);
    }

    #[test]
    fn two_bytes_are_no_keep_alive() {
        let marks = after_handshake("0.5 > A 1:11(10) ack 1\n60 > A 10:12(2) ack 1\n");
        assert_eq!(marks[1], "");
    }

    #[test]
    fn the_ack_flag_is_not_needed_for_a_duplicate() {
        let marks = after_handshake("0.5 > . 1:1(0) ack 1 win 1000\n");
        assert_eq!(marks, ["duplicate_ack"]);
    }

    #[test]
    fn a_bare_reset_stores_the_ack_it_does_not_have() {
        // The acknowledgement field of the reset is 0, so the next segment is not a duplicate.
        let marks = after_handshake(
            "0.4 < A 1:1(0) ack 1 win 1000\n0.5 < R 1:1(0) win 1000\n0.6 < A 1:1(0) ack 1 win 1000\n",
        );
        assert_eq!(marks[1..], ["", ""]);
    }

    #[test]
    fn a_new_mptcp_signal_excuses_one_duplicate() {
        let marks = after_handshake(
            "0.5 > A 1:1(0) ack 1 win 1000 <mptcp 200103030303>\n0.6 > A 1:1(0) ack 1 win 1000\n\
             0.7 > A 1:1(0) ack 1 win 1000\n",
        );
        assert_eq!(marks, ["duplicate_ack", "", "duplicate_ack"]);
    }
}

mod broken {
    use super::*;

    #[test]
    fn a_data_offset_below_five_moves_the_state_and_shows_nothing() {
        let marks =
            after_handshake("0.5 > A 11:21(10) ack 1 off 4\n0.6 > A 1:11(10) ack 1 win 1000\n");
        assert_eq!(marks, ["", SAME]);
    }

    #[test]
    fn an_ip_packet_shorter_than_the_header_takes_part_in_nothing() {
        let text = "0 > S 0:0(0) iplen 39\n1 > S 0:0(0)\n2 > S 0:0(0)\n";
        assert_eq!(marked(text), ["", "", SAME]);
        assert_eq!(streams(text), [0, 0, 0]);
    }

    #[test]
    fn options_cut_by_the_snap_length_hide_the_marks() {
        let marks = after_handshake(
            "0.5 > A 11:21(10) ack 1 <nop,nop,ts 1 2> snap 58\n0.6 < A 1:1(0) ack 21\n",
        );
        assert_eq!(marks, ["", "ack_lost_segment"]);
    }

    #[test]
    fn of_wrong_options_only_short_sack_and_mptcp_hide_the_marks() {
        let marks = |option: &str| {
            after_handshake(&format!("0.5 > A 11:21(10) ack 1 <raw {option}>\n"))[0].clone()
        };
        for hides in [
            "0502",
            "0505000000",
            "050900000000000000",
            "1e02",
            "1e0320",
            "1e0470",
        ] {
            assert_eq!(marks(hides), "", "{hides}");
        }
        for shows in [
            "0501",
            "050b00000000000000000000",
            "0802",
            "020000",
            "22",
            "0105",
            "1e0340",
        ] {
            assert_eq!(marks(shows), "lost_segment", "{shows}");
        }
    }

    #[test]
    fn lengths_come_from_ip_not_from_what_was_captured() {
        let marks = after_handshake(
            "0.5 > A 1:1001(1000) ack 1 snap 60\n0.6 > A 1001:1011(10) ack 1 iplen 0\n\
             0.7 > A 1011:1021(10) ack 1\n",
        );
        assert_eq!(marks, ["window_full", "", ""]);
    }

    #[test]
    fn a_wrong_checksum_does_not_matter() {
        let marks = after_handshake("0.5 > A 101:111(10) ack 1 badsum\n");
        assert_eq!(marks, ["lost_segment"]);
    }
}

mod quoted_by_icmp {
    use super::*;

    #[test]
    fn a_quoted_header_takes_part_in_the_conversation_but_not_in_the_sequence() {
        let text = "0 > S 0:0(0)\n0.1 icmp 192.0.2.254 > client unreachable host\n1 > S 0:0(0)\n";
        let frames = analysed(text);
        assert_eq!(marked(text), ["", "", SAME]);
        assert!(frames[1].quoted && frames[1].stream == 0 && frames[1].from == Side::Client);
        assert_eq!(frames[1].relative_seq, 0);
    }

    #[test]
    fn a_quoted_acknowledgement_counts_for_completeness_without_its_data() {
        let text = "0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > A 1:11(10) ack 1\n\
                    0.3 icmp server > client unreachable host\n0.4 < A 1:1(0) ack 11\n";
        assert_eq!(completeness(text), [0, 1, 3, 11, 15]);
    }

    #[test]
    fn eight_quoted_bytes_open_no_stream() {
        let text = "0 > S 0:0(0)\n0.1 icmp 192.0.2.254 > client unreachable host quote 28\n";
        assert_eq!(analysed(text).len(), 1);
    }
}
