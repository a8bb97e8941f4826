//! ICMP and ICMPv6 errors by name (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1, RFC 4443).

use wirewhy_flow::Icmp;

/// What an ICMP error means for a TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meaning {
    /// The name used in output.
    pub(crate) name: &'static str,
    /// Who it speaks of, in a sentence: "… has no route".
    pub(crate) clause: &'static str,
}

const fn meaning(name: &'static str, clause: &'static str) -> Meaning {
    Meaning { name, clause }
}

/// The meaning of an error that says a packet could not be delivered; `None` for path MTU messages, redirects and what
/// hosts ignore.
pub(crate) fn undeliverable(icmp: &Icmp) -> Option<Meaning> {
    if icmp.v6 {
        undeliverable_v6(icmp.kind, icmp.code)
    } else {
        undeliverable_v4(icmp.kind, icmp.code)
    }
}

fn undeliverable_v4(kind: u8, code: u8) -> Option<Meaning> {
    Some(match (kind, code) {
        (3, 0) => meaning("net unreachable", "has no route to that network"),
        (3, 1) => meaning(
            "host unreachable",
            "cannot reach that host on its link (no ARP answer, or told to say so)",
        ),
        (3, 2) => meaning("protocol unreachable", "says TCP is not spoken there"),
        (3, 3) => meaning(
            "port unreachable",
            "rejects the port; for TCP that is a firewall rule, a closed port sends a reset",
        ),
        (3, 5) => meaning("source route failed", "could not follow the source route"),
        (3, 6) => meaning("net unknown", "does not know that network"),
        (3, 7) => meaning("host unknown", "does not know that host"),
        (3, 8) => meaning("source host isolated", "is cut off"),
        (3, 9) => meaning(
            "net administratively prohibited",
            "forbids traffic to that network: a firewall rule",
        ),
        (3, 10) => meaning(
            "host administratively prohibited",
            "forbids traffic to that host: a firewall rule",
        ),
        (3, 11) => meaning(
            "net unreachable for type of service",
            "has no route for this type of service",
        ),
        (3, 12) => meaning(
            "host unreachable for type of service",
            "cannot reach that host with this type of service",
        ),
        (3, 13) => meaning(
            "communication administratively prohibited",
            "forbids this traffic: a filter rule",
        ),
        (3, 14) => meaning("host precedence violation", "refuses this precedence"),
        (3, 15) => meaning("precedence cutoff in effect", "refuses this precedence"),
        (3, 4) => return None,
        (3, _) => meaning("destination unreachable", "cannot deliver"),
        (11, 0) => meaning(
            "time exceeded in transit",
            "dropped a packet whose hop count ran out: a routing loop, or a probe",
        ),
        (11, 1) => meaning(
            "fragment reassembly time exceeded",
            "waited for the other fragments, which did not come",
        ),
        (12, _) => meaning("parameter problem", "could not read the IP header"),
        _ => return None,
    })
}

fn undeliverable_v6(kind: u8, code: u8) -> Option<Meaning> {
    Some(match (kind, code) {
        (1, 0) => meaning("no route to destination", "has no route to that network"),
        (1, 1) => meaning(
            "administratively prohibited",
            "forbids this traffic: a filter rule",
        ),
        (1, 2) => meaning(
            "beyond scope of source address",
            "cannot carry this source address that far",
        ),
        (1, 3) => meaning(
            "address unreachable",
            "cannot reach that host on its link (no neighbour answer, or told to say so)",
        ),
        (1, 4) => meaning(
            "port unreachable",
            "rejects the port; for TCP that is a firewall rule, a closed port sends a reset",
        ),
        (1, 5) => meaning(
            "source address failed policy",
            "refuses this source address: an ingress filter",
        ),
        (1, 6) => meaning(
            "reject route to destination",
            "has a route that says to reject this traffic",
        ),
        (1, 7) => meaning(
            "error in source routing header",
            "could not follow the source route",
        ),
        (1, _) => meaning("destination unreachable", "cannot deliver"),
        (3, 0) => meaning(
            "hop limit exceeded in transit",
            "dropped a packet whose hop limit ran out: a routing loop, or a probe",
        ),
        (3, 1) => meaning(
            "fragment reassembly time exceeded",
            "waited for the other fragments, which did not come",
        ),
        (4, _) => meaning("parameter problem", "could not read the IPv6 header"),
        _ => return None,
    })
}

/// Whether the error says that a hop count ran out on the way.
pub(crate) fn is_loop_hint(icmp: &Icmp) -> bool {
    icmp.code == 0 && icmp.kind == if icmp.v6 { 3 } else { 11 }
}
