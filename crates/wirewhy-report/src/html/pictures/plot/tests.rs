use super::super::testing::traced;
use super::super::{Cited, Key};
use super::*;
use crate::View;

/// A transfer of so many segments of 1,000 bytes, a millisecond apart, each acknowledged; each of `again` is sent again.
fn transfer(segments: u32, again: &[u32]) -> String {
    let mut text = "0.0 > S 0:0(0) <mss 1460,nop,wscale 7>
        0.1 < SA 0:0(0) ack 1 <mss 1460,nop,wscale 7>
        0.2 > A 1:1(0) ack 1\n"
        .to_owned();
    for n in 0..segments {
        let (from, at) = (n * 1_000 + 1, 0.3 + f64::from(n) / 1_000.0);
        text += &format!("{at:.6} > A {from}:{}(1000) ack 1\n", from + 1_000);
        if again.contains(&n) {
            text += &format!(
                "{:.6} > A {from}:{}(1000) ack 1\n",
                at + 0.000_4,
                from + 1_000
            );
        }
        text += &format!("{:.6} < A 1:1(0) ack {}\n", at + 0.000_5, from + 1_000);
    }
    text
}

fn drawn(text: &str) -> String {
    let (diagnosis, packets) = traced(text);
    let view = View::everything();
    let (cited, key) = (Cited::of(&diagnosis, &view), Key::of(&diagnosis));
    let plot = of(&diagnosis, &packets, &Names::default(), &cited, &key);
    plot.map(maud::PreEscaped::into_string).unwrap_or_default()
}

/// How many bars a path of this class has.
fn bars(shown: &str, class: &str) -> usize {
    let paths = shown.split("<path class=\"").skip(1);
    let of_class = paths.filter_map(|path| path.strip_prefix(class)?.strip_prefix("\" d=\"M"));
    of_class
        .map(|path| path.split('"').next().unwrap().matches('V').count())
        .sum()
}

#[test]
fn few_packets_are_left_to_the_ladder() {
    assert_eq!(drawn("0.0 > S 0:0(0)\n0.1 < RA 0:0(0) ack 1"), "");
}

#[test]
fn a_large_transfer_is_thinned_and_keeps_every_retransmission() {
    let again: Vec<u32> = (0..5_000).step_by(100).collect();
    let shown = drawn(&transfer(5_000, &again));
    assert_eq!(bars(&shown, "rtx"), 50, "{}", shown.len());
    assert!(bars(&shown, "seg") < 2_000, "{}", bars(&shown, "seg"));
    assert!(shown.len() < 80_000, "{}", shown.len());
    let small = drawn(&transfer(20, &[3]));
    // SYN and segments, each a bar of its own.
    assert_eq!(
        (bars(&small, "seg"), bars(&small, "rtx")),
        (21 + 1, 1),
        "{small}"
    );
    assert!(small.contains("3,001 to 4,001 sent again"), "{small}");
}

#[test]
fn a_hundred_thousand_packets_are_drawn_in_bounded_size() {
    let again: Vec<u32> = (0..50_000).step_by(1_000).collect();
    let shown = drawn(&transfer(50_000, &again));
    assert_eq!(bars(&shown, "rtx"), 50);
    assert!(shown.len() < 150_000, "{}", shown.len());
}

#[test]
fn blocks_of_a_lossy_transfer_are_drawn_in_bounded_size() {
    let mut text = transfer(3, &[]);
    for n in 3..20_000_u32 {
        let (from, at) = (n * 1_000 + 1, 0.3 + f64::from(n) / 1_000.0);
        text += &format!("{at:.6} > A {from}:{}(1000) ack 1\n", from + 1_000);
        let blocks = format!("{from}:{}+{}:{}", from + 900, from - 900, from - 100);
        text += &format!("{:.6} < A 1:1(0) ack 3001 sack {blocks}\n", at + 0.000_5);
    }
    let shown = drawn(&text);
    assert!(bars(&shown, "sack") > 500, "{}", bars(&shown, "sack"));
    assert!(shown.len() < 200_000, "{}", shown.len());
}

#[test]
fn a_rest_is_folded_and_said() {
    let shown = drawn(
        "0.0 > S 0:0(0)
         0.1 < SA 0:0(0) ack 1
         0.15 > PA 1:101(100) ack 1
         0.2 < A 1:1(0) ack 101
         350.2 > PA 101:201(100) ack 1
         350.3 < R 1:1(0)",
    );
    assert!(shown.contains("class=\"fold\""), "{shown}");
    assert!(
        shown.contains("a rest of 350 s is folded; it ends with a reset in the server's name."),
        "{shown}"
    );
    assert!(shown.contains("Frame 6: RST of server"), "{shown}");
    assert!(!shown.contains("style="), "the policy forbids it");
}

#[test]
fn what_goes_wrong_has_its_marks() {
    let shown = drawn(
        "0.0 > S 0:0(0) <mss 1460,sackOK>
         0.1 < SA 0:0(0) ack 1 <mss 1460,sackOK>
         0.15 > A 1:1(0) ack 1
         0.2 > A 1:1001(1000) ack 1
         0.21 > A 2001:3001(1000) ack 1
         0.3 < A 1:1(0) ack 1001
         0.31 < A 1:1(0) ack 1001 sack 2001:3001
         0.6 > A 1001:2001(1000) ack 1
         0.7 < A 1:1(0) ack 3001 win 0
         0.8 > FA 3001:3001(0) ack 1",
    );
    for class in ["seg", "rtx", "ack", "win", "sack", "dup"] {
        assert!(
            shown.contains(&format!("<path class=\"{class}\"")),
            "{class}: {shown}"
        );
    }
    for letter in [">S<", ">F<", ">Z<"] {
        assert!(shown.contains(letter), "{letter}: {shown}");
    }
}

#[test]
fn one_direction_alone_is_drawn() {
    let shown = drawn(
        "0.0 > S 0:0(0)
         0.1 > A 1:1(0) ack 1
         0.2 > PA 1:101(100) ack 1
         0.3 > A 101:101(0) ack 900",
    );
    assert!(shown.contains("the server was not captured"), "{shown}");
    assert!(shown.contains("Client 192.0.2.1:40000 →"), "{shown}");
}
