//! Traces written as text become frames; for tests only.
//!
//! [`trace`] reads lines in the notation of tcpdump and packetdrill and makes Ethernet frames with right lengths and
//! checksums, so that a test passes through the same bytes as a capture.
//!
//! ```text
//! 0.000 > S 0:0(0) win 64240 <mss 1460>                     // a comment
//! 0.050 < SA 0:0(0) ack 1 win 65160 <mss 1460,nop,wscale 7>
//! 0.051 > A 1:1(0) ack 1
//! +0.97 > PA 1:101(100) ack 1 "GET / HTTP/1.1\r\n"
//! 10.00 end
//! ```
//!
//! # Lines
//!
//! A line starts with its time in seconds: since the start of the trace, or with `+` since the line before. Time zero is
//! 2026-01-02T03:04:05Z.
//!
//! | line | meaning |
//! | --- | --- |
//! | `T [CONNECTION] > FLAGS SEQ:END(LEN) …` | a segment from the client |
//! | `T [CONNECTION] < FLAGS SEQ:END(LEN) …` | a segment from the server |
//! | `T dup …` | the frame before, recorded again; takes `ttl`, `ttl-N`, `src`, `dst`, `snap` |
//! | `T [#N] icmp WHO > client MESSAGE …` | an ICMP error, ICMPv6 where the client has an IPv6 address; or `> server` |
//! | `T arp WHO asks WHOM`, `T arp WHO tells WHOM` | an ARP request, an ARP reply |
//! | `T dns CLIENT > RESOLVER ID NAME TYPE …` | a DNS query over UDP |
//! | `T dns CLIENT < RESOLVER ID RCODE NAME TYPE …` | a response |
//! | `T dns CLIENT refused RESOLVER` | ICMP port unreachable in answer to the frame before |
//! | `T end` | the capture runs on until here: a UDP datagram between strangers |
//! | `[#N] client …`, `[#N] server …` | settings of one end: `ADDRESS:PORT`, `isn N`, `ttl N`, `id N` (the next IPv4 identification), `mac M`, `df`, `nodf` |
//! | `snap N` | from here on, N bytes of each frame are captured |
//!
//! CONNECTION is `#2` or `10.0.0.1:40000 > 10.0.0.2:443`, the end named first being the client. Without one it is `#1`.
//! WHO and WHOM are an address, `client` or `server`. Unless set, connection N goes from 192.0.2.1, port 40000 + N - 1,
//! to 198.51.100.1, port 80; client ISN 1000, TTL 64; server ISN 5000, TTL 57; DF set, IPv4 identifications counting
//! up for each end.
//!
//! # Segments
//!
//! FLAGS are letters of `SFRPAUECN` or `.` for none. Numbers are relative to the ISNs and may be negative, so that
//! a SYN has 0 and the first byte 1; END must be SEQ + LEN. LEN may be as large as an IP packet allows.
//!
//! | behind the numbers | meaning |
//! | --- | --- |
//! | `ack N` | required with flag A, allowed without |
//! | `win N` | the window field, 64240 unless given |
//! | `<…>` | options: `mss N`, `wscale N`, `sackOK`, `sack L:R+L:R`, `ts VALUE ECHO`, `nop`, `eol`, `tfo [HEX]`, `mptcp HEX`, `md5`, `kind N [HEX]`, `raw HEX` |
//! | `sack L:R+L:R` | the same option behind two `nop`; relative as `ack` is |
//! | `"text"`, `hex 160301` | payload; `\r \n \t \0 \\ \" \xNN`. What LEN needs beyond it is filler, the same at the same sequence number, so that a retransmission repeats its bytes |
//! | `abs`, `abs-seq`, `abs-ack` | these numbers are not relative |
//! | `ttl N`, `ttl-N`, `id N`, `df`, `nodf`, `tos N` | IP header fields |
//! | `src M`, `dst M` | MAC addresses, `02:00:00:00:00:01` |
//! | `snap N` | bytes captured of this frame |
//! | `iplen N`, `off N`, `badsum` | a wrong IP length, data offset (in words), TCP checksum |
//!
//! # DNS
//!
//! CLIENT and RESOLVER are an address, perhaps with a port: else 40000 and 53. ID is the number, RCODE `noerror`, `formerr`,
//! `servfail`, `nxdomain`, `notimp` or `refused`. Behind a query: `norec`, `edns N`. Behind a response: addresses, `cname NAME`
//! (the addresses behind it belong to that name), `life N` (of the records behind it), `tc`, `aa`, `nora`, `soa ZONE`,
//! `ns ZONE`, `edns N`, `ede N "text"`, `from ADDRESS`, `noquestion`, `fragment` (the first of a longer response); behind
//! both the IP header fields.
//!
//! # ICMP messages
//!
//! `unreachable net|host|protocol|port|admin`, `frag-needed mtu N` and `packet-too-big mtu N` (the same), `time-exceeded`,
//! `code TYPE CODE`; behind them `quoting FRAME` for a frame other than the last segment of the end addressed, `quote N`
//! for the number of bytes quoted from its IP header on, and the IP header fields.

