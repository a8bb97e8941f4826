//! Traces through parse, track, diagnose and survey, for the tests of the rules over many connections.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use indexmap::IndexMap;
use wirewhy_detect::{Diagnosis, Finding, Limits, TrustStore, diagnose_briefly};
use wirewhy_flow::{Bounds, Connection, Lookups, Neighbours, Tracker};
use wirewhy_packet::{Arp, Decoder, Ip, MacAddr, NeighborDiscovery, Packet, Timestamp, Transport};
use wirewhy_testkit::{OwnedFrame, trace};

use crate::{CaptureFaults, GroupFinding, Survey};

/// Every connection of a trace with its revised findings, by stream number; and the findings beyond them.
fn run(lines: &str) -> (Vec<Diagnosis>, Vec<GroupFinding>) {
    run_frames(&trace(lines))
}

/// The same of frames.
fn run_frames(frames: &[OwnedFrame]) -> (Vec<Diagnosis>, Vec<GroupFinding>) {
    let limits = Limits::default();
    let trust = TrustStore::mozilla();
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut connections: Vec<Box<Connection>> = Vec::new();
    for frame in frames {
        let packet = decoder.decode(&frame.as_frame());
        tracker.observe(&packet, &mut |connection| connections.push(connection));
    }
    tracker.finish(&mut |connection| connections.push(connection));
    connections.sort_by_key(|connection| connection.stream);
    let mut survey = Survey::default();
    let mut diagnosis: Vec<Diagnosis> = connections
        .into_iter()
        .map(|connection| diagnose_briefly(connection, &limits, &trust))
        .collect();
    for diagnosis in &diagnosis {
        survey.note(diagnosis, &limits);
    }
    for diagnosis in &mut diagnosis {
        survey.revise(diagnosis, &limits);
        diagnosis.put_into_words(&limits);
    }
    let tally = tracker.tally();
    let recording = CaptureFaults {
        tcp_packets: tally.tcp_packets,
        late_resets: tally.late_resets.clone(),
        copies: tally.copies.clone(),
        cut: tally.cut.clone(),
        offloaded: tally.offloaded.clone(),
        ..CaptureFaults::default()
    };
    let found = survey.findings(
        recording,
        &Neighbours::default(),
        tracker.lookups(),
        &limits,
    );
    (diagnosis, found)
}

/// Every connection of a trace, diagnosed.
pub(crate) fn diagnose_all(lines: &str) -> Vec<Diagnosis> {
    run(lines).0
}

/// Every connection of a trace and of other frames, which are put in the order of time, diagnosed.
pub(crate) fn judge_with(lines: &str, others: Vec<OwnedFrame>) -> Vec<Diagnosis> {
    run_with(lines, others).0
}

/// The findings beyond single connections of the same.
pub(crate) fn group_with(lines: &str, others: Vec<OwnedFrame>) -> Vec<GroupFinding> {
    run_with(lines, others).1
}

fn run_with(lines: &str, others: Vec<OwnedFrame>) -> (Vec<Diagnosis>, Vec<GroupFinding>) {
    let mut frames = trace(lines);
    frames.extend(others);
    frames.sort_by_key(|frame| frame.time);
    for (number, frame) in (1..).zip(&mut frames) {
        frame.number = number;
    }
    run_frames(&frames)
}

/// Every finding of every connection.
pub(crate) fn findings(lines: &str) -> Vec<Finding> {
    diagnose_all(lines)
        .into_iter()
        .flat_map(|diagnosis| diagnosis.findings)
        .collect()
}

/// The findings beyond single connections.
pub(crate) fn group(lines: &str) -> Vec<GroupFinding> {
    run(lines).1
}

/// The codes of the findings beyond single connections.
pub(crate) fn group_codes(lines: &str) -> Vec<&'static str> {
    group(lines)
        .into_iter()
        .map(|found| found.finding.code)
        .collect()
}

/// A link on which hosts, named by number, send ARP and neighbour discovery messages, in order of time.
pub(crate) struct Link {
    v6: bool,
    frames: u64,
    macs: IndexMap<u8, MacAddr>,
    neighbours: Neighbours,
}

impl Link {
    pub(crate) fn new(v6: bool) -> Link {
        Link {
            v6,
            frames: 0,
            macs: IndexMap::new(),
            neighbours: Neighbours::default(),
        }
    }

    /// Gives a host another MAC address.
    pub(crate) fn mac(&mut self, host: u8, mac: [u8; 6]) {
        self.macs.insert(host, MacAddr(mac));
    }

