//! Who is on the link: what ARP (RFC 826) and neighbour discovery (RFC 4861) say of addresses, and which requests have no answer.
//!
//! Of packets that are neither, it looks at no more than the addresses, and at those only while something depends on them.

use std::net::{IpAddr, Ipv6Addr};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use wirewhy_packet::{Arp, Interval, MacAddr, NeighborDiscovery, Packet, Timestamp, Transport};

use crate::neighbours::gate::Gate;
use crate::{Mark, Sample};

mod gate;

/// A link, as far as a capture tells links apart. The same address may well be used on two of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LinkId {
    /// The outermost VLAN.
    pub vlan: Option<u16>,
    /// The capture interface.
    pub interface: u32,
}

/// What was seen of one IP address on one link.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Neighbour {
    /// The MAC addresses that claimed it, in order of their first claim; at most [`Neighbour::CLAIMANTS`].
    pub claimants: Vec<Claimant>,
    /// Claims that passed from one MAC address back to another which had claimed it before; the first ones.
    pub returns: Vec<Return>,
    /// Requests that two MAC addresses answered.
    pub answered_twice: Sample,
    /// Probes for the address (RFC 5227, RFC 4862 section 5.4) by one MAC address that another answered.
    pub contested: Option<Contest>,
    /// Its latest sign of life: a claim, or a packet with it as the source.
    pub alive: Option<Mark>,
    answered: Option<(Timestamp, MacAddr, IpAddr)>,
    probed: Option<(Mark, MacAddr)>,
    latest: Option<MacAddr>,
    is_wanted: bool,
}

/// A MAC address that claimed an IP address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimant {
    /// The MAC address.
    pub mac: MacAddr,
    /// Its first claim.
    pub first: Mark,
    /// Its latest claim.
    pub last: Mark,
    /// Answers to requests.
    pub answers: u32,
    /// Requests in that name, and announcements.
    pub own: u32,
}

/// A claim by a MAC address that another had taken over from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Return {
    /// The claim.
    pub mark: Mark,
    /// How long ago the same MAC address had claimed it before.
    pub after: Interval,
    /// Whether it answers no request: an unsolicited claim.
    pub own: bool,
}

/// A probe that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contest {
    /// Who probed.
    pub prober: MacAddr,
    /// The probe.
    pub probe: Mark,
    /// Who answered.
    pub owner: MacAddr,
    /// The answer.
    pub answer: Mark,
}

/// One host's requests for one address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asking {
    /// The host that asks.
    pub asker: IpAddr,
    /// Whether the capturing host itself asked, where the capture tells.
    pub outgoing: Option<bool>,
    /// The longest run of requests without a sign of life between them.
    pub longest: Requests,
    run: Requests,
}

/// Requests without a sign of life between them. Those in quick succession count once: copies, or several programs at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requests {
    /// How many, and the first ones.
    pub frames: Sample,
    /// Whether the address had shown a sign of life before.
    pub known_before: bool,
    /// When it began.
    pub first: Timestamp,
    /// When it ended.
    pub last: Timestamp,
}

/// Whether answers to a host would be in the capture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hearing {
    /// Nothing says so: on a switch one sees everybody's questions, and only the answers to oneself.
    Unknown,
    /// It is one of two hosts that took part in every unicast frame.
    OneOfTwo,
    /// It took part in every unicast frame, or several others were seen to talk to it.
    Sure,
}

#[derive(Clone, Copy, Debug, Default)]
struct Asker {
    /// Others that sent to it, and how many frames.
    senders: [Option<(MacAddr, u16)>; 2],
    frames: u16,
    settled: bool,
}

/// Follows the addresses of a link, in bounded tables: first come first kept.
#[derive(Debug, Default)]
pub struct Neighbours {
    hosts: IndexMap<(LinkId, IpAddr), Neighbour, RandomState>,
    askings: IndexMap<(LinkId, IpAddr, MacAddr), Asking, RandomState>,
    askers: IndexMap<MacAddr, Asker, RandomState>,
    /// Hosts that took part in every unicast frame so far; `None` before the first.
    everywhere: Option<[Option<MacAddr>; 2]>,
    /// Messages of ARP and neighbour discovery.
    messages: u64,
    /// Messages of which part was not kept because a table was full.
    left_out: u64,
    /// Addresses asked for that gave no sign of life since.
    wanted: Gate,
    /// Askers of which it matters who sends to them.
    unheard: Gate,
}

impl Neighbour {
    /// How many claimants are kept.
    pub const CLAIMANTS: usize = 4;
    const RETURNS: usize = 16;
    /// An answer this long after the question still answers it.
    const ANSWER: Interval = Interval::from_secs(1);
}

