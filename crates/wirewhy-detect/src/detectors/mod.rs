//! The detectors, one file each, named after its code.

pub(crate) mod app;
pub(crate) mod ftp;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod proxy;
pub(crate) mod quic;
pub(crate) mod rst;
pub(crate) mod ssh;
pub(crate) mod tcp;
pub(crate) mod tls;

use crate::{Detector, Record};

/// The rules over one connection, one line each. Causes stand before what follows from them: of two equally bad findings the
/// earlier is the root cause. Findings about certificates are listed before the others.
pub const DETECTORS: &[Detector] = &[
    tcp::port_collision::DETECTOR,
    tcp::stale_connection::DETECTOR,
    tcp::accept_queue_full::DETECTOR,
    tcp::paws_drop::DETECTOR,
    tcp::unreachable::DETECTOR,
    tcp::refused::DETECTOR,
    tcp::syn_unanswered::DETECTOR,
    tcp::synack_unanswered::DETECTOR,
    tcp::handshake_aborted::DETECTOR,
    tcp::backend_unreachable::DETECTOR,
    tcp::checksum_drop::DETECTOR,
    tcp::fragmentation_needed::DETECTOR,
    tcp::mtu_blackhole::DETECTOR,
    tcp::zero_window::DETECTOR,
    tcp::keepalive_unanswered::DETECTOR,
    tcp::one_way_path::DETECTOR,
    tcp::peer_vanished::DETECTOR,
    tcp::no_response::DETECTOR,
    tcp::closed_without_data::DETECTOR,
    tcp::truncated_response::DETECTOR,
    tcp::half_closed::DETECTOR,
    quic::unanswered::DETECTOR,
    quic::version_mismatch::DETECTOR,
    quic::retry_loop::DETECTOR,
    quic::stateless_reset::DETECTOR,
    quic::mtu_blackhole::DETECTOR,
    quic::client_hello_dropped::DETECTOR,
    quic::handshake_failed::DETECTOR,
    quic::handshake_timeout::DETECTOR,
    quic::peer_vanished::DETECTOR,
    quic::closed::DETECTOR,
    proxy::header_mismatch::DETECTOR,
    ftp::error_reply::DETECTOR,
    tls::starttls_refused::DETECTOR,
    tls::starttls_not_offered::DETECTOR,
    tls::not_tls::DETECTOR,
    ssh::not_ssh::DETECTOR,
    ssh::no_shared_algorithms::DETECTOR,
    app::session_refused::DETECTOR,
    tls::downgraded::DETECTOR,
    tls::weak_key_exchange::DETECTOR,
    tls::extension_required::DETECTOR,
    tls::record_corrupted::DETECTOR,
    tls::version_mismatch::DETECTOR,
    tls::no_shared_parameters::DETECTOR,
    tls::alpn_mismatch::DETECTOR,
    tls::unrecognized_name::DETECTOR,
    tls::client_cert_missing::DETECTOR,
    tls::client_cert_rejected::DETECTOR,
    tls::alert::DETECTOR,
    tls::encrypted_alert::DETECTOR,
    http2::protocol_mismatch::DETECTOR,
    http::connect_refused::DETECTOR,
    http::upgrade_refused::DETECTOR,
    http::error_status::DETECTOR,
    http2::goaway::DETECTOR,
    http2::stream_reset::DETECTOR,
    grpc::error_status::DETECTOR,
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
    tcp::slow_path::DETECTOR,
    tcp::slow_handshake::DETECTOR,
    tcp::window_scale_mismatch::DETECTOR,
    tcp::sack_mangled::DETECTOR,
    tcp::packet_loss::DETECTOR,
    tcp::reordering::DETECTOR,
    tcp::delayed_ack_stall::DETECTOR,
    http::expect_stall::DETECTOR,
    tcp::slow_response::DETECTOR,
    tls::intercepted::DETECTOR,
    tls::cert_revoked::DETECTOR,
    tls::cert_expired::DETECTOR,
    tls::cert_not_yet_valid::DETECTOR,
    tls::cert_name_mismatch::DETECTOR,
    tls::cert_self_signed::DETECTOR,
    tls::cert_chain_incomplete::DETECTOR,
    tls::cert_untrusted::DETECTOR,
    tls::cert_weak::DETECTOR,
    tls::staple_missing::DETECTOR,
    tls::cert_rejected::DETECTOR,
    tls::cert_expiring::DETECTOR,
];

pub use ftp::{
    demands_resumption, ftp_session, is_sealed_ftp, refused_unresumed, unresumed_finding,
};
pub use proxy::header_mismatch::{header_missing, header_not_expected};
pub use quic::stateless_reset::lost_state;
pub(crate) use tls::certificate;
pub use tls::not_tls::{
    Spoken, hello_was_refused, neighbours_speak_otherwise, neighbours_speak_tls, spoken,
};

/// The record of a code of this crate: that of a rule over one connection.
#[must_use]
pub fn record_of(code: &str) -> Option<&'static Record> {
    let mut detectors = DETECTORS.iter();
    detectors
        .find(|detector| detector.record.code == code)
        .map(|detector| detector.record)
}
