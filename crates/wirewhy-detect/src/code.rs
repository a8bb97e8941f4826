//! The codes that the rules over many connections refer to, so that a reference to a code that does not exist does not
//! compile.

use crate::detectors::{http, http2, proxy, quic, rst, tcp, tls};

/// `rst.abort`.
pub const RST_ABORT: &str = rst::abort::RECORD.code;
/// `rst.after-close`.
pub const RST_AFTER_CLOSE: &str = rst::after_close::RECORD.code;
/// `rst.no-connection`.
pub const RST_NO_CONNECTION: &str = rst::no_connection::RECORD.code;
/// `rst.unread-data`.
pub const RST_UNREAD_DATA: &str = rst::unread_data::RECORD.code;
/// `rst.gave-up`.
pub const RST_GAVE_UP: &str = rst::gave_up::RECORD.code;
/// `tcp.closed-without-data`.
pub const TCP_CLOSED_WITHOUT_DATA: &str = tcp::closed_without_data::RECORD.code;
/// `tcp.slow-response`.
pub const TCP_SLOW_RESPONSE: &str = tcp::slow_response::RECORD.code;
/// `tcp.no-response`.
pub const TCP_NO_RESPONSE: &str = tcp::no_response::RECORD.code;
/// `rst.idle-expired`.
pub const RST_IDLE_EXPIRED: &str = rst::idle_expired::RECORD.code;
/// `tcp.half-closed`.
pub const TCP_HALF_CLOSED: &str = tcp::half_closed::RECORD.code;
/// `tcp.handshake-aborted`.
pub const TCP_HANDSHAKE_ABORTED: &str = tcp::handshake_aborted::RECORD.code;
/// `tcp.keepalive-unanswered`.
pub const TCP_KEEPALIVE_UNANSWERED: &str = tcp::keepalive_unanswered::RECORD.code;
/// `tcp.peer-vanished`.
pub const TCP_PEER_VANISHED: &str = tcp::peer_vanished::RECORD.code;
/// `tcp.refused`.
pub const TCP_REFUSED: &str = tcp::refused::RECORD.code;
/// `tcp.syn-unanswered`.
pub const TCP_SYN_UNANSWERED: &str = tcp::syn_unanswered::RECORD.code;
/// `tcp.synack-unanswered`.
pub const TCP_SYNACK_UNANSWERED: &str = tcp::synack_unanswered::RECORD.code;
/// `tcp.unreachable`.
pub const TCP_UNREACHABLE: &str = tcp::unreachable::RECORD.code;
/// `quic.closed`.
pub const QUIC_CLOSED: &str = quic::closed::RECORD.code;
/// `quic.handshake-timeout`.
pub const QUIC_HANDSHAKE_TIMEOUT: &str = quic::handshake_timeout::RECORD.code;
/// `quic.peer-vanished`.
pub const QUIC_PEER_VANISHED: &str = quic::peer_vanished::RECORD.code;
/// `quic.stateless-reset`.
pub const QUIC_STATELESS_RESET: &str = quic::stateless_reset::RECORD.code;
/// `quic.unanswered`.
pub const QUIC_UNANSWERED: &str = quic::unanswered::RECORD.code;
/// `quic.version-mismatch`.
pub const QUIC_VERSION_MISMATCH: &str = quic::version_mismatch::RECORD.code;
/// `tls.cert-chain-incomplete`.
pub const TLS_CERT_CHAIN_INCOMPLETE: &str = tls::cert_chain_incomplete::RECORD.code;
/// `tls.cert-untrusted`.
pub const TLS_CERT_UNTRUSTED: &str = tls::cert_untrusted::RECORD.code;
/// `tls.starttls-not-offered`.
pub const TLS_STARTTLS_NOT_OFFERED: &str = tls::starttls_not_offered::RECORD.code;
/// `tls.not-tls`.
pub const TLS_NOT_TLS: &str = tls::not_tls::RECORD.code;
/// `proxy.header-mismatch`.
pub const PROXY_HEADER_MISMATCH: &str = proxy::header_mismatch::RECORD.code;
/// `tls.handshake-reset`.
pub const TLS_HANDSHAKE_RESET: &str = tls::handshake_reset::RECORD.code;
/// `tls.client-hello-dropped`.
pub const TLS_CLIENT_HELLO_DROPPED: &str = tls::client_hello_dropped::RECORD.code;
/// `http.error-status`.
pub const HTTP_ERROR_STATUS: &str = http::error_status::RECORD.code;
/// `http2.stream-reset`.
pub const HTTP2_STREAM_RESET: &str = http2::stream_reset::RECORD.code;
/// `http.connect-refused`.
pub const HTTP_CONNECT_REFUSED: &str = http::connect_refused::RECORD.code;