impl Neighbours {
    const LIMIT: usize = 16_384;
    /// Requests closer together are one.
    const APART: Interval = Interval::from_millis(200);
    /// Frames from each of two others that show that what is sent to a host is seen.
    const ENOUGH: u16 = 4;
    /// Frames after which one no longer looks.
    const LOOKED_AT: u16 = 4_096;

    /// Takes in one packet of any kind.
    #[inline]
    pub fn observe(&mut self, packet: &Packet<'_>) {
        if let (Some(source), Some(destination)) = (packet.link.source, packet.link.destination) {
            self.note_frame(source, destination);
        }
        match &packet.transport {
            Transport::Arp(arp) if packet.tunnels == 0 => {
                self.messages += 1;
                self.observe_arp(packet, arp);
            }
            Transport::NeighborDiscovery(discovery) if packet.tunnels == 0 => {
                self.messages += 1;
                self.observe_discovery(packet, discovery);
            }
            _ => {
                if !self.wanted.is_empty()
                    && let Some(ip) = packet.ip
                    && self.wanted.may_hold(&ip.source)
                {
                    self.see_alive(packet, ip.source);
                }
            }
        }
    }

    /// Notes that packets are missing before the next one: answers to the requests so far may be among them.
    pub fn interrupt(&mut self) {
        self.askings.clear();
    }

    /// How many messages of ARP and neighbour discovery there were.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Messages of which part was not kept because a table was full.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What was seen of each address that ARP or neighbour discovery named.
    pub fn hosts(&self) -> impl Iterator<Item = (LinkId, IpAddr, &Neighbour)> {
        self.hosts
            .iter()
            .map(|((place, address), host)| (*place, *address, host))
    }

    /// What was seen of one of them.
    #[must_use]
    pub fn host(&self, place: LinkId, address: IpAddr) -> Option<&Neighbour> {
        self.hosts.get(&(place, address))
    }

    /// Who asked for what: link, address asked for, MAC address of the asker.
    pub fn askings(&self) -> impl Iterator<Item = (LinkId, IpAddr, MacAddr, &Asking)> {
        self.askings
            .iter()
            .map(|((place, target, asker), asking)| (*place, *target, *asker, asking))
    }

    /// Whether answers to a host would be in the capture.
    #[must_use]
    pub fn hearing(&self, asker: MacAddr) -> Hearing {
        match self.everywhere {
            Some([Some(one), None] | [None, Some(one)]) if one == asker => Hearing::Sure,
            Some([Some(one), Some(other)]) if one == asker || other == asker => Hearing::OneOfTwo,
            Some([None, None]) => {
                let heard = self.askers.get(&asker).is_some_and(|asker| {
                    let enough = |sender: &Option<(MacAddr, u16)>| {
                        sender.is_some_and(|(_, frames)| frames >= Self::ENOUGH)
                    };
                    asker.senders.iter().all(enough)
                });
                if heard {
                    Hearing::Sure
                } else {
                    Hearing::Unknown
                }
            }
            _ => Hearing::Unknown,
        }
    }

    #[inline]
    fn note_frame(&mut self, source: MacAddr, destination: MacAddr) {
        if destination.0[0] & 1 == 1 {
            return;
        }
        match &mut self.everywhere {
            None => self.everywhere = Some([Some(source), Some(destination)]),
            // Two hosts and no other, so far.
            Some([Some(one), Some(other)])
                if *one == source && *other == destination
                    || *one == destination && *other == source => {}
            Some([None, None]) => {
                if !self.unheard.is_empty() && self.unheard.may_hold(&destination) {
                    self.note_sender(destination, source);
                }
            }
            Some(hosts) => {
                for host in hosts {
                    *host = host.filter(|host| *host == source || *host == destination);
                }
            }
        }
    }

    #[inline(never)]
    fn note_sender(&mut self, destination: MacAddr, source: MacAddr) {
        let Some(asker) = self.askers.get_mut(&destination) else {
            return;
        };
        if asker.settled {
            return;
        }
        asker.frames = asker.frames.saturating_add(1);
        for sender in &mut asker.senders {
            match sender {
                Some((known, frames)) if *known == source => {
                    *frames = frames.saturating_add(1);
                    break;
                }
                Some(_) => {}
                None => {
                    *sender = Some((source, 1));
                    break;
                }
            }
        }
        let enough = |sender: &Option<(MacAddr, u16)>| {
            sender.is_some_and(|(_, frames)| frames >= Self::ENOUGH)
        };
        if asker.senders.iter().all(enough) || asker.frames >= Self::LOOKED_AT {
            asker.settled = true;
            self.unheard.remove(&destination);
        }
    }

