use super::*;

/// The part of a frame behind the Ethernet and IPv4 headers.
fn tcp(frame: &OwnedFrame) -> &[u8] {
    &frame.data[34..]
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The checksum over pseudo header and segment, which is 0 where it is right.
fn tcp_checksum(frame: &OwnedFrame) -> u16 {
    let segment = tcp(frame);
    let len = u16::try_from(segment.len()).expect("short");
    let pseudo = [&frame.data[26..34], &[0, 6], &len.to_be_bytes()].concat();
    wire::checksum(&[&pseudo, segment].concat())
}

#[test]
fn a_handshake_has_the_bytes_it_should() {
    let frames = trace(
        "0.000 > S 0:0(0) win 100 <mss 1460>  // first\n\
         \n\
         0.050 < SA 0:0(0) ack 1 win 200 <mss 1460,nop,wscale 7>\n\
         +0.001 > PA 1:101(100) ack 1 \"GET / HTTP/1.1\\r\\n\"\n\
         10.00 end\n",
    );
    assert_eq!(frames.len(), 4);
    let syn = &frames[0];
    assert_eq!(syn.number, 1);
    assert_eq!(syn.time.secs_nanos(), (1_767_323_045, 0));
    assert_eq!(syn.data[26..30], [192, 0, 2, 1]);
    assert_eq!(tcp(syn)[..4], [0x9c, 0x40, 0, 80]);
    assert_eq!((word(tcp(syn), 4), word(tcp(syn), 8)), (1000, 0));
    assert_eq!(tcp(syn)[12..16], [0x60, 0x02, 0, 100]);
    let answer = &frames[1];
    assert_eq!((word(tcp(answer), 4), word(tcp(answer), 8)), (5000, 1001));
    assert_eq!(answer.data[22], 57);
    let request = &frames[2];
    assert_eq!(request.time.secs_nanos(), (1_767_323_045, 51_000_000));
    assert_eq!(request.original_len, 14 + 20 + 20 + 100);
    assert!(tcp(request)[20..].starts_with(b"GET / HTTP/1.1\r\n"));
    assert_eq!(request.data[18..20], [0, 2], "identifications count up");
    assert_eq!(frames[3].data[23], 17, "the end is no TCP");
    for frame in &frames[..3] {
        assert_eq!(wire::checksum(&frame.data[14..34]), 0);
        assert_eq!(tcp_checksum(frame), 0);
    }
}

#[test]
fn a_retransmission_repeats_its_text_and_its_filler() {
    let frames = trace(
        "0 > PA 1:21(20) ack 1 \"GET /\"\n\
         1 > PA 1:21(20) ack 1\n\
         2 > A 3:5(2) ack 1\n",
    );
    assert_eq!(tcp(&frames[0])[20..], tcp(&frames[1])[20..]);
    assert_eq!(&tcp(&frames[2])[20..], b"T ");
}

#[test]
fn connections_are_told_apart_by_number_and_by_address() {
    let frames = trace(
        "#2 server 203.0.113.5:443 isn 7 ttl 50\n\
         0 #2 < SA 0:0(0) ack 1\n\
         0 10.0.0.1:5 > 10.0.0.2:443 S 0:0(0)\n\
         0 10.0.0.1:5 < 10.0.0.2:443 SA 0:0(0) ack 1\n\
         0 10.0.0.2:443 > 10.0.0.1:5 A 1:1(0) ack 1\n\
         0 [2001:db8::1]:5 > [2001:db8::2]:6 S 0:0(0)\n",
    );
    let ports = |frame: &OwnedFrame| word(tcp(frame), 0);
    assert_eq!(ports(&frames[0]), 443 << 16 | 40_001);
    assert_eq!((word(tcp(&frames[0]), 4), frames[0].data[22]), (7, 50));
    assert_eq!(ports(&frames[1]), 5 << 16 | 443);
    assert_eq!(ports(&frames[2]), 443 << 16 | 5);
    assert_eq!(ports(&frames[3]), ports(&frames[2]));
    assert_eq!(word(tcp(&frames[3]), 4), 5001);
    assert_eq!(frames[4].data[12..14], [0x86, 0xdd]);
    assert_eq!(word(&frames[4].data[54..], 4), 1000);
}

#[test]
fn departures_from_the_defaults_reach_the_bytes() {
    let frames = trace(
        "0 > . 7:8(1) ack 9 abs ttl 9 id 0 nodf tos 3 src 02:00:00:00:00:aa hex 00\n\
         0 > RA -1:-1(0) abs-seq ack 1 off 4 badsum iplen 0\n\
         0 > A 1:1401(1400) ack 1 snap 60\n\
         0 dup ttl-2 dst 02:00:00:00:00:bb\n",
    );
    let plain = &frames[0];
    assert_eq!(plain.data[6..12], [2, 0, 0, 0, 0, 0xaa]);
    assert_eq!(plain.data[15], 3);
    assert_eq!(plain.data[18..23], [0, 0, 0, 0, 9]);
    assert_eq!((word(tcp(plain), 4), word(tcp(plain), 8)), (7, 9));
    assert_eq!(tcp(plain)[12..14], [0x50, 0]);
    let reset = &frames[1];
    assert_eq!(word(tcp(reset), 4), u32::MAX);
    assert_eq!(tcp(reset)[12..14], [0x40, 0x14]);
    assert_eq!(reset.data[16..18], [0, 0]);
    assert_ne!(tcp_checksum(reset), 0);
    assert_eq!(
        (frames[2].data.len(), frames[2].original_len),
        (60, 14 + 40 + 1400)
    );
    let copy = &frames[3];
    assert_eq!(copy.data.len(), 14 + 40 + 1400);
    assert_eq!((copy.data[22], copy.data[5]), (62, 0xbb));
    assert_eq!(copy.data[18..20], frames[2].data[18..20]);
    assert_eq!(wire::checksum(&copy.data[14..34]), 0);
}

#[test]
fn icmp_errors_quote_the_segment_they_answer() {
    let frames = trace(
        "0 > S 0:0(0)\n\
         1 icmp 192.0.2.254 > client unreachable host\n\
         2 icmp server > client time-exceeded quoting 1 quote 28\n\
         3 icmp 192.0.2.254 > client frag-needed mtu 1400\n",
    );
    let quoted = &frames[0].data[14..];
    let error = &frames[1].data;
    assert_eq!(error[23], 1);
    assert_eq!(error[26..34], [192, 0, 2, 254, 192, 0, 2, 1]);
    assert_eq!(error[34..36], [3, 1]);
    assert_eq!(&error[42..], quoted);
    assert_eq!(wire::checksum(&error[34..]), 0);
    let exceeded = &frames[2].data;
    assert_eq!((exceeded[34], exceeded[42 + 8]), (11, 1));
    assert_eq!(exceeded.len(), 14 + 20 + 8 + 28);
    assert_eq!(frames[3].data[34..42][4..], [0, 0, 5, 120]);
}

#[test]
fn icmpv6_errors_use_their_own_numbers_and_a_pseudo_header() {
    let frames = trace(
        "client [2001:db8::1]:5\n\
         server [2001:db8::2]:6\n\
         0 > S 0:0(0)\n\
         1 icmp 2001:db8::fe > client packet-too-big mtu 1280\n\
         1 icmp 2001:db8::fe > client unreachable port\n",
    );
    let error = &frames[1].data;
    assert_eq!(error[54..56], [2, 0]);
    assert_eq!(word(error, 58), 1280);
    assert_eq!(&error[62..], &frames[0].data[14..]);
    let len = u32::try_from(error.len() - 54).expect("short");
    let pseudo = [&error[22..54], &len.to_be_bytes(), &[0, 0, 0, 58]].concat();
    assert_eq!(wire::checksum(&[&pseudo, &error[54..]].concat()), 0);
    assert_eq!(frames[2].data[54..56], [1, 4]);
}

#[test]
fn arp_asks_everybody_and_tells_one() {
    let frames = trace("0 arp client asks 192.0.2.254\n0 arp 192.0.2.254 tells client\n");
    assert_eq!(frames[0].data[..6], [0xff; 6]);
    assert_eq!(frames[0].data[12..14], [8, 6]);
    assert_eq!(frames[0].data[20..22], [0, 1]);
    assert_eq!(frames[0].data[38..42], [192, 0, 2, 254]);
    assert_eq!(frames[1].data[..6], [2, 0, 0, 0, 0, 1]);
    assert_eq!(frames[1].data[20..22], [0, 2]);
}

#[test]
fn a_setting_for_the_snap_length_holds_from_its_line_on() {
    let frames = trace("0 > A 1:101(100) ack 1\nsnap 40\n1 > A 1:101(100) ack 1\n");
    let lengths: Vec<usize> = frames.iter().map(|frame| frame.data.len()).collect();
    assert_eq!(lengths, [154, 40]);
}

#[test]
fn bad_lines_are_named() {
    for (text, line) in [
        ("0 > S 0:0(0)\n0.x > S 0:0(0)", 2),
        ("0 > X 0:0(0)", 1),
        ("0 > SS 0:0(0)", 1),
        ("0 > S 0:1(0)", 1),
        ("0 > S", 1),
        ("0 = S 0:0(0)", 1),
        ("0 > A 1:1(0)", 1),
        ("0 > PA 1:3(2) ack 1 \"long\"", 1),
        ("0 > S 0:0(0) win 65536", 1),
        ("0 > S 0:0(0) ttl", 1),
        ("0 > S 0:0(0) loud", 1),
        ("0 > A 1:70001(70000) ack 1", 1),
        ("0 #0 > S 0:0(0)", 1),
        ("0 dup", 1),
        ("0 > S 0:0(0)\n0 dup id 5", 2),
        ("0 icmp 1.2.3.4 > client unreachable host", 1),
        ("0 > S 0:0(0)\n0 icmp 1.2.3.4 > client unreachable moon", 2),
        (
            "0 > S 0:0(0)\n0 icmp 2001:db8::1 > client unreachable net",
            2,
        ),
        ("0 end now", 1),
        ("clientele isn 4", 1),
        ("client isn x", 1),
        ("client mac 02:00", 1),
        ("0.0123456789 end", 1),
        ("\"text\"", 1),
        ("0 arp client shouts", 1),
    ] {
        let error = try_trace(text).expect_err(text);
        assert_eq!(error.line, line, "{text}: {error}");
    }
}

#[test]
fn dns_messages_are_bytes_of_the_wire() {
    let frames = trace(
        "0 dns 192.0.2.1:5000 > 192.0.2.53 258 a.example A\n\
         0.1 dns 192.0.2.1:5000 < 192.0.2.53 258 noerror a.example A 192.0.2.80 from 192.0.2.54\n\
         0.2 dns 192.0.2.1:5000 refused 192.0.2.53\n",
    );
    let query = &frames[0].data[34..];
    assert_eq!(query[..6], [0x13, 0x88, 0, 53, 0, 8 + 12 + 15]);
    assert_eq!(query[8..14], [1, 2, 1, 0, 0, 1]);
    assert_eq!(query[20..], *b"\x01a\x07example\0\0\x01\0\x01");
    assert_eq!(frames[1].data[26..30], [192, 0, 2, 54]);
    assert!(
        frames[1]
            .data
            .ends_with(&[0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 80])
    );
    assert_eq!(frames[2].data[34..36], [3, 3]);
    let fragment = trace("0 dns 192.0.2.1 < 192.0.2.53 1 noerror a.example A fragment");
    assert_eq!(
        (fragment[0].data[20], fragment[0].data.len() % 8),
        (0x20, (34 + 8) % 8)
    );
    for wrong in [
        "0 dns 192.0.2.1 > 192.0.2.53 x a A",
        "0 dns 192.0.2.1 - 192.0.2.53 1 a A",
    ] {
        assert_eq!(try_trace(wrong).expect_err(wrong).line, 1);
    }
}

#[test]
#[should_panic(expected = "trace line 2: ")]
fn trace_panics_with_the_line() {
    let _ = trace("0 end\nnonsense");
}

#[test]
fn the_pcap_file_holds_every_frame() {
    let frames = trace("0.5 > S 0:0(0)\n1 > A 1:11(10) ack 1 snap 50\n");
    let file = to_pcap(&frames);
    assert_eq!(file[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
    assert_eq!(file[20..24], [1, 0, 0, 0]);
    let second = 24 + 16 + frames[0].data.len();
    let field = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four"));
    assert_eq!((field(24), field(28)), (1_767_323_045, 500_000_000));
    assert_eq!((field(second + 8), field(second + 12)), (50, 64));
    assert_eq!(file.len(), second + 16 + 50);
}
