//! Frame selection in libpcap's filter language.

use std::fmt;

use pcap::{Capture, Linktype};
use wirewhy_packet::{Frame, LinkType};

use crate::bpf::{self, Instruction};

/// A filter expression compiled for one link type.
///
/// Lengths in it (`greater`, `less`, `len`) are lengths on the wire, also for frames that the snap length cut; a test of
/// bytes that were not captured rejects the frame.
#[derive(Clone, Debug)]
pub struct Filter {
    program: Vec<Instruction>,
}

impl Filter {
    /// Compiles an expression with libpcap's compiler.
    ///
    /// # Errors
    ///
    /// Where libpcap refuses the expression, or has no filters for the link type.
    pub fn compile(expression: &str, link_type: LinkType) -> Result<Filter, FilterError> {
        let fail = |message: String| FilterError {
            expression: expression.to_owned(),
            link_type,
            message,
        };
        let refused = |error: pcap::Error| match error {
            pcap::Error::PcapError(message) => fail(message),
            other => fail(other.to_string()),
        };
        let capture = Capture::dead(Linktype(dlt(link_type))).map_err(refused)?;
        let compiled = capture.compile(expression, true).map_err(refused)?;
        let program = compiled
            .get_instructions()
            .iter()
            .map(|instruction| decode(&instruction.to_string()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| fail("libpcap compiled it to something unknown".to_owned()))?;
        Ok(Filter { program })
    }

    /// Whether the expression holds for the frame, whose link type is the one it was compiled for.
    #[must_use]
    pub fn matches(&self, frame: &Frame<'_>) -> bool {
        bpf::run(&self.program, frame.data, frame.original_len) != 0
    }
}

/// The filter number of a link type: files and filters number a few differently (libpcap's `pcap-common.c`).
fn dlt(link_type: LinkType) -> i32 {
    match link_type {
        LinkType::RAW | LinkType::RAW_OPENBSD => 12,
        LinkType(100) => 11,
        LinkType(102) => 15,
        LinkType(103) => 16,
        LinkType(other) => i32::try_from(other).unwrap_or(-1),
    }
}

/// Reads an instruction in the only form the binding shows it: code, jumps and operand in decimal.
fn decode(shown: &str) -> Option<Instruction> {
    let mut fields = shown.split(' ');
    let instruction = Instruction {
        code: fields.next()?.parse().ok()?,
        jump_true: fields.next()?.parse().ok()?,
        jump_false: fields.next()?.parse().ok()?,
        operand: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(instruction)
}

/// Why a filter expression cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterError {
    /// The expression.
    pub expression: String,
    /// The link type it was compiled for.
    pub link_type: LinkType,
    /// What libpcap says.
    pub message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter \"{}\": {}", self.expression, self.message)?;
        match self.link_type {
            LinkType::ETHERNET => Ok(()),
            link_type => match link_type.name() {
                Some(name) => write!(f, " (link type {name})"),
                None => write!(f, " (link type {})", link_type.0),
            },
        }
    }
}

impl std::error::Error for FilterError {}

/// One filter expression for frames of any link type.
#[derive(Clone, Debug)]
pub struct Filters {
    expression: String,
    /// One program per link type met so far; captures have one or two.
    compiled: Vec<(LinkType, Result<Filter, FilterError>)>,
    matched: u64,
}

/// How many link types a program is kept for; frames of further ones are rejected.
const MAX_LINK_TYPES: usize = 256;

impl Filters {
    /// Takes an expression, and compiles it for Ethernet so that a mistake shows at once.
    ///
    /// # Errors
    ///
    /// Where libpcap refuses the expression.
    pub fn new(expression: &str) -> Result<Filters, FilterError> {
        let ethernet = Filter::compile(expression, LinkType::ETHERNET)?;
        Ok(Filters {
            expression: expression.to_owned(),
            compiled: vec![(LinkType::ETHERNET, Ok(ethernet))],
            matched: 0,
        })
    }

    /// The expression, as it was given.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// For how many frames the expression held so far.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// Whether the expression holds for the frame.
    ///
    /// A frame of a link type that the expression cannot be compiled for is rejected; [`errors`](Filters::errors) tells.
    pub fn matches(&mut self, frame: &Frame<'_>) -> bool {
        let matches = self.holds(frame);
        self.matched += u64::from(matches);
        matches
    }