    #[inline(never)]
    fn see_alive(&mut self, packet: &Packet<'_>, address: IpAddr) {
        let key = (place_of(packet), address);
        if let Some(host) = self.hosts.get_mut(&key) {
            host.alive = Some(mark_of(packet));
            if std::mem::take(&mut host.is_wanted) {
                self.wanted.remove(&address);
            }
        }
    }

    #[inline(never)]
    fn observe_arp(&mut self, packet: &Packet<'_>, arp: &Arp) {
        let (sender, target) = (IpAddr::V4(arp.sender_ip), IpAddr::V4(arp.target_ip));
        let is_request = arp.operation == 1;
        let is_probe = arp.sender_ip.is_unspecified();
        // Damaged, or sent by a proxy on another's behalf.
        let own_words = packet
            .link
            .source
            .is_none_or(|source| source == arp.sender_mac);
        if own_words && !is_probe && (is_request || arp.operation == 2) {
            let destination = packet.link.destination;
            let to_one = destination.is_none_or(|destination| destination.0[0] & 1 == 0);
            let answers = !is_request && to_one && arp.target_ip != arp.sender_ip;
            self.claim(packet, sender, arp.sender_mac, answers.then_some(target));
        }
        // RFC 5227 section 1.1: a probe has no sender, an announcement names its sender as the target.
        if is_request && is_probe {
            self.probe(packet, target, arp.sender_mac);
        } else if is_request && sender != target {
            self.ask(packet, (sender, arp.sender_mac), target);
        }
    }

    #[inline(never)]
    fn observe_discovery(&mut self, packet: &Packet<'_>, message: &NeighborDiscovery) {
        let (Some(ip), Some(mac)) = (packet.ip, message.mac.or(packet.link.source)) else {
            return;
        };
        let target = IpAddr::V6(message.target);
        if message.advertisement {
            // Section 7.2.4: without the override flag it speaks for others, or for one of many.
            if message.override_flag {
                let answers = message.solicited.then_some(ip.destination);
                self.claim(packet, target, mac, answers);
            } else {
                self.see_alive(packet, target);
            }
        } else if ip.source == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            if let Some(prober) = packet.link.source {
                self.probe(packet, target, prober);
            }
        } else {
            if message.mac.is_some() {
                self.claim(packet, ip.source, mac, None);
            }
            self.ask(packet, (ip.source, mac), target);
        }
    }

    fn entry(&mut self, packet: &Packet<'_>, address: IpAddr) -> Option<&mut Neighbour> {
        let key = (place_of(packet), address);
        if self.hosts.len() >= Self::LIMIT && !self.hosts.contains_key(&key) {
            self.left_out += 1;
            return None;
        }
        Some(self.hosts.entry(key).or_default())
    }

    fn claim(
        &mut self,
        packet: &Packet<'_>,
        address: IpAddr,
        mac: MacAddr,
        answers: Option<IpAddr>,
    ) {
        let mark = mark_of(packet);
        let Some(host) = self.entry(packet, address) else {
            return;
        };
        host.claim(mark, mac, answers);
        host.alive = Some(mark);
        if std::mem::take(&mut host.is_wanted) {
            self.wanted.remove(&address);
        }
    }

    fn probe(&mut self, packet: &Packet<'_>, address: IpAddr, mac: MacAddr) {
        // What is sent to one host alone asks that host whether it is there, for no other host.
        let to_all = packet
            .link
            .destination
            .is_none_or(|destination| destination.0[0] & 1 == 1);
        if to_all && let Some(host) = self.entry(packet, address) {
            host.probed = Some((mark_of(packet), mac));
        }
    }

    fn ask(&mut self, packet: &Packet<'_>, asker: (IpAddr, MacAddr), target: IpAddr) {
        let mark = mark_of(packet);
        let Some(host) = self.entry(packet, target) else {
            return;
        };
        let newly_wanted = !std::mem::replace(&mut host.is_wanted, true);
        let alive = host.alive;
        if newly_wanted {
            self.wanted.add(&target);
        }
        let key = (place_of(packet), target, asker.1);
        if self.askings.len() >= Self::LIMIT && !self.askings.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let asking = self.askings.entry(key).or_insert_with(|| Asking {
            asker: asker.0,
            outgoing: packet.link.outgoing,
            longest: Requests::beginning(mark.time, alive.is_some()),
            run: Requests::beginning(mark.time, alive.is_some()),
        });
        asking.add(mark, alive);
        if !self.askers.contains_key(&asker.1) && self.askers.len() < Self::LIMIT {
            self.askers.insert(asker.1, Asker::default());
            self.unheard.add(&asker.1);
        }
    }
}