    /// The IP address of a number.
    pub(crate) fn address(&self, number: u8) -> IpAddr {
        if self.v6 {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)).into()
        } else {
            Ipv4Addr::new(192, 0, 2, number).into()
        }
    }

    /// A host sends a request for an address.
    pub(crate) fn asks(&mut self, at: f64, host: u8, target: u8) {
        self.claims_asking(at, host, host, target);
    }

    /// A host sends a request for an address, with the sender address of another one.
    pub(crate) fn claims_asking(&mut self, at: f64, host: u8, name: u8, target: u8) {
        let (name, target) = (self.address(name), self.address(target));
        self.message(at, (host, None), name, target, Message::Request);
    }

    /// A host answers for an address.
    pub(crate) fn answers(&mut self, at: f64, host: u8, name: u8, asker: u8) {
        let (name, asked) = (self.address(name), self.address(asker));
        self.message(at, (host, Some(asker)), name, asked, Message::Answer);
    }

    /// A host announces an address.
    pub(crate) fn announces(&mut self, at: f64, host: u8, name: u8) {
        let name = self.address(name);
        self.message(at, (host, None), name, name, Message::Request);
    }

    /// A host probes whether an address is free.
    pub(crate) fn probes(&mut self, at: f64, host: u8, target: u8) {
        let nobody = if self.v6 {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        let target = self.address(target);
        self.message(at, (host, None), nobody, target, Message::Request);
    }

    /// A host sends another one a packet.
    pub(crate) fn talks(&mut self, at: f64, host: u8, to: u8) {
        let ip = self.ip(self.address(host), self.address(to));
        let transport = Transport::OtherIp { protocol: 89 };
        self.frame(at, (host, Some(to)), Some(ip), transport);
    }

    pub(crate) fn findings(&self) -> Vec<(IpAddr, Finding)> {
        Survey::default()
            .findings(
                CaptureFaults::default(),
                &self.neighbours,
                &Lookups::default(),
                &Limits::default(),
            )
            .into_iter()
            .map(|found| (found.subject.parse().unwrap(), found.finding))
            .collect()
    }

    pub(crate) fn codes(&self) -> Vec<&'static str> {
        let found = self.findings();
        found.iter().map(|(_, finding)| finding.code).collect()
    }

    fn message(
        &mut self,
        at: f64,
        (host, to): (u8, Option<u8>),
        name: IpAddr,
        other: IpAddr,
        message: Message,
    ) {
        let mac = self.mac_of(host);
        let is_answer = matches!(message, Message::Answer);
        let (ip, transport) = match (name, other) {
            (IpAddr::V4(name), IpAddr::V4(other)) => {
                let arp = Arp {
                    operation: if is_answer { 2 } else { 1 },
                    sender_mac: mac,
                    sender_ip: name,
                    target_mac: MacAddr([0; 6]),
                    target_ip: other,
                };
                (None, Transport::Arp(arp))
            }
            (IpAddr::V6(v6_name), IpAddr::V6(v6_other)) => {
                let discovery = NeighborDiscovery {
                    advertisement: is_answer,
                    solicited: is_answer,
                    override_flag: is_answer,
                    target: if is_answer { v6_name } else { v6_other },
                    mac: (!v6_name.is_unspecified()).then_some(mac),
                };
                let ip = self.ip(name, other);
                (Some(ip), Transport::NeighborDiscovery(discovery))
            }
            _ => panic!("one family"),
        };
        self.frame(at, (host, to), ip, transport);
    }

    fn ip(&self, source: IpAddr, destination: IpAddr) -> Ip {
        Ip {
            source,
            destination,
            ttl: 255,
            id: None,
            tos: 0,
            total_len: 72,
            len_from_frame: false,
            reassembled: false,
        }
    }

    fn mac_of(&self, host: u8) -> MacAddr {
        let own = MacAddr([2, 0, 0, 0, 0, host]);
        self.macs.get(&host).copied().unwrap_or(own)
    }

    fn frame(
        &mut self,
        at: f64,
        (host, to): (u8, Option<u8>),
        ip: Option<Ip>,
        transport: Transport<'_>,
    ) {
        self.frames += 1;
        let nanos = std::time::Duration::from_secs_f64(at).as_nanos();
        let time = Timestamp(i64::try_from(nanos).unwrap());
        let everybody = MacAddr([0xff; 6]);
        self.neighbours.observe(&Packet {
            frame: self.frames,
            time,
            wire_len: 72,
            link: wirewhy_packet::Link {
                source: Some(self.mac_of(host)),
                destination: Some(to.map_or(everybody, |to| self.mac_of(to))),
                ..wirewhy_packet::Link::default()
            },
            ip,
            tunnels: 0,
            tunnel_damaged: false,
            transport,
            stopped: None,
        });
    }
}

#[derive(Clone, Copy)]
enum Message {
    Request,
    Answer,
}
