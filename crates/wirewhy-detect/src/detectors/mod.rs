//! The detectors, one file each, named after its code.

mod capture;
mod tcp;

use crate::{Detector, Record};

/// The rules over one connection. Causes stand before what follows from them: of two equally bad findings the earlier is
/// the root cause.
pub(crate) const CONNECTION: &[Detector] = &[
    tcp::stale_connection::DETECTOR,
    tcp::accept_queue_full::DETECTOR,
    tcp::paws_drop::DETECTOR,
    tcp::unreachable::DETECTOR,
    tcp::refused::DETECTOR,
    tcp::syn_unanswered::DETECTOR,
    tcp::synack_unanswered::DETECTOR,
    tcp::handshake_aborted::DETECTOR,
    tcp::syn_retransmitted::DETECTOR,
    tcp::slow_handshake::DETECTOR,
];

/// Every record, in the order of `wirewhy explain`.
pub(crate) const RECORDS: &[&Record] = &[
    &tcp::syn_unanswered::RECORD,
    &tcp::refused::RECORD,
    &tcp::unreachable::RECORD,
    &tcp::synack_unanswered::RECORD,
    &tcp::handshake_aborted::RECORD,
    &tcp::stale_connection::RECORD,
    &tcp::accept_queue_full::RECORD,
    &tcp::syn_retransmitted::RECORD,
    &tcp::slow_handshake::RECORD,
    &tcp::paws_drop::RECORD,
    &tcp::probe::RECORD,
    &capture::packets_missing::RECORD,
    &capture::one_direction::RECORD,
    &capture::truncated_packets::RECORD,
    &capture::duplicate_packets::RECORD,
    &capture::cut_short::RECORD,
    &capture::time_backwards::RECORD,
    &capture::offload::RECORD,
];

pub(crate) use capture::{
    cut_short, duplicate_packets, offload, one_direction, packets_missing, time_backwards,
    truncated_packets,
};
pub(crate) use tcp::{handshake_aborted, probe, syn_unanswered, synack_unanswered};
