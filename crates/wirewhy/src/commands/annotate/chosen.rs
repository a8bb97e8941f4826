//! Which packets of a capture are written, and the numbers they get.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use wirewhy::engine::Feed;
use wirewhy::packets::pair as ends_of;
use wirewhy_capture::{Filters, Recording};
use wirewhy_flow::wireshark;
use wirewhy_packet::{Packet, Transport};

use super::Trouble;

/// How many datagrams are remembered that may turn out to belong to a lookup.
const RECENT: usize = 4_096;

/// DNS, multicast DNS, LLMNR.
const LOOKUP_PORTS: [u16; 3] = [53, 5353, 5355];

/// The frames that are written, one bit each.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    words: Vec<u64>,
    /// How many are chosen in the words before each.
    before: Vec<u64>,
    /// How many frames there are.
    all: u64,
}

impl Chosen {
    /// Reads a recording, and chooses what passes the filters and, where `trouble` is given, belongs to it.
    pub(super) fn new(
        recording: &mut Recording,
        filters: Option<&mut Filters>,
        trouble: Option<&Trouble>,
    ) -> Chosen {
        let mut chosen = Chosen::default();
        match (trouble, filters) {
            (Some(trouble), filters) => {
                let mut troubled = Troubled::new(trouble);
                let mut feed = Feed::new(recording, filters);
                while feed
                    .next(|fed| {
                        chosen.all += 1;
                        troubled.take(fed.packet, fed.passes, &mut chosen);
                    })
                    .is_some()
                {}
            }
            (None, mut filters) => {
                while let Some(item) = recording.next() {
                    chosen.all += 1;
                    let filters = filters.as_mut();
                    if filters.is_none_or(|filters| filters.matches(&item.frame)) {
                        chosen.choose(item.frame.number);
                    }
                }
            }
        }
        let mut sum = 0;
        for word in &chosen.words {
            chosen.before.push(sum);
            sum += u64::from(word.count_ones());
        }
        chosen
    }

    /// The number that a frame gets in the new file, counted from 1; `None` where it is not written.
    pub(super) fn number(&self, frame: u64) -> Option<u64> {
        let (word, bit) = place(frame);
        let bits = *self.words.get(word)?;
        if bits >> bit & 1 == 0 {
            return None;
        }
        let below = bits & !(u64::MAX << bit);
        Some(self.before.get(word)? + u64::from(below.count_ones()) + 1)
    }

    /// How many frames are written.
    pub(super) fn kept(&self) -> u64 {
        let ones = self.words.iter().map(|word| u64::from(word.count_ones()));
        ones.sum()
    }

    /// How many frames there are.
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    fn choose(&mut self, frame: u64) {
        let (word, bit) = place(frame);
        if self.words.len() <= word {
            self.words.resize(word.saturating_add(1), 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= 1 << bit;
        }
    }
}

fn place(frame: u64) -> (usize, u32) {
    let word = usize::try_from(frame / 64).unwrap_or(usize::MAX);
    (word, u32::try_from(frame % 64).unwrap_or_default())
}

/// Chooses the packets of connections in trouble, ICMP errors about them, fragments between their hosts, and the datagrams
/// of the lookups they waited for.
struct Troubled<'a> {
    trouble: &'a Trouble,
    marks: wireshark::WiresharkAnalysis,
    recent: VecDeque<(u64, Pair)>,
    lookups: BTreeSet<Pair>,
}

/// The two ends of a datagram, the lower first.
type Pair = (SocketAddr, SocketAddr);

impl Troubled<'_> {
    fn new(trouble: &Trouble) -> Troubled<'_> {
        Troubled {
            trouble,
            marks: wireshark::WiresharkAnalysis::new(),
            recent: VecDeque::new(),
            lookups: BTreeSet::new(),
        }
    }

    fn take(&mut self, packet: &Packet<'_>, passes: bool, chosen: &mut Chosen) {
        let stream = self.marks.observe(packet).map(|marked| marked.stream);
        if !passes {
            return;
        }
        let frame = packet.frame;
        let is_cited = self.trouble.frames.contains(&frame);
        let is_of_stream = stream.is_some_and(|stream| self.trouble.streams.contains(&stream));
        if is_cited
            || is_of_stream
            || self.is_datagram_of_one(packet)
            || self.is_fragment_between(packet)
        {
            chosen.choose(frame);
        }
        let Some(pair) = lookup(packet) else {
            return;
        };
        if is_cited && self.lookups.insert(pair) {
            let earlier = self.recent.iter().filter(|(_, of)| *of == pair);
            earlier.for_each(|(frame, _)| chosen.choose(*frame));
        }
        if self.lookups.contains(&pair) {
            chosen.choose(frame);
            return;
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((frame, pair));
    }

    /// Whether it is between the ends of a connection over UDP, or quotes a packet from there, while that lasted.
    fn is_datagram_of_one(&self, packet: &Packet<'_>) -> bool {
        if self.trouble.datagrams.is_empty() || matches!(packet.transport, Transport::Tcp(_)) {
            return false;
        }
        let ranges = ends_of(packet).and_then(|ends| self.trouble.datagrams.get(&ends));
        ranges.is_some_and(|ranges| ranges.iter().any(|range| range.contains(&packet.frame)))
    }

    fn is_fragment_between(&self, packet: &Packet<'_>) -> bool {
        let (Transport::Fragment(_), Some(ip)) = (&packet.transport, packet.ip) else {
            return false;
        };
        let (one, other) = (ip.source, ip.destination);
        let hosts = (one.min(other), one.max(other));
        self.trouble.hosts.contains(&hosts)
    }
}

/// The ends of a datagram of a lookup.
fn lookup(packet: &Packet<'_>) -> Option<Pair> {
    let (Transport::Udp(datagram), Some(ip)) = (&packet.transport, packet.ip) else {
        return None;
    };
    let one = SocketAddr::new(ip.source, datagram.source_port);
    let other = SocketAddr::new(ip.destination, datagram.destination_port);
    let ports = [one.port(), other.port()];
    let is_lookup = ports.iter().any(|port| LOOKUP_PORTS.contains(port));
    is_lookup.then(|| (one.min(other), one.max(other)))
}
