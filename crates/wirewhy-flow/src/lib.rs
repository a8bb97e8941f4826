//! Packets to connections: TCP seen from outside, and conversations over UDP that a protocol reads.
//!
//! Two layers that do not mix. [`wireshark`] gives every frame the stream number and marks Wireshark gives it, so that
//! results compare. [`Tracker`] follows what really happened to each connection, and only it feeds detectors.
//!
//! Nothing here has an opinion: a tracker records facts, bounded in memory, with time as an argument. No `Result`, no
//! panic, no clock, no input or output.

mod arrival;
mod attachments;
mod brief;
mod connection;
mod copies;
mod damage;
mod datagrams;
mod delivery;
mod endpoint;
mod event;
mod exchange;
mod expiry;
mod gaps;
mod host_context;
mod lookups;
mod neighbours;
mod observe;
mod packed;
mod pair;
mod resets;
mod segment;
mod side;
mod signs;
mod stream_table;
mod tcp;
mod tracker;
mod vantage;
pub mod wireshark;
mod zeek;

pub use arrival::PackedArrival;
pub use connection::{Collision, Connection, Ended, Roles, RoundTrip, Stage};
pub use damage::Damage;
pub use delivery::{Delivery, Hole, Run, Smoothed, Stuck, Trouble, WindowStall};
pub use endpoint::{Counts, Endpoint, TtlSeen};
pub use event::{Asked, BeforeReset, Event, EventKind, Events, Icmp, Mark, Position, Reset};
pub use exchange::{Answer, Exchange};
pub use host_context::{AcceptedTimestamp, HostContext};
pub use lookups::{
    Alike, Answered, Dependent, LookedUp, Lookup, LookupTally, LookupTrouble, Lookups, Missed,
    Missing, Query, QueryError, Resolver, Socket,
};
pub use neighbours::{
    Asking, Claimant, Contest, Hearing, LinkId, Neighbour, Neighbours, Requests, Return,
};
pub use pair::Pair;
pub use side::Side;
pub use signs::{AckStalls, MangledSack, SendingSigns, WrittenWindow};
pub use stream_table::{Bases, Located, Opened, StreamTable};
pub use tcp::{AfterReset, EndpointState, Handshake, Offer, Tcp, TcpCounts, TcpEndpoint};
pub use tracker::{
    Bounds, Healthy, Left, Observed, Over, Sample, Spent, Tracker, TrackerCounts, Unopened,
};
pub use vantage::Vantage;
pub use wirewhy_packet::Interval;
pub use wirewhy_protocol::Transport;
pub use zeek::{ConnState, Zeek};
