//! Lines to frames.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wirewhy_packet::{Interval, LinkType, MacAddr, Timestamp};

use crate::OwnedFrame;
use crate::dns::{self, Dns, DnsMessage, make_first_fragment};
use crate::options;
use crate::parse::{
    End, FrameChanges, Icmp, Line, Message, Route, Setting, SocketOrEnd, TraceEvent, TraceSegment,
    Unreachable, When,
};
use crate::wire::{self, ETHERNET_LEN, IpHeader, TcpHeader};

/// 2026-01-02T03:04:05Z.
const START: Timestamp = Timestamp(1_767_323_045_000_000_000);
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 80);
const CLIENT_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const SERVER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);
const BROADCAST: MacAddr = MacAddr([0xff; 6]);

#[derive(Debug, Default)]
pub(crate) struct Builder {
    clock: i64,
    snap: Option<usize>,
    connections: Vec<TraceConnection>,
    frames: Vec<OwnedFrame>,
    /// Every frame's bytes before the snap length cut them.
    whole: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct TraceConnection {
    /// `None` for one that is known by its addresses only.
    number: Option<u32>,
    client: Party,
    server: Party,
}

#[derive(Debug)]
struct Party {
    address: SocketAddr,
    isn: u32,
    ttl: u8,
    next_id: u16,
    mac: MacAddr,
    dont_fragment: bool,
    /// The payload text given so far, so that a retransmission without text repeats it.
    content: BTreeMap<u32, u8>,
    /// Index of the frame with the latest segment.
    last_frame: Option<usize>,
}

impl Builder {
    pub(crate) fn apply(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Empty => {}
            Line::Snap(len) => self.snap = Some(len),
            Line::Setting(number, end, setting) => {
                let index = self.numbered(number)?;
                self.connection(index)?.party(end).set(&setting);
            }
            Line::TraceEvent(when, event) => {
                self.clock = match when {
                    When::At(nanos) => nanos,
                    When::After(nanos) => self.clock.saturating_add(nanos),
                };
                self.event(event)?;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Vec<OwnedFrame> {
        self.frames
    }

    fn event(&mut self, event: TraceEvent) -> Result<(), String> {
        match event {
            TraceEvent::Segment(segment) => self.segment(&segment),
            TraceEvent::Duplicate(changes) => self.duplicate(&changes),
            TraceEvent::Icmp(icmp) => self.icmp(&icmp),
            TraceEvent::Dns(dns) => self.dns(*dns),
            TraceEvent::ArpRequest(who, whom) => self.arp(1, who, whom),
            TraceEvent::ArpReply(who, whom) => self.arp(2, who, whom),
            TraceEvent::End => self.end(),
        }
    }

    fn segment(&mut self, segment: &TraceSegment) -> Result<(), String> {
        let (index, from) = self.routed(segment.route)?;
        let connection = self.connection(index)?;
        let receiver = connection.party(from.other());
        let (to, to_mac, to_isn) = (receiver.address, receiver.mac, receiver.isn);
        let sender = connection.party(from);
        let number = |relative, isn, absolute| wrap(relative, if absolute { 0 } else { isn });
        let seq = number(segment.seq, sender.isn, segment.absolute_seq);
        let ack = if segment.ack == 0 && !segment.flags.has(wirewhy_packet::TcpFlags::ACK) {
            0
        } else {
            number(segment.ack, to_isn, segment.absolute_ack)
        };
        let options = options::bytes(&segment.options, |relative| {
            number(relative, to_isn, segment.absolute_ack)
        })?;
        let header = TcpHeader {
            source_port: sender.address.port(),
            destination_port: to.port(),
            seq,
            ack,
            flags: segment.flags.0,
            window: segment.window,
            options,
            data_offset: segment.data_offset,
        };
        let ip = sender.ip_header(to.ip(), wire::PROTOCOL_TCP, &segment.frame);
        let payload = sender.payload(seq, segment);
        let mut bytes = wire::tcp(&header, &payload, &ip);
        if segment.bad_checksum
            && let Some(byte) = bytes.get_mut(16)
        {
            *byte ^= 0x55;
        }
        let macs = macs(sender.mac, to_mac, &segment.frame);
        let frame = wire::ethernet_ip(macs, &ip, &bytes)?;
        let frame = self.record(frame, &segment.frame);
        self.connection(index)?.party(from).last_frame = Some(frame);
        Ok(())
    }

    fn duplicate(&mut self, changes: &FrameChanges) -> Result<(), String> {
        if changes.id.is_some()
            || changes.dont_fragment.is_some()
            || changes.tos.is_some()
            || changes.ip_len.is_some()
        {
            return Err("dup takes ttl, ttl-N, src, dst and snap".to_owned());
        }
        let mut frame = self.whole.last().ok_or("nothing to record again")?.clone();
        let is_ip = matches!(
            frame.get(12..ETHERNET_LEN),
            Some([0x08, 0x00] | [0x86, 0xdd])
        );
        if is_ip && let Some(packet) = frame.get_mut(ETHERNET_LEN..) {
            let place = if packet.first().is_some_and(|first| first >> 4 == 4) {
                8
            } else {
                7
            };
            let ttl = packet.get(place).copied().unwrap_or(0);
            let ttl = changes.ttl.unwrap_or(ttl).saturating_sub(changes.hops);
            wire::set_ttl(packet, ttl);
        }
        for (at, mac) in [(0, changes.destination_mac), (6, changes.source_mac)] {
            if let (Some(mac), Some(place)) = (mac, frame.get_mut(at..at + 6)) {
                place.copy_from_slice(&mac.0);
            }
        }
        self.record(frame, changes);
        Ok(())
    }

    fn icmp(&mut self, icmp: &Icmp) -> Result<(), String> {
        let index = self.numbered(icmp.connection)?;
        let connection = self.connection(index)?;
        let target = connection.party(icmp.to);
        let (to, to_mac, sent) = (target.address.ip(), target.mac, target.last_frame);
        let gateway = connection.party(icmp.to.other()).mac;
        let reporter = match icmp.from {
            SocketOrEnd::Address(address) => address,
            SocketOrEnd::End(end) => connection.party(end).address.ip(),
        };
        let source = connection_mac(connection, reporter).unwrap_or(gateway);
        let quoted = match icmp.quoting {
            Some(number) => usize::try_from(number)
                .ok()
                .and_then(|at| at.checked_sub(1)),
            None => sent,
        };
        let quoted = quoted
            .and_then(|frame| self.whole.get(frame))
            .and_then(|frame| frame.get(ETHERNET_LEN..))
            .ok_or("no segment to quote")?;
        let v4 = to.is_ipv4();
        let (kind, code, word) = kind_and_code(icmp.message, v4);
        let mut quoted = quoted.to_vec();
        if matches!(icmp.message, Message::TimeExceeded) {
            wire::set_ttl(&mut quoted, 1);
        }
        // The message itself stays within the smallest MTU (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4).
        quoted.truncate(icmp.quote.unwrap_or(if v4 { 576 - 28 } else { 1280 - 48 }));
        let changes = &icmp.frame;
        let ip = IpHeader {
            source: reporter,
            destination: to,
            protocol: if v4 {
                wire::PROTOCOL_ICMP
            } else {
                wire::PROTOCOL_ICMPV6
            },
            ttl: changes.ttl.unwrap_or(64).saturating_sub(changes.hops),
            id: changes.id.unwrap_or(0),
            dont_fragment: changes.dont_fragment.unwrap_or(false),
            // Internetwork control, as routers send it (RFC 1812 section 4.3.2.5).
            tos: changes.tos.unwrap_or(0xc0),
            len: changes.ip_len,
        };
        let body = wire::icmp(kind, code, word, &quoted, &ip);
        let frame = wire::ethernet_ip(macs(source, to_mac, changes), &ip, &body)?;
        self.record(frame, changes);
        Ok(())
    }

    fn dns(&mut self, dns: Dns) -> Result<(), String> {
        let Dns {
            client,
            resolver,
            content,
            frame: changes,
        } = dns;
        let (payload, from, to, is_fragment) = match content {
            DnsMessage::Query(payload) => (payload, client, resolver, false),
            DnsMessage::Response(payload, sender) => (payload, sender, client, false),
            DnsMessage::Fragment(mut payload) => {
                payload.resize(payload.len().next_multiple_of(8), 0);
                (payload, resolver, client, true)
            }
            DnsMessage::Refusal => return self.refuse(resolver.ip(), client.ip(), &changes),
        };
        let ip = self.udp_header(from.ip(), to.ip(), wire::PROTOCOL_UDP, &changes);
        let mut body = wire::udp((from.port(), to.port()), &payload, &ip);
        if is_fragment && let Some(length) = body.get_mut(4..6) {
            length.copy_from_slice(&2_000_u16.to_be_bytes());
        }
        let macs = macs(self.mac_of(from.ip()), self.mac_of(to.ip()), &changes);
        let mut frame = wire::ethernet_ip(macs, &ip, &body)?;
        if is_fragment {
            make_first_fragment(&mut frame, ETHERNET_LEN);
        }
        self.record(frame, &changes);
        Ok(())
    }

    /// ICMP port unreachable about the last frame.
    fn refuse(&mut self, from: IpAddr, to: IpAddr, changes: &FrameChanges) -> Result<(), String> {
        let last = self
            .whole
            .last()
            .and_then(|frame| frame.get(ETHERNET_LEN..));
        let quoted = last.ok_or("no datagram to refuse")?.to_vec();
        let (kind, code, protocol) = match from {
            IpAddr::V4(_) => (3, 3, wire::PROTOCOL_ICMP),
            IpAddr::V6(_) => (1, 4, wire::PROTOCOL_ICMPV6),
        };
        let ip = self.udp_header(from, to, protocol, changes);
        let body = wire::icmp(kind, code, 0, &quoted, &ip);
        let macs = macs(self.mac_of(from), self.mac_of(to), changes);
        let frame = wire::ethernet_ip(macs, &ip, &body)?;
        self.record(frame, changes);
        Ok(())
    }

    fn udp_header(
        &self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        changes: &FrameChanges,
    ) -> IpHeader {
        IpHeader {
            source,
            destination,
            protocol,
            ttl: changes.ttl.unwrap_or(64).saturating_sub(changes.hops),
            id: changes.id.unwrap_or(0),
            dont_fragment: changes.dont_fragment.unwrap_or(false),
            tos: changes.tos.unwrap_or(0),
            len: changes.ip_len,
        }
    }

    /// The MAC address of a host: of the party of a connection, where it is one.
    fn mac_of(&self, address: IpAddr) -> MacAddr {
        let parties = self.connections.iter();
        let mut known = parties.filter_map(|connection| connection_mac(connection, address));
        known.next_back().unwrap_or_else(|| dns::mac_of(address))
    }

    fn arp(&mut self, operation: u16, who: SocketOrEnd, whom: SocketOrEnd) -> Result<(), String> {
        let (mac, address) = self.arp_party(who)?;
        let target = self.arp_party(whom)?;
        let (target, destination) = match operation {
            1 => ((MacAddr([0; 6]), target.1), BROADCAST),
            _ => (target, target.0),
        };
        let body = wire::arp(operation, (mac, address), target);
        let frame = wire::ethernet(mac, destination, 0x0806, &body);
        self.record(frame, &FrameChanges::default());
        Ok(())
    }

    fn arp_party(&mut self, who: SocketOrEnd) -> Result<(MacAddr, [u8; 4]), String> {
        let index = self.numbered(1)?;
        let connection = self.connection(index)?;
        let address = match who {
            SocketOrEnd::Address(address) => address,
            SocketOrEnd::End(end) => connection.party(end).address.ip(),
        };
        let mac = connection_mac(connection, address).unwrap_or(OTHER_MAC);
        match address {
            IpAddr::V4(address) => Ok((mac, address.octets())),
            IpAddr::V6(_) => Err("arp is for IPv4".to_owned()),
        }
    }

    /// A datagram to the discard port between two hosts that take part in nothing else.
    fn end(&mut self) -> Result<(), String> {
        let ip = IpHeader {
            source: IpAddr::from([203, 0, 113, 8]),
            destination: IpAddr::from([203, 0, 113, 9]),
            protocol: wire::PROTOCOL_UDP,
            ttl: 64,
            id: 0,
            dont_fragment: true,
            tos: 0,
            len: None,
        };
        let macs = (OTHER_MAC, MacAddr([2, 0, 0, 0, 0, 0xfd]));
        let frame = wire::ethernet_ip(macs, &ip, &wire::udp((9, 9), &[], &ip))?;
        self.record(frame, &FrameChanges::default());
        Ok(())
    }

    /// Stores a frame and returns its index.
    fn record(&mut self, frame: Vec<u8>, changes: &FrameChanges) -> usize {
        let index = self.frames.len();
        let snap = changes.snap.or(self.snap).unwrap_or(usize::MAX);
        let data = frame.iter().copied().take(snap).collect();
        self.frames.push(OwnedFrame {
            number: u64::try_from(index).map_or(u64::MAX, |index| index.saturating_add(1)),
            time: START.after(Interval(self.clock)),
            link_type: LinkType::ETHERNET,
            original_len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            data,
        });
        self.whole.push(frame);
        index
    }

    fn connection(&mut self, index: usize) -> Result<&mut TraceConnection, String> {
        let found = self.connections.get_mut(index);
        found.ok_or_else(|| "no such connection".to_owned())
    }

    fn routed(&mut self, route: Route) -> Result<(usize, End), String> {
        let (sender, receiver, sender_first) = match route {
            Route::Numbered(number, from) => return Ok((self.numbered(number)?, from)),
            Route::Named(sender, receiver, sender_first) => (sender, receiver, sender_first),
        };
        for (index, known) in self.connections.iter().enumerate() {
            let ends = (known.client.address, known.server.address);
            if ends == (sender, receiver) {
                return Ok((index, End::Client));
            }
            if ends == (receiver, sender) {
                return Ok((index, End::Server));
            }
        }
        let (client, server, from) = if sender_first {
            (sender, receiver, End::Client)
        } else {
            (receiver, sender, End::Server)
        };
        self.connections
            .push(TraceConnection::new(None, client, server));
        Ok((self.connections.len() - 1, from))
    }

    fn numbered(&mut self, number: u32) -> Result<usize, String> {
        let known = |connection: &TraceConnection| connection.number == Some(number);
        if let Some(index) = self.connections.iter().position(known) {
            return Ok(index);
        }
        let port = u16::try_from(number - 1)
            .ok()
            .and_then(|offset| CLIENT.port().checked_add(offset))
            .ok_or("no port left for so many connections")?;
        let client = SocketAddr::new(CLIENT.ip(), port);
        self.connections
            .push(TraceConnection::new(Some(number), client, SERVER));
        Ok(self.connections.len() - 1)
    }
}

impl TraceConnection {
    fn new(number: Option<u32>, client: SocketAddr, server: SocketAddr) -> TraceConnection {
        TraceConnection {
            number,
            client: Party::new(client, 1000, 64, 1, CLIENT_MAC),
            server: Party::new(server, 5000, 57, 30_000, SERVER_MAC),
        }
    }

    fn party(&mut self, end: End) -> &mut Party {
        match end {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        }
    }
}

impl Party {
    fn new(address: SocketAddr, isn: u32, ttl: u8, next_id: u16, mac: MacAddr) -> Party {
        Party {
            address,
            isn,
            ttl,
            next_id,
            mac,
            dont_fragment: true,
            content: BTreeMap::new(),
            last_frame: None,
        }
    }

    fn set(&mut self, setting: &Setting) {
        self.address = setting.address.unwrap_or(self.address);
        self.isn = setting.isn.unwrap_or(self.isn);
        self.ttl = setting.ttl.unwrap_or(self.ttl);
        self.next_id = setting.id.unwrap_or(self.next_id);
        self.mac = setting.mac.unwrap_or(self.mac);
        self.dont_fragment = setting.dont_fragment.unwrap_or(self.dont_fragment);
    }

    fn ip_header(&mut self, to: IpAddr, protocol: u8, changes: &FrameChanges) -> IpHeader {
        let id = changes.id.unwrap_or(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        IpHeader {
            source: self.address.ip(),
            destination: to,
            protocol,
            ttl: changes.ttl.unwrap_or(self.ttl).saturating_sub(changes.hops),
            id,
            dont_fragment: changes.dont_fragment.unwrap_or(self.dont_fragment),
            tos: changes.tos.unwrap_or(0),
            len: changes.ip_len,
        }
    }

    /// The payload given, continued with what was said before at these numbers, else with letters.
    fn payload(&mut self, seq: u32, segment: &TraceSegment) -> Vec<u8> {
        let numbers = std::iter::successors(Some(seq), |number| Some(number.wrapping_add(1)));
        for (number, &byte) in numbers.clone().zip(&segment.payload) {
            self.content.insert(number, byte);
        }
        let content = |number: u32| {
            let letter = u8::try_from(number % 26).map_or(b'a', |letter| b'a' + letter);
            self.content.get(&number).copied().unwrap_or(letter)
        };
        numbers.take(segment.len).map(content).collect()
    }
}

fn connection_mac(connection: &TraceConnection, address: IpAddr) -> Option<MacAddr> {
    let parties = [&connection.client, &connection.server];
    parties
        .into_iter()
        .find(|party| party.address.ip() == address)
        .map(|party| party.mac)
}

fn macs(source: MacAddr, destination: MacAddr, changes: &FrameChanges) -> (MacAddr, MacAddr) {
    (
        changes.source_mac.unwrap_or(source),
        changes.destination_mac.unwrap_or(destination),
    )
}

fn wrap(relative: i64, base: u32) -> u32 {
    let number = i128::from(relative) + i128::from(base);
    u32::try_from(number.rem_euclid(1 << 32)).unwrap_or(0)
}

/// Type, code and second word of the message: ICMP (RFC 792, 1191, 1812) or ICMPv6 (RFC 4443).
fn kind_and_code(message: Message, v4: bool) -> (u8, u8, u32) {
    match (message, v4) {
        (Message::Unreachable(what), true) => {
            let code = match what {
                Unreachable::Net => 0,
                Unreachable::Host => 1,
                Unreachable::Protocol => 2,
                Unreachable::Port => 3,
                Unreachable::Admin => 13,
            };
            (3, code, 0)
        }
        (Message::Unreachable(what), false) => match what {
            Unreachable::Net => (1, 0, 0),
            Unreachable::Host => (1, 3, 0),
            // A parameter problem that points at the next-header field.
            Unreachable::Protocol => (4, 1, 6),
            Unreachable::Port => (1, 4, 0),
            Unreachable::Admin => (1, 1, 0),
        },
        (Message::TimeExceeded, true) => (11, 0, 0),
        (Message::TimeExceeded, false) => (3, 0, 0),
        (Message::TooBig(mtu), true) => (3, 4, mtu & 0xffff),
        (Message::TooBig(mtu), false) => (2, 0, mtu),
        (Message::Code(kind, code), _) => (kind, code, 0),
    }
}