impl Neighbour {
    /// Two answers to one host at once answer one request, also where the capture has them before it.
    fn claim(&mut self, mark: Mark, mac: MacAddr, answers: Option<IpAddr>) {
        let within = |since: Timestamp| mark.time.since(since).abs() <= Self::ANSWER;
        if let Some(asker) = answers {
            let earlier = self.answered.replace((mark.time, mac, asker));
            let other = earlier
                .filter(|(time, known, whom)| *known != mac && *whom == asker && within(*time));
            if other.is_some() {
                self.answered_twice.add(mark.frame);
            }
        }
        let answers = answers.is_some();
        if let Some((probe, prober)) = self.probed
            && prober != mac
            && within(probe.time)
            && self.contested.is_none()
        {
            self.contested = Some(Contest {
                prober,
                probe,
                owner: mac,
                answer: mark,
            });
        }
        let changed = self.latest.replace(mac).is_some_and(|latest| latest != mac);
        let Some(known) = self.claimants.iter_mut().find(|known| known.mac == mac) else {
            if self.claimants.len() < Self::CLAIMANTS {
                self.claimants.push(Claimant {
                    mac,
                    first: mark,
                    last: mark,
                    answers: u32::from(answers),
                    own: u32::from(!answers),
                });
            }
            return;
        };
        if changed && self.returns.len() < Self::RETURNS {
            self.returns.push(Return {
                mark,
                after: mark.time.since(known.last.time),
                own: !answers,
            });
        }
        known.last = mark;
        known.answers = known.answers.saturating_add(u32::from(answers));
        known.own = known.own.saturating_add(u32::from(!answers));
    }
}

impl Asking {
    fn add(&mut self, mark: Mark, alive: Option<Mark>) {
        let run = &mut self.run;
        if alive.is_some_and(|alive| alive.time >= run.first && run.frames.count > 0) {
            *run = Requests::beginning(mark.time, true);
        }
        if run.frames.count > 0 && mark.time.since(run.last).abs() < Neighbours::APART {
            return;
        }
        run.frames.add(mark.frame);
        run.last = mark.time;
        if run.frames.count >= self.longest.frames.count {
            self.longest.clone_from(run);
        }
    }
}

impl Requests {
    fn beginning(time: Timestamp, known_before: bool) -> Requests {
        Requests {
            frames: Sample::default(),
            known_before,
            first: time,
            last: time,
        }
    }
}

fn mark_of(packet: &Packet<'_>) -> Mark {
    Mark {
        frame: packet.frame,
        time: packet.time,
    }
}

fn place_of(packet: &Packet<'_>) -> LinkId {
    LinkId {
        vlan: packet.link.vlan,
        interface: packet.link.interface,
    }
}

#[cfg(test)]
mod tests {
    use wirewhy_packet::{Decoder, MacAddr};
    use wirewhy_testkit::trace;

    use super::*;

    fn seen(lines: &str) -> Neighbours {
        let mut decoder = Decoder::new();
        let mut neighbours = Neighbours::default();
        for frame in trace(lines) {
            neighbours.observe(&decoder.decode(&frame.as_frame()));
        }
        neighbours
    }

    #[test]
    fn requests_count_until_a_sign_of_life() {
        let neighbours = seen(
            "0.0 arp client asks 192.0.2.77
             0.1 arp client asks 192.0.2.77
             1.0 arp client asks 192.0.2.77
             2.0 arp client asks 192.0.2.77
             2.5 arp 192.0.2.77 tells client
             9.0 arp client asks 192.0.2.77",
        );
        let (_, target, _, asking) = neighbours.askings().next().unwrap();
        assert_eq!(target, IpAddr::from([192, 0, 2, 77]));
        // The second came too soon after the first to be one of its own.
        assert_eq!(asking.longest.frames.frames, [1, 3, 4]);
        assert!(!asking.longest.known_before);
    }

    #[test]
    fn who_asks_claims_its_own_address() {
        let neighbours = seen("0.0 arp client asks 192.0.2.77");
        let own = neighbours.host(LinkId::default(), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(own.unwrap().claimants[0].own, 1);
    }

    #[test]
    fn who_is_in_every_frame_hears_everything() {
        let one = "0.0 > S 0:0(0)\n 0.1 < SA 0:0(0) ack 1\n";
        let client = seen(one).everywhere.unwrap()[0].unwrap();
        assert_eq!(seen(one).hearing(client), Hearing::OneOfTwo);
        let more = format!("{one} 0.2 > A 1:1(0) ack 1 dst 02:00:00:00:00:99");
        assert_eq!(seen(&more).hearing(client), Hearing::Sure);
        assert_eq!(seen(&more).hearing(MacAddr([2; 6])), Hearing::Unknown);
    }
}