mod build;
mod datagram;
mod dns;
#[expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "called by tests, which must fail on what cannot be made"
)]
mod exchanges;
mod options;
mod parse;
mod random;
mod wire;
mod words;

pub use datagram::{at_millis, icmp_frame, udp_frame};
pub use exchanges::exchanges;
pub use random::Random;

use wirewhy_packet::{Frame, LinkType, Timestamp};

/// One frame of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedFrame {
    /// 1-based, in the order of the lines.
    pub number: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// Always Ethernet.
    pub link_type: LinkType,
    /// Length before the snap length cut it.
    pub original_len: u32,
    /// The captured bytes.
    pub data: Vec<u8>,
}

impl OwnedFrame {
    /// The frame as the reader would hand it on.
    #[must_use]
    pub fn as_frame(&self) -> Frame<'_> {
        Frame {
            number: self.number,
            time: self.time,
            link_type: self.link_type,
            interface: 0,
            original_len: self.original_len,
            data: &self.data,
        }
    }
}

/// Why a text is no trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "trace line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for TraceError {}

/// The frames of a trace.
///
/// # Panics
///
/// When a line cannot be read, naming it.
#[must_use]
#[track_caller]
#[expect(
    clippy::panic,
    reason = "called by tests, which must fail on a trace that says nothing"
)]
pub fn trace(text: &str) -> Vec<OwnedFrame> {
    match try_trace(text) {
        Ok(frames) => frames,
        Err(error) => panic!("{error}"),
    }
}

/// The frames of a trace, or the first line that cannot be read.
///
/// # Errors
///
/// When a line is not in the notation of the crate's documentation, or asks for what cannot be made.
pub fn try_trace(text: &str) -> Result<Vec<OwnedFrame>, TraceError> {
    let mut builder = build::Builder::default();
    for (index, line) in text.lines().enumerate() {
        parse::line(line)
            .and_then(|line| builder.apply(line))
            .map_err(|message| TraceError {
                line: index + 1,
                message,
            })?;
    }
    Ok(builder.finish())
}

/// The frames as a pcap file with nanosecond times, in little-endian order.
#[must_use]
pub fn to_pcap(frames: &[OwnedFrame]) -> Vec<u8> {
    let mut file = Vec::new();
    let link_type = frames.first().map_or(LinkType::ETHERNET, |f| f.link_type);
    for field in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, link_type.0] {
        file.extend_from_slice(&u32::to_le_bytes(field));
    }
    for frame in frames {
        let (seconds, nanos) = frame.time.secs_nanos();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let captured = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);
        for field in [seconds, nanos, captured, frame.original_len] {
            file.extend_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(&frame.data);
    }
    file
}

#[cfg(test)]
mod tests;
