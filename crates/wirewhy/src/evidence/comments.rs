//! Findings as comments on the packets that prove them.

use std::fmt::Write as _;

use wirewhy_detect::Finding;
use wirewhy_report::Safe;

/// The program that writes.
pub const APPLICATION: &str = concat!("wirewhy ", env!("CARGO_PKG_VERSION"));

/// How many comments one packet has at most; the rest are counted in one more.
const MOST: usize = 64;

/// Which packet has which findings as comments: a finding in full on its decisive packet, and its code on the others
/// that prove it.
#[derive(Debug)]
pub struct Comments<'a> {
    findings: &'a [Finding],
    /// Packet, finding, and the decisive packet of the finding; sorted.
    places: Vec<(u64, usize, u64)>,
}

impl<'a> Comments<'a> {
    /// The comments for a file in which a frame of the capture has the number that `packet_of` returns, `None` where it
    /// is not in the file. A finding none of whose frames are in the file is commented at `otherwise`.
    pub fn new(
        findings: &'a [Finding],
        packet_of: &dyn Fn(u64) -> Option<u64>,
        otherwise: Option<u64>,
    ) -> Comments<'a> {
        let mut places = Vec::new();
        for (index, finding) in findings.iter().enumerate() {
            let frames = finding.frames.iter();
            let mut proof = frames.filter_map(|frame| packet_of(*frame));
            let Some(decisive) = proof.next().or(otherwise) else {
                continue;
            };
            places.push((decisive, index, decisive));
            places.extend(proof.map(|packet| (packet, index, decisive)));
        }
        places.sort_unstable();
        places.dedup();
        Comments { findings, places }
    }

    /// What is written on a packet of the file.
    #[must_use]
    pub fn of(&self, packet: u64, packet_of: &dyn Fn(u64) -> Option<u64>) -> Vec<String> {
        let from = self.places.partition_point(|(at, ..)| *at < packet);
        let rest = self.places.get(from..).unwrap_or_default();
        let here = rest.partition_point(|(at, ..)| *at == packet);
        let here = rest.get(..here).unwrap_or_default();
        let mut comments: Vec<String> = here
            .iter()
            .take(MOST)
            .filter_map(|(_, index, decisive)| {
                let finding = self.findings.get(*index)?;
                Some(if *decisive == packet {
                    in_full(finding, packet_of)
                } else {
                    format!("{}: see packet {decisive}", finding.code)
                })
            })
            .collect();
        if here.len() > MOST {
            comments.push(format!("and {} more findings", here.len() - MOST));
        }
        comments
    }
}

/// A finding with everything that a reader of the file needs, in one line.
#[must_use]
pub(super) fn in_full(finding: &Finding, packet_of: &dyn Fn(u64) -> Option<u64>) -> String {
    let culprit = match finding.culprit.address {
        Some(address) => format!("{} {address}", finding.culprit.role.name()),
        None => finding.culprit.role.name().to_owned(),
    };
    let mut text = format!(
        "{} ({}, {}, culprit: {culprit}): {}",
        finding.code,
        finding.severity.name(),
        finding.confidence.name(),
        Safe(&finding.summary)
    );
    if let Some(cause) = finding.consequence_of {
        // Writing into a string cannot fail.
        let _ = write!(text, "; a consequence of {cause}");
    }
    let proof: Vec<String> = finding
        .frames
        .iter()
        .filter_map(|frame| packet_of(*frame))
        .map(|packet| packet.to_string())
        .collect();
    if !proof.is_empty() {
        let _ = write!(text, "; packets {}", proof.join(", "));
    }
    text
}
