//! The detectors, one file each, named after its code.

mod arp;
mod capture;
mod host;
mod rst;
mod service;
mod tcp;
mod tls;

use crate::record::CertificateDetector;
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
    tcp::fragmentation_needed::DETECTOR,
    tcp::mtu_blackhole::DETECTOR,
    tcp::zero_window::DETECTOR,
    tcp::keepalive_unanswered::DETECTOR,
    tcp::peer_vanished::DETECTOR,
    tcp::no_response::DETECTOR,
    tcp::closed_without_data::DETECTOR,
    tcp::truncated_response::DETECTOR,
    tcp::half_closed::DETECTOR,
    tls::starttls_refused::DETECTOR,
    tls::not_tls::DETECTOR,
    tls::version_mismatch::DETECTOR,
    tls::no_shared_parameters::DETECTOR,
    tls::alpn_mismatch::DETECTOR,
    tls::unrecognized_name::DETECTOR,
    tls::client_cert_missing::DETECTOR,
    tls::client_cert_rejected::DETECTOR,
    tls::alert::DETECTOR,
    tls::encrypted_alert::DETECTOR,
    rst::injected::DETECTOR,
    rst::idle_expired::DETECTOR,
    rst::no_connection::DETECTOR,
    rst::unread_data::DETECTOR,
    rst::close_race::DETECTOR,
    rst::abort::DETECTOR,
    rst::gave_up::DETECTOR,
    rst::out_of_window::DETECTOR,
    rst::after_alert::DETECTOR,
    rst::after_close::DETECTOR,
    tls::client_hello_dropped::DETECTOR,
    tls::handshake_timeout::DETECTOR,
    tls::handshake_reset::DETECTOR,
    tls::handshake_closed::DETECTOR,
    tls::no_close_notify::DETECTOR,
    tcp::syn_retransmitted::DETECTOR,
    tcp::slow_handshake::DETECTOR,
    tcp::packet_loss::DETECTOR,
    tcp::reordering::DETECTOR,
    tcp::slow_response::DETECTOR,
];

/// The rules over the certificates of one server, causes first.
pub(crate) const CERTIFICATE: &[CertificateDetector] = &[
    tls::intercepted::DETECTOR,
    tls::cert_revoked::DETECTOR,
    tls::cert_expired::DETECTOR,
    tls::cert_not_yet_valid::DETECTOR,
    tls::cert_name_mismatch::DETECTOR,
    tls::cert_self_signed::DETECTOR,
    tls::cert_chain_incomplete::DETECTOR,
    tls::cert_untrusted::DETECTOR,
    tls::cert_weak::DETECTOR,
    tls::cert_expiring::DETECTOR,
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
    &rst::abort::RECORD,
    &rst::unread_data::RECORD,
    &rst::no_connection::RECORD,
    &rst::idle_expired::RECORD,
    &rst::injected::RECORD,
    &rst::gave_up::RECORD,
    &rst::out_of_window::RECORD,
    &rst::after_close::RECORD,
    &rst::after_alert::RECORD,
    &rst::close_race::RECORD,
    &rst::stray_segment::RECORD,
    &tcp::peer_vanished::RECORD,
    &tcp::mtu_blackhole::RECORD,
    &tcp::fragmentation_needed::RECORD,
    &tcp::packet_loss::RECORD,
    &tcp::reordering::RECORD,
    &tcp::zero_window::RECORD,
    &tcp::keepalive_unanswered::RECORD,
    &tcp::no_response::RECORD,
    &tcp::slow_response::RECORD,
    &tcp::closed_without_data::RECORD,
    &tcp::truncated_response::RECORD,
    &tcp::half_closed::RECORD,
    &tls::alert::RECORD,
    &tls::encrypted_alert::RECORD,
    &tls::version_mismatch::RECORD,
    &tls::no_shared_parameters::RECORD,
    &tls::alpn_mismatch::RECORD,
    &tls::unrecognized_name::RECORD,
    &tls::cert_expired::RECORD,
    &tls::cert_not_yet_valid::RECORD,
    &tls::cert_name_mismatch::RECORD,
    &tls::cert_self_signed::RECORD,
    &tls::cert_chain_incomplete::RECORD,
    &tls::cert_untrusted::RECORD,
    &tls::cert_revoked::RECORD,
    &tls::cert_weak::RECORD,
    &tls::cert_expiring::RECORD,
    &tls::client_cert_missing::RECORD,
    &tls::client_cert_rejected::RECORD,
    &tls::handshake_timeout::RECORD,
    &tls::handshake_reset::RECORD,
    &tls::handshake_closed::RECORD,
    &tls::client_hello_dropped::RECORD,
    &tls::not_tls::RECORD,
    &tls::starttls_refused::RECORD,
    &tls::intercepted::RECORD,
    &tls::no_close_notify::RECORD,
    &service::down::RECORD,
    &service::flaky::RECORD,
    &host::syn_flood::RECORD,
    &host::port_scan::RECORD,
    &host::idle_timer::RECORD,
    &host::address_conflict::RECORD,
    &arp::unanswered::RECORD,
    &capture::packets_missing::RECORD,
    &capture::one_direction::RECORD,
    &capture::truncated_packets::RECORD,
    &capture::duplicate_packets::RECORD,
    &capture::cut_short::RECORD,
    &capture::time_backwards::RECORD,
    &capture::offload::RECORD,
];

pub(crate) use arp::unanswered;
pub(crate) use capture::{
    cut_short, duplicate_packets, offload, one_direction, packets_missing, time_backwards,
    truncated_packets,
};
pub(crate) use host::{address_conflict, idle_timer, port_scan, syn_flood};
pub(crate) use rst::{after_close, idle_expired, stray_segment};
pub(crate) use service::{down, flaky};
pub(crate) use tcp::peer_vanished;
pub(crate) use tcp::{half_closed, keepalive_unanswered, refused, unreachable};
pub(crate) use tcp::{handshake_aborted, probe, syn_unanswered, synack_unanswered};
pub(crate) use tls::{certificate, client_hello_dropped};
