//! MPLS label stacks (RFC 3032) and the pseudowires in them.

use super::link::ether_type;
use super::{ByteView, Layer, Next, Walk};
use crate::StopReason;

/// Deeper stacks than any router pushes.
const MAX_LABELS: usize = 32;

impl<'a> Walk<'a, '_> {
    /// The stack does not say what it carries; the first nibble does for IP and for pseudowires with a control word
    /// (RFC 4385 section 3, RFC 4928), and a pseudowire without one is recognised by an Ethernet type in its place.
    #[inline(never)]
    pub(super) fn mpls(&mut self, view: ByteView<'a>) -> Next<'a> {
        let mut rest = view;
        for _ in 0..MAX_LABELS {
            let Some([_, _, bottom, _]) = rest.chunk(0) else {
                return self.stop_short("mpls", rest, 4);
            };
            rest = rest.skip(4);
            if bottom & 1 != 0 {
                return self.below_labels(rest);
            }
        }
        self.stop("mpls", StopReason::TooDeep)
    }

    fn below_labels(&mut self, view: ByteView<'a>) -> Next<'a> {
        let Some(first) = view.byte(0) else {
            return self.stop_short("mpls", view, 1);
        };
        match first >> 4 {
            4 if is_ipv4(view) => Some((Layer::IpVersion, view)),
            6 if !is_ethernet(view) => Some((Layer::IpVersion, view)),
            // Reserved bits of the control word are zero in front of a frame (RFC 4448 section 4.6).
            0 if is_ethernet(view.skip(4)) => Some((Layer::Ethernet, view.skip(4))),
            _ if is_ethernet(view) => Some((Layer::Ethernet, view)),
            4 => Some((Layer::IpVersion, view)),
            // A control word and the Ethernet header it may stand in front of.
            _ if view.data.len() < 18 => self.stop_short("mpls", view, 18),
            _ => self.stop("mpls", StopReason::Unsupported),
        }
    }
}

fn is_ipv4(view: ByteView<'_>) -> bool {
    let header_fits = view.byte(0).is_some_and(|first| first & 0x0f >= 5);
    let length_fits = view.be16(2).is_none_or(|len| usize::from(len) <= view.wire);
    header_fits && length_fits
}

/// Whether something this program knows stands where an Ethernet frame has its type.
fn is_ethernet(view: ByteView<'_>) -> bool {
    match view.be16(12) {
        Some(
            ether_type::IPV4
            | ether_type::IPV6
            | ether_type::ARP
            | ether_type::VLAN
            | ether_type::PROVIDER_VLAN
            | ether_type::MPLS
            | ether_type::PPPOE_SESSION,
        ) => true,
        // An 802.3 length must leave room for the header and no more than padding behind.
        Some(len @ 3..=1500) => {
            usize::from(len) + 14 <= view.wire && view.wire <= usize::from(len).max(46) + 18
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{decode, ethernet, ipv4, ipv6, probe, reaches_probe};
    use super::*;
    use crate::{Decoder, LinkType};

    /// Label 100, not the last; label 200, the last.
    const LABELS: [u8; 8] = [0, 6, 0x40, 64, 0, 0x0c, 0x81, 64];

    fn behind(header: &[u8], inner: &[u8]) -> Vec<u8> {
        ethernet(0x8847, &[&LABELS, header, inner].concat())
    }

    #[test]
    fn ip_is_told_by_its_version() {
        reaches_probe(LinkType::ETHERNET, &behind(&[], &ipv4(6, &probe())), 0);
        reaches_probe(LinkType::ETHERNET, &behind(&[], &ipv6(6, &probe())), 0);
    }

    #[test]
    fn a_pseudowire_is_read_with_and_without_control_word() {
        let inner = ethernet(0x0800, &ipv4(6, &probe()));
        reaches_probe(LinkType::ETHERNET, &behind(&[0, 0, 0, 1], &inner), 0);
        reaches_probe(LinkType::ETHERNET, &behind(&[], &inner), 0);
    }

    #[test]
    fn a_link_address_that_looks_like_an_ip_version_is_not_taken_for_one() {
        for first in [0x45, 0x46, 0x60] {
            let mut inner = ethernet(0x0800, &ipv4(6, &probe()));
            inner[0] = first;
            inner[2..4].copy_from_slice(&[0xff, 0xff]);
            let bytes = behind(&[], &inner);
            let mut decoder = Decoder::new();
            let packet = decode(&mut decoder, LinkType::ETHERNET, &bytes);
            assert!(
                matches!(packet.transport, crate::Transport::Tcp(_)),
                "{packet:?}"
            );
        }
    }

    #[test]
    fn an_endless_stack_ends() {
        let bytes = ethernet(0x8847, &[0; 400]);
        let mut decoder = Decoder::new();
        let packet = decode(&mut decoder, LinkType::ETHERNET, &bytes);
        assert_eq!(
            packet.stopped.map(|stop| stop.reason),
            Some(StopReason::TooDeep)
        );
    }
}
