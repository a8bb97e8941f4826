//! Where the capture was taken, seen from one connection.

use crate::{Connection, Interval, TtlSeen};

/// Where the capture was taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Vantage {
    /// On the client or its link.
    ClientSide,
    /// On the server or its link.
    ServerSide,
    /// Routers lie on both sides.
    InBetween,
    /// The packets do not tell.
    Unknown,
}

/// How many times longer one part of the handshake must take than the other to place the capture next to an end.
const LOPSIDED: i64 = 8;

/// Handshakes shorter than this tell nothing: scheduling on the hosts outweighs the distance.
const SHORTEST_TELLING: Interval = Interval::from_millis(1);

impl Vantage {
    /// The word used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Vantage::ClientSide => "client-side",
            Vantage::ServerSide => "server-side",
            Vantage::InBetween => "in-between",
            Vantage::Unknown => "unknown",
        }
    }

    /// Whether the capture point is known to lie away from the client, so that a packet of the client seen here has
    /// already crossed part of the path.
    #[must_use]
    pub fn is_away_from_client(self) -> bool {
        matches!(self, Vantage::ServerSide | Vantage::InBetween)
    }

    /// Weighs, surest first: what the capturing host itself sent, hop counts, then the two halves of the handshake.
    pub(crate) fn infer(connection: &Connection) -> Vantage {
        let server_ttl = Some(connection.server.ttl)
            .filter(|seen| seen.first.is_some())
            .or(connection.host_context.server_ttl);
        let ttls = [Some(connection.client.ttl), server_ttl];
        by_direction(connection.outgoing)
            .or_else(|| by_hops(ttls, || by_timing(connection)))
            .or_else(|| by_timing(connection))
            .unwrap_or(Vantage::Unknown)
    }

    /// The same where nothing was seen but a SYN.
    pub(crate) fn of_syn(outgoing: Option<bool>, ttl: u8, server_ttl: Option<TtlSeen>) -> Vantage {
        let mut client = TtlSeen::default();
        client.add(ttl);
        by_direction([outgoing, None])
            .or_else(|| by_hops([Some(client), server_ttl], || None))
            .unwrap_or(Vantage::Unknown)
    }
}

fn by_direction(outgoing: [Option<bool>; 2]) -> Option<Vantage> {
    match outgoing {
        [Some(true), Some(true)] => Some(Vantage::InBetween),
        [Some(true), _] => Some(Vantage::ClientSide),
        [_, Some(true)] => Some(Vantage::ServerSide),
        _ => None,
    }
}

/// A hop count no router has lowered yet belongs to a host on this link. Both ends on the link decide nothing.
fn by_hops(ttls: [Option<TtlSeen>; 2], by_timing: impl Fn() -> Option<Vantage>) -> Option<Vantage> {
    let [client, server] = ttls;
    let client = untouched(client)?;
    let server = untouched(server)?;
    match (client, server) {
        (true, false) => Some(Vantage::ClientSide),
        (false, true) => Some(Vantage::ServerSide),
        (false, false) => Some(
            by_timing()
                .filter(|near| *near != Vantage::InBetween)
                .unwrap_or(Vantage::InBetween),
        ),
        (true, true) => None,
    }
}

/// Whether a hop count is one that systems start from: 64 (Linux, BSD, macOS), 128 (Windows), 255 (routers, Solaris).
fn untouched(seen: Option<TtlSeen>) -> Option<bool> {
    let first = seen?.first?;
    Some(matches!(first, 64 | 128 | 255))
}

fn by_timing(connection: &Connection) -> Option<Vantage> {
    let round_trip = connection.round_trip();
    let (there, back) = (round_trip.to_server?, round_trip.to_client?);
    if round_trip.handshake? < SHORTEST_TELLING {
        return None;
    }
    if there.0 > back.0.saturating_mul(LOPSIDED) {
        Some(Vantage::ClientSide)
    } else if back.0 > there.0.saturating_mul(LOPSIDED) {
        Some(Vantage::ServerSide)
    } else {
        Some(Vantage::InBetween)
    }
}
