//! How far a TLS handshake got, as far as its messages show.

use wirewhy_protocol::{
    ExtensionType, HandshakeType, MessageKind, ProtocolVersion, TlsFacts, TlsSide, TlsStage,
};

/// How far the handshake got.
pub(crate) fn stage(tls: &TlsFacts) -> TlsStage {
    let TlsFacts { client, server, .. } = tls;
    let flight_sent = server.finished.is_some()
        || server.sealed_count > 0
        || says(server, HandshakeType::SERVER_HELLO_DONE);
    if client.application_data.count > 0 || server.application_data.count > 0 {
        TlsStage::ApplicationData
    } else if client.finished.is_some() && server.finished.is_some() {
        TlsStage::Established
    } else if client.finished.is_some() {
        TlsStage::ClientFinished
    } else if flight_sent {
        TlsStage::ServerFlight
    } else if tls.server_hello.is_some() {
        TlsStage::ServerHello
    } else if tls.retry.is_some() {
        TlsStage::HelloRetryRequest
    } else if tls.client_hello.is_some() {
        TlsStage::ClientHello
    } else {
        TlsStage::Begun
    }
}

/// Whether an earlier session was resumed: by a pre-shared key in TLS 1.3, before it by a server that goes on to its
/// ChangeCipherSpec without a flight of its own (RFC 5246 section 7.3).
pub(crate) fn resumed(tls: &TlsFacts) -> Option<bool> {
    let hello = tls.server_hello.as_deref()?;
    if hello.version() >= ProtocolVersion::TLS1_3 {
        return Some(hello.extension(ExtensionType::PRE_SHARED_KEY).is_some());
    }
    let server = &tls.server;
    if says(server, HandshakeType::CERTIFICATE) || says(server, HandshakeType::SERVER_HELLO_DONE) {
        return Some(false);
    }
    server.change_cipher_spec.map(|_| true)
}

fn says(side: &TlsSide, kind: HandshakeType) -> bool {
    let mut messages = side.messages.iter();
    messages.any(|message| message.what == MessageKind::Handshake(kind))
}