    fn holds(&mut self, frame: &Frame<'_>) -> bool {
        let known = self
            .compiled
            .iter()
            .find(|(link_type, _)| *link_type == frame.link_type);
        if let Some((_, compiled)) = known {
            return compiled.as_ref().is_ok_and(|filter| filter.matches(frame));
        }
        if self.compiled.len() >= MAX_LINK_TYPES {
            return false;
        }
        let compiled = Filter::compile(&self.expression, frame.link_type);
        let matches = compiled.as_ref().is_ok_and(|filter| filter.matches(frame));
        self.compiled.push((frame.link_type, compiled));
        matches
    }

    /// Why frames of some link types were all rejected.
    pub fn errors(&self) -> impl Iterator<Item = &FilterError> {
        self.compiled
            .iter()
            .filter_map(|(_, compiled)| compiled.as_ref().err())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wirewhy_packet::Timestamp;

    use super::*;
    use crate::testbytes::{Arbitrary, Bytes, drain, length, reader};
    use crate::{ByteOrder, open};

    const EXPRESSIONS: &[&str] = &[
        "",
        "ip",
        "ip6",
        "tcp",
        "tcp port 443",
        "not tcp",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "host 10.0.0.1",
        "net 10.0.0.0/9 and not port 22",
        "src portrange 1000-40000",
        "vlan and tcp",
        "ip6 proto 6 and dst port 80",
        "greater 100",
        "less 80",
        "len > 200 and len <= 300",
        "ether[0] & 1 = 0 and ip[16] >= 224",
        "ip[2:2] - ((ip[0]&0xf)<<2) > 40",
        "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
        "ip[0] / 16 = 4 and ip[8] % 3 = 0",
        "icmp or arp or igmp",
        "ether host 02:00:00:00:00:01",
        "ip broadcast or ether multicast",
    ];

    /// A packet that looks like TCP over IPv4 or IPv6, with or without a VLAN tag, or like nothing.
    fn packet(arbitrary: &mut Arbitrary) -> Vec<u8> {
        let mut packet = arbitrary.packet(400);
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = packet.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        let kind = arbitrary.below(5);
        let tag = if kind == 1 { 4 } else { 0 };
        put(0, &[2, 0, 0, 0, 0, 1]);
        if kind == 1 {
            put(12, &[0x81, 0]);
        }
        let ports = [[1, 0xbb], [0, 80], [0, 22], [4, 1]];
        let port = ports[arbitrary.below(4)];
        match kind {
            0 | 1 => {
                put(12 + tag, &[8, 0, 0x45]);
                put(14 + tag + 6, &[0, 0, 64, [6, 17, 1][arbitrary.below(3)]]);
                put(14 + tag + 12, &[10, 0, 0, 1]);
                put(14 + tag + 22, &port);
                put(14 + tag + 32, &[0x50]);
            }
            2 => {
                put(12, &[0x86, 0xdd, 0x60]);
                put(14 + 6, &[6]);
                put(14 + 42, &port);
            }
            3 => put(12, &[8, 6]),
            _ => {}
        }
        packet
    }

    fn frame(data: &[u8], original_len: u32, link_type: LinkType) -> Frame<'_> {
        Frame {
            number: 1,
            time: Timestamp(0),
            link_type,
            interface: 0,
            original_len,
            data,
        }
    }

    #[test]
    fn whole_frames_match_where_libpcap_says_so() {
        let mut arbitrary = Arbitrary(17);
        for link_type in [
            LinkType::ETHERNET,
            LinkType::RAW,
            LinkType::LINUX_SLL,
            LinkType::NULL,
        ] {
            for expression in EXPRESSIONS {
                let capture = Capture::dead(Linktype(dlt(link_type))).unwrap();
                let Ok(theirs) = capture.compile(expression, true) else {
                    assert!(Filter::compile(expression, link_type).is_err());
                    continue;
                };
                let ours = Filter::compile(expression, link_type).unwrap();
                for _ in 0..500 {
                    let packet = packet(&mut arbitrary);
                    let start = arbitrary.below(2) * 14.min(packet.len());
                    let data = &packet[start..];
                    let matches = ours.matches(&frame(data, length(data.len()), link_type));
                    assert_eq!(matches, theirs.filter(data), "{expression}: {data:02x?}");
                }
            }
        }
    }

