//! TLS as an observer sees it (RFC 8446, RFC 5246 and before).

mod decrypt;
mod dtls;
mod facts;
mod fingerprint;
mod follow;
mod handshake;
mod hello;
mod ids;
mod messages;
mod open;
mod secrets;
mod wire;

pub(crate) use decrypt::{Aead, Cipher, Hash, Suite};
pub use decrypt::{Decryptor, Opened, Sender, Settled};
pub(crate) use dtls::DTLS;
pub use dtls::{DtlsAlert, DtlsFacts, DtlsTally, records_in as dtls_records};
pub use facts::{
    Alert, AlertSeen, CertificateRequest, Certificates, Incomplete, Message, MessageKind,
    RecordTally, Retry, Sealed, Secrets, TlsFacts, TlsSide, TlsStage,
};
pub(crate) use follow::{Follow, RecordHeader, Tls};
pub(crate) use hello::server_name_of;
pub use hello::{ClientHello, ServerHello};
pub use ids::{
    AlertDescription, CipherSuite, ContentType, ExtensionType, HandshakeType, NamedGroup,
    ProtocolVersion, SignatureScheme,
};
pub use secrets::{ConnectionSecrets, KeyLog, KeyLogLines, TrafficSecret};
