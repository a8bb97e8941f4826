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
        })
    }

    /// Whether the expression holds for the frame.
    ///
    /// A frame of a link type that the expression cannot be compiled for is rejected; [`errors`](Filters::errors) tells.
    pub fn matches(&mut self, frame: &Frame<'_>) -> bool {
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
