//! Zeek's `conn_state` and `history`.

use crate::traces::only;

const OPEN: &str = "0.0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > A 1:1(0) ack 1\n";
const SPOKEN: &str = "\
    0.0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > A 1:1(0) ack 1\n\
    0.3 > PA 1:11(10) ack 1\n0.4 < A 1:1(0) ack 11\n0.5 < PA 1:11(10) ack 11\n";

#[track_caller]
fn assert_zeek(lines: &str, state: &str, history: &str) {
    let connection = only(lines);
    let zeek = connection.zeek;
    assert_eq!((zeek.conn_state().name(), zeek.history()), (state, history));
}

#[track_caller]
fn opened(lines: &str, state: &str, history: &str) {
    assert_zeek(&format!("{OPEN}{lines}"), state, history);
}

#[track_caller]
fn spoken(lines: &str, state: &str, history: &str) {
    assert_zeek(&format!("{SPOKEN}{lines}"), state, history);
}

#[test]
fn attempts() {
    assert_zeek("0 > S 0:0(0)\n1 > S 0:0(0)", "S0", "S");
    assert_zeek("0 > S 0:0(0)\n1 < RA 0:0(0) ack 1", "REJ", "Sr");
    assert_zeek("0 > S 0:0(0)\n1 > R 1:1(0)", "RSTOS0", "SR");
    opened("", "S1", "ShA");
    assert_zeek("0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1", "S1", "Sh");
    // The server answered a SYN and refuses afterwards, without a byte on either side.
    assert_zeek(
        "0 > S 0:0(0)\n0.1 < SA 0:0(0) ack 1\n0.2 > R 1:1(0)",
        "RSTO",
        "ShR",
    );
    opened("1 < R 1:1(0)", "RSTR", "ShAr");
    opened("1 < R 1:1(0)\n1.1 > R 1:1(0)", "REJ", "ShArR");
}

#[test]
fn normal_closes() {
    spoken("", "S1", "ShADad");
    let fins = "1 > FA 11:11(0) ack 11\n1.1 < FA 11:11(0) ack 12\n1.2 > A 12:12(0) ack 12";
    spoken(fins, "SF", "ShADadFf");
    opened(
        "0.3 < PA 1:11(10) ack 1\n0.4 > PA 1:11(10) ack 11\n0.5 < A 11:11(0) ack 11\n\
         1 > FA 11:11(0) ack 11\n1.1 < FA 11:11(0) ack 12",
        "SF",
        "ShAdDaFf",
    );
    spoken("1 > FA 11:11(0) ack 11", "S2", "ShADadF");
    spoken("1 < FA 11:11(0) ack 11", "S3", "ShADadf");
}

#[test]
fn resets_and_closes() {
    spoken("1 > R 11:11(0)", "RSTO", "ShADadR");
    spoken("1 < R 11:11(0)", "RSTR", "ShADadr");
    spoken("1 > FA 11:11(0) ack 11\n2 < R 11:11(0)", "RSTR", "ShADadFr");
    // Both reset, with data: the responder's outranks.
    spoken("1 > R 11:11(0)\n2 < R 11:11(0)", "RSTR", "ShADadRr");
    let closed = "1 > FA 11:11(0) ack 11\n1.1 < FA 11:11(0) ack 12\n";
    spoken(&format!("{closed}1.2 > R 12:12(0)"), "SF", "ShADadFfR");
    // FIN, RST, FIN is a normal end.
    spoken(
        "1 > FA 11:11(0) ack 11\n1.1 > R 12:12(0)\n1.2 < FA 11:11(0) ack 12",
        "SF",
        "ShADadFRf",
    );
    opened(
        "0.3 < PA 1:11(10) ack 1\n0.4 > PA 1:11(10) ack 11\n0.5 < A 11:11(0) ack 11\n\
         1 < FA 11:11(0) ack 11\n1.1 > FA 11:11(0) ack 12\n1.2 < R 12:12(0)",
        "SF",
        "ShAdDafFr",
    );
}