    #[test]
    fn cut_frames_match_where_libpcap_says_so_reading_the_file() {
        let mut arbitrary = Arbitrary(5);
        let mut file = Bytes::new(ByteOrder::Little);
        file.pcap_header(0xa1b2_c3d4, (2, 4), 1);
        for number in 0..2000 {
            let packet = packet(&mut arbitrary);
            let captured = &packet[..packet.len().min(60)];
            let lengths = (length(captured.len()), length(packet.len()));
            file.record((number, 0), lengths, 0, captured);
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cut.pcap");
        std::fs::write(&path, &file.bytes).unwrap();
        let mut total = 0;
        for expression in EXPRESSIONS {
            let mut capture = Capture::from_file(&path).unwrap();
            capture.filter(expression, true).unwrap();
            let mut theirs = BTreeSet::new();
            while let Ok(packet) = capture.next_packet() {
                theirs.insert(packet.header.ts.tv_sec + 1);
            }
            let filter = Filter::compile(expression, LinkType::ETHERNET).unwrap();
            let mut ours = BTreeSet::new();
            let mut reader = open(&path).unwrap();
            while let Some(frame) = reader.next() {
                if filter.matches(&frame) {
                    ours.insert(i64::try_from(frame.number).unwrap());
                }
            }
            assert_eq!(ours, theirs, "{expression}");
            total += ours.len();
        }
        assert!(total > 8000, "the packets are too far off: {total}");
        assert_eq!(drain(&mut reader(&file.bytes).unwrap()).len(), 2000);
    }

    #[test]
    fn lengths_are_those_on_the_wire() {
        let filter = Filter::compile("greater 100", LinkType::ETHERNET).unwrap();
        let data = [0; 60];
        assert!(filter.matches(&frame(&data, 100, LinkType::ETHERNET)));
        assert!(!filter.matches(&frame(&data, 99, LinkType::ETHERNET)));
    }

    #[test]
    fn a_mistake_is_told_with_the_expression() {
        let error = Filters::new("tcp prot 80").unwrap_err();
        assert_eq!(error.link_type, LinkType::ETHERNET);
        let shown = error.to_string();
        assert!(shown.starts_with("filter \"tcp prot 80\": "), "{shown}");
        assert!(
            shown.contains("syntax error") || shown.contains("parse"),
            "{shown}"
        );
        assert!(Filters::new("tcp\0").is_err());
    }

    #[test]
    fn each_link_type_has_its_own_program() {
        let mut filters = Filters::new("tcp and port 80").unwrap();
        let mut packet = vec![
            0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        packet.extend_from_slice(&[
            0, 80, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0,
        ]);
        let len = length(packet.len());
        for raw in [
            LinkType::RAW,
            LinkType::RAW_BSD,
            LinkType::RAW_OPENBSD,
            LinkType::IPV4,
        ] {
            assert!(filters.matches(&frame(&packet, len, raw)), "{raw:?}");
        }
        assert!(!filters.matches(&frame(&packet, len, LinkType::ETHERNET)));
        let mut framed = vec![0; 12];
        framed.extend_from_slice(&[8, 0]);
        framed.extend_from_slice(&packet);
        assert!(filters.matches(&frame(&framed, len + 14, LinkType::ETHERNET)));
        assert_eq!(filters.errors().count(), 0);
    }

    #[test]
    fn a_link_type_the_expression_cannot_be_compiled_for_is_told_once() {
        let mut filters = Filters::new("vlan 5").unwrap();
        for _ in 0..3 {
            assert!(!filters.matches(&frame(&[0; 60], 60, LinkType::LINUX_SLL2)));
        }
        let errors: Vec<_> = filters.errors().collect();
        let [error] = errors[..] else {
            panic!("{errors:?}")
        };
        assert!(
            error.to_string().ends_with("(link type LINUX_SLL2)"),
            "{error}"
        );
    }
}
