//! What the application bytes of one connection say: both directions put in order, and read as far as a diagnosis needs.
//!
//! The tracker hands every data segment to a [`Conversation`] with its offset in the stream, or every datagram to
//! [`Datagrams`], and gets plain [`AppFacts`] back: the protocol of each side, which HTTP request waits for its
//! answer, whether a stream ended inside something it had announced. There is no clock, no socket and no `Result`: bytes and
//! times come in as arguments, and input that cannot be read ends in [`Unreadable`], which says why.
//!
//! A protocol is one file with a record (`protocol.rs`) and one line in the registry (`registry.rs`). All readers implement
//! one trait (`parser.rs`) over the types they share (`types.rs`), and import nothing that is built on them.
//!
//! Guarantees: the same bytes give the same facts however they were cut into segments, reordered or repeated; memory is
//! bounded per direction; no input panics; bytes of a body whose length is known are neither copied nor needed, so a gap
//! inside one costs nothing.
//!
//! This crate refuses to know TCP: sequence numbers, acknowledgements and resets stay with the caller. Of HTTP it
//! interprets the fields that frame a message, and in a refusal those that explain it; bodies are not decompressed. What a client
//! logs in with is passed over, not kept: passwords, tokens, cookies, the arguments of FTP's PASS, the query of a URL. Of TLS it reads what is in the clear, and with
//! the secrets of a [`CaptureContext`] what is not; what a key log does not give it never guesses.

mod capture_context;
mod certificate;
pub mod compact;
mod conversation;
mod datagrams;
mod direction;
mod dns;
mod exchanges;
mod facts;
mod farewell;
mod ftp;
mod hello;
mod http1;
mod http2;
mod http2_facts;
mod http2_headers;
mod http2_streams;
mod http_facts;
mod http_request;
mod http_trouble;
mod out_of_order;
mod parser;
mod protocol;
mod quic;
#[cfg(any(test, feature = "testing"))]
mod quiz;
mod reader;
mod records;
mod registry;
mod session;
mod shared_state;
mod ssh;
#[cfg(test)]
mod testing;
mod tls;
mod types;
mod upgrade;

pub use capture_context::CaptureContext;
pub use certificate::{
    Cache as CertificateCache, Certificate, CertificateFacts, ExtendedKeyUsage, KeyAlgorithm,
    PublicKey, SignatureAlgorithm, SubjectName,
};
pub use conversation::{Conversation, Memory};
pub use datagrams::{DatagramProtocols, Datagrams};
pub use dns::{
    DnsAnswer, DnsAuthority, DnsData, DnsFacts, DnsMessage, DnsQuestion, DnsSeen, Edns,
    ExtendedError, begins_with_messages as begins_with_dns, class_name as dns_class_name,
    error_name as dns_error_name, opcode_name as dns_opcode_name, rcode_name as dns_rcode_name,
    type_name as dns_type_name,
};
pub use facts::{AppFacts, SideFacts};
pub use farewell::is_farewell;
pub use ftp::{
    FtpCommand, FtpData, FtpError, FtpFacts, FtpLogin, FtpProtection, FtpReply, FtpSealed,
    FtpSetup, FtpTransfer, FtpVerb,
};
pub use hello::server_name;
pub use http_facts::{Awaiting, Exchange, HttpFacts, TlsComplaint};
pub use http_request::{Request, RequestHash};
pub use http_trouble::{
    Author, Challenge, Detail, Gateway, HeldBodies, HttpTrouble, Purpose, Reason, Refusals,
    RetryAfter,
};
pub use http1::{PayloadSegment, WholeTurns, begins_with_request, whole_http1};
pub use http2_facts::{
    GoAway, GrpcErrors, GrpcStatus, Http2Error, Http2Facts, Refused, StreamResets,
};
#[cfg(any(test, feature = "testing"))]
pub use quic::testing as quic_testing;
pub use quic::{
    Amplification, CloseCode, ConnectionId, Finishing, HelloSent, Negotiated, PacketKind,
    PacketTally, QuicClose, QuicConversation, QuicDestination, QuicFacts, QuicSide, QuicVersion,
    Sent, SincePause, SpinRoundTrip, StatelessReset, TransportParameters, Unanswered,
};
pub use records::{begins_with_records, hello_of};
pub use session::{Refusal, closing_notice};
pub use ssh::{SshFacts, SshList, SshSide, Unshared};
pub use tls::{
    Alert, AlertDescription, AlertSeen, CertificateRequest, Certificates, CipherSuite, ClientHello,
    ConnectionSecrets, ContentType, Decryptor, DtlsAlert, DtlsFacts, DtlsTally, ExtensionType,
    HandshakeType, Incomplete, KeyLog, KeyLogLines, Message, MessageKind, NamedGroup, Opened,
    ProtocolVersion, RecordTally, Retry, Sealed, Secrets, Sender, ServerHello, Settled,
    SignatureScheme, TlsFacts, TlsSide, TlsStage, TrafficSecret, dtls_records,
};
pub use types::{AppProtocol, Framing, Mark, Role, Transport, Unfinished, Unreadable, What};
pub use upgrade::{Upgrade, UpgradeProtocol, UpgradeVerdict};
