//! What the application bytes of one connection say: both directions put in order, and read as far as a diagnosis needs.
//!
//! The tracker hands every data segment to a [`Conversation`] with its offset in the stream and gets plain
//! [`ConversationFacts`] back: what each side speaks, which HTTP request waits for its answer, whether a stream ended inside
//! something it had announced. There is no clock, no socket and no `Result`: bytes and times come in as arguments, and input
//! that cannot be read ends in [`Lost`], which says why.
//!
//! Guarantees: the same bytes give the same facts however they were cut into segments, reordered or repeated; memory is
//! bounded per direction; no input panics; bytes of a body whose length is known are neither copied nor needed, so a gap
//! inside one costs nothing.
//!
//! This crate refuses to know TCP: sequence numbers, acknowledgements and resets stay with the caller. It interprets no
//! HTTP header beyond those that frame a message, and decompresses nothing. Of TLS it reads what is in the clear, and with
//! the secrets of a [`Library`] what is not; what a key log does not give it never guesses.

mod certificate;
mod conversation;
mod exchanges;
mod facts;
mod held;
mod hello;
mod http1;
mod http2;
mod library;
mod reader;
mod records;
mod side;
mod speech;
mod streams;
#[cfg(test)]
mod testing;
mod tls;
mod upgrade;

pub use certificate::{
    Cache as CertificateCache, Certificate, CertificateFacts, ExtendedKeyUsage, KeyAlgorithm,
    PublicKey, SignatureAlgorithm, SubjectName,
};
pub use conversation::Conversation;
pub use facts::{
    Awaiting, ConversationFacts, Exchange, Framing, HttpFacts, Lost, Mark, Opening, Request,
    SideFacts, TlsComplaint, Unfinished, What,
};
pub use hello::server_name;
pub use library::Library;
pub use records::{begins_with_records, hello_of};
pub use speech::Speech;
pub use tls::{
    Alert, AlertDescription, AlertSeen, CertificateRequest, Certificates, CipherSuite, ClientHello,
    ConnectionSecrets, ContentType, Decryptor, ExtensionType, HandshakeType, Incomplete, KeyLog,
    KeyLogLines, Message, MessageKind, NamedGroup, Opened, ProtocolVersion, RecordTally, Retry,
    Sealed, Secrets, Sender, ServerHello, Settled, SignatureScheme, TlsFacts, TlsSide, TlsStage,
    TrafficSecret,
};
pub use upgrade::{Upgrade, UpgradeProtocol, UpgradeVerdict};
