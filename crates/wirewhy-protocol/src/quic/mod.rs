//! QUIC as an observer sees it (RFC 9000, RFC 9001, RFC 9369): versions 1 and 2 and the drafts 22 to 34 of version 1.
//!
//! Datagrams are of a connection over QUIC where they begin with an Initial packet of a known version that opens with the
//! keys which follow from its destination (RFC 9001 section 5.2); nothing else is taken for QUIC. Initial packets are read by
//! anyone: hellos, acknowledgements, CONNECTION_CLOSE frames. What comes later is read with the secrets of a key log, and is
//! otherwise known by its header, size and time alone.

mod conversation;
mod facts;
mod frames;
mod hello;
mod ids;
mod keys;
mod kinds;
mod later;
mod packet;
mod parameters;
mod reset;
mod spin;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod wire;

use crate::protocol::{Protocol, Reading};
use crate::types::{AppProtocol, Role, Transport};

pub use conversation::QuicConversation;
pub use facts::{
    Amplification, Finishing, HelloSent, Negotiated, PacketKind, PacketTally, QuicClose, QuicFacts,
    QuicSide, Sent, SincePause, SpinRoundTrip, StatelessReset, Unanswered,
};
pub use ids::{CloseCode, ConnectionId, QuicVersion};
pub use packet::QuicDestination;
pub(crate) use packet::begins_initial;
pub use parameters::TransportParameters;

pub(crate) static QUIC: Protocol = Protocol {
    id: AppProtocol::Quic,
    name: "QUIC",
    transports: &[Transport::Udp],
    first: Some(Role::Client),
    probe: |role, datagram| Some(role == Role::Client && QuicConversation::begins(datagram)),
    reading: Reading::Quic,
};
