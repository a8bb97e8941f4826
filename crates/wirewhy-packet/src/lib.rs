//! Captured bytes to protocol headers, without copying.
//!
//! The reader hands in a [`Frame`]; a [`Decoder`] peels link layer, tunnels and IP and hands back a [`Packet`] that
//! borrows the payload. A damaged or truncated frame is not an error: the packet holds what parsed, and
//! [`Packet::stopped`] says where and why parsing ended.
//!
//! This crate refuses to know about connections: it looks at one frame at a time. The one exception is the
//! reassembly of IP fragments, which is bounded and lives in the [`Decoder`].

mod checksum;
mod decode;
mod frame;
mod packet;
mod seq;
mod tcp;
mod time;

pub use checksum::Checksum;
pub use decode::Decoder;
pub use frame::{Frame, LinkType, RecordingGap};
pub use packet::{
    Arp, Fragment, IcmpError, Ip, IpId, Link, MacAddr, NeighborDiscovery, Packet, Quoted,
    QuotedTcp, Stop, StopReason, Transport, UdpDatagram,
};
pub use seq::Seq;
pub use tcp::{SackBlocks, TcpFlags, TcpHeader, TcpOptions, TcpSegment, TcpTimestamps};
pub use time::{Interval, Timestamp};