#[test]
fn one_direction_only() {
    assert_zeek(
        "0 > S 0:0(0)\n0.2 > A 1:1(0) ack 1\n0.3 > PA 1:11(10) ack 1\n0.4 > FA 11:11(0) ack 1",
        "SH",
        "SADF",
    );
    assert_zeek(
        "0 < SA 0:0(0) ack 1\n0.2 < A 1:1(0) ack 11\n0.3 < PA 1:11(10) ack 11\n0.4 < FA 11:11(0) ack 11",
        "SHR",
        "^hadf",
    );
    assert_zeek("0 < SA 0:0(0) ack 1\n1 < R 1:1(0)", "RSTRH", "^hr");
    assert_zeek("0 < R 1:1(0)", "RSTRH", "^r");
}

#[test]
fn conversations_joined_late() {
    assert_zeek(
        "0 > PA 1:11(10) ack 1\n1 < PA 1:11(10) ack 11\n2 > A 11:11(0) ack 11",
        "OTH",
        "DdA",
    );
    assert_zeek("0 > R 1:1(0)", "OTH", "R");
}

#[test]
fn letters_of_rare_flags() {
    spoken("1 > FR 11:11(0)", "RSTO", "ShADadI");
    spoken("1 > SR 0:0(0)", "RSTO", "ShADadQ");
    // A second FIN or reset with another number is written again, one with the same is not.
    spoken(
        "1 > FA 11:11(0) ack 11\n2 > FA 11:11(0) ack 11\n3 > FA 21:21(0) ack 11",
        "S2",
        "ShADadFF",
    );
    spoken(
        "1 > R 11:11(0)\n2 > R 11:11(0)\n3 > R 12:12(0)",
        "RSTO",
        "ShADadRR",
    );
}

#[test]
fn retransmissions_and_zero_windows_are_written_at_powers_of_ten() {
    let repeated = |times: usize| "1 > PA 1:11(10) ack 1\n".repeat(times);
    spoken(&repeated(1), "S1", "ShADadT");
    spoken(&repeated(9), "S1", "ShADadT");
    spoken(&repeated(10), "S1", "ShADadTT");
    spoken(&repeated(100), "S1", "ShADadTTT");
    let closed = |times: usize| "1 > A 11:11(0) ack 11 win 0\n".repeat(times);
    spoken(&closed(9), "S1", "ShADadW");
    spoken(&closed(10), "S1", "ShADadWW");
}

#[test]
fn a_gap_revealed_by_an_acknowledgement_is_written_by_who_reveals_it() {
    spoken(
        "1 < PA 21:31(10) ack 11\n2 > A 11:11(0) ack 31",
        "S1",
        "ShADadG",
    );
    spoken("1 < A 11:11(0) ack 111", "S1", "ShADadg");
}

#[test]
fn a_guess_mended_later_turns_the_history_too() {
    // Port 500 is taken for the server until the other end shows itself as one.
    let (connections, _) = crate::traces::tracked(
        "0.0 10.0.0.9:9000 > 10.0.0.2:500 PA 1:101(100) ack 1
         0.1 10.0.0.9:9000 < 10.0.0.2:500 A 1:1(0) ack 101
         0.2 10.0.0.9:9000 > 10.0.0.2:500 R 101:101(0)
         0.3 10.0.0.1:40000 > 10.0.0.9:9000 S 0:0(0)
         0.4 10.0.0.1:40000 < 10.0.0.9:9000 SA 0:0(0) ack 1",
    );
    let zeek = connections.first().map(|late| late.zeek).expect("first");
    assert_eq!(
        (zeek.conn_state().name(), zeek.history()),
        ("RSTRH", "^dAr")
    );
}

#[test]
fn the_history_is_bounded() {
    let lines: String = (0..200).map(|n| format!("1 > R {n}:{n}(0)\n")).collect();
    let connection = only(&lines);
    assert!(connection.zeek.history().len() < 64);
}
