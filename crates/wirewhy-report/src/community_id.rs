//! Community ID: one name for a flow across tools (<https://github.com/corelight/community-id-spec>).

use std::net::{IpAddr, SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};
use wirewhy_flow::Transport;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Community ID, version 1 with seed 0, of a TCP connection; the same whichever side is named first.
#[must_use]
pub fn community_id(one: SocketAddr, other: SocketAddr) -> String {
    flow_id(TCP, one, other)
}

/// The same of a connection over this transport.
pub(crate) fn community_id_of(transport: Transport, one: SocketAddr, other: SocketAddr) -> String {
    let protocol = match transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
    };
    flow_id(protocol, one, other)
}

fn flow_id(protocol: u8, one: SocketAddr, other: SocketAddr) -> String {
    let seed = 0_u16;
    let (lower, higher) = if key(one) <= key(other) {
        (one, other)
    } else {
        (other, one)
    };
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    update_address(&mut hash, lower.ip());
    update_address(&mut hash, higher.ip());
    hash.update([protocol, 0]);
    hash.update(lower.port().to_be_bytes());
    hash.update(higher.port().to_be_bytes());
    format!("1:{}", STANDARD.encode(hash.finalize()))
}

fn key(socket: SocketAddr) -> (IpAddr, u16) {
    (socket.ip(), socket.port())
}

fn update_address(hash: &mut Sha1, address: IpAddr) {
    match address {
        IpAddr::V4(address) => hash.update(address.octets()),
        IpAddr::V6(address) => hash.update(address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn published_vectors() {
        assert_eq!(
            community_id(socket("128.232.110.120:34855"), socket("66.35.250.204:80")),
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
        );
        assert_eq!(
            community_id(
                socket("[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943"),
                socket("[2607:f8b0:400c:c03::1a]:25"),
            ),
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="
        );
        assert_eq!(
            flow_id(17, socket("192.168.1.52:54585"), socket("8.8.8.8:53")),
            "1:d/FP5EW3wiY1vCndhwleRRKHowQ="
        );
        assert_eq!(
            flow_id(132, socket("192.168.170.8:7"), socket("192.168.170.56:7")),
            "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="
        );
    }

    #[test]
    fn direction_does_not_matter() {
        let (a, b) = (socket("10.0.0.1:80"), socket("10.0.0.1:40000"));
        assert_eq!(community_id(a, b), community_id(b, a));
    }
}
