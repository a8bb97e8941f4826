//! Connections that worked, to be compared with one between the same hosts that fell silent meanwhile.

use std::net::IpAddr;

use wirewhy_detect::LargeUnanswered;
use wirewhy_flow::{Connection, Healthy, Mark, Side};

use crate::latest::Latest;
use crate::recent::RecentTable;

/// The latest connections of two hosts in which both were heard, by client and server.
#[derive(Debug, Default)]
pub(crate) struct Alive(RecentTable<(IpAddr, IpAddr), Latest<Worked>>);

/// A connection whose data got across.
#[derive(Clone, Copy, Debug)]
struct Worked {
    stream: u32,
    first: Mark,
    /// When both sides had been heard last.
    last: Mark,
    /// The largest IP packet of each side that was acknowledged, in bytes: the client's, then the server's.
    delivered: [u32; 2],
}

impl Worked {
    /// One of this stream and first frame, with the last packets of client and server.
    fn new((stream, first): (u32, Mark), last: [Mark; 2], delivered: [u32; 2]) -> Worked {
        let [asked, answered] = last;
        Worked {
            stream,
            first,
            last: if asked.time < answered.time {
                asked
            } else {
                answered
            },
            delivered,
        }
    }
}

/// How many are kept of one pair of hosts.
const KEPT: usize = 8;

impl Alive {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, connection: &Connection) {
        let (client, server) = (&connection.client, &connection.server);
        let (Some(asked), Some(answered)) = (client.last, server.last) else {
            return;
        };
        if client.counts.payload_packets == 0 || server.counts.payload_packets == 0 {
            return;
        }
        let delivered = [client, server].map(|side| side.tcp.delivery.largest_delivered);
        let begun = (connection.stream, connection.first);
        let worked = Worked::new(begun, [asked, answered], delivered);
        self.0
            .entry((client.address, server.address))
            .add(worked, KEPT);
    }

    /// The same of one that went well.
    pub(crate) fn note_healthy(&mut self, healthy: &Healthy) {
        let begun = (healthy.stream(), healthy.first());
        let worked = Worked::new(begun, healthy.last(), healthy.largest_delivered());
        let hosts = (healthy.client().0, healthy.server().0);
        self.0.entry(hosts).add(worked, KEPT);
    }

    /// The stream of another connection between the same hosts in which packets got across while these large ones did not,
    /// none of them as large.
    pub(crate) fn beside(&self, connection: &Connection, lost: LargeUnanswered) -> Option<u32> {
        let hosts = (connection.client.address, connection.server.address);
        let delivered = |worked: &Worked| {
            let [client, server] = worked.delivered;
            match lost.from {
                Side::Client => client,
                Side::Server => server,
            }
        };
        let others = self.0.get(&hosts)?;
        if others.iter().any(|other| delivered(other) >= lost.bytes) {
            return None;
        }
        let mut others = others.iter();
        others
            .find(|other| {
                other.stream != connection.stream
                    && other.last.time > lost.first.time
                    && other.first.time < connection.last.time
            })
            .map(|other| other.stream)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::diagnose_all;

    /// The root cause of a connection whose full segments go unanswered, beside another one that carries `bytes`.
    fn root_beside(bytes: u32, at: u32) -> &'static str {
        let end = 1 + bytes;
        let diagnosis = diagnose_all(&format!(
            "0.000 #1 > S 0:0(0) <mss 1460>
             0.020 #1 < SA 0:0(0) ack 1 <mss 1460>
             0.021 #1 > A 1:1(0) ack 1
             1.000 #1 > A 1:1461(1460) ack 1
             1.300 #1 > A 1:1461(1460) ack 1
             1.900 #1 > A 1:1461(1460) ack 1
             3.100 #1 > A 1:1461(1460) ack 1
             {at}.000 #2 > S 0:0(0) <mss 1460>
             {at}.020 #2 < SA 0:0(0) ack 1 <mss 1460>
             {at}.021 #2 > A 1:1(0) ack 1
             {at}.030 #2 > PA 1:{end}({bytes}) ack 1
             {at}.050 #2 < PA 1:11(10) ack {end}
             {at}.060 #2 > FA {end}:{end}(0) ack 11
             {at}.080 #2 < FA 11:11(0) ack {}
             {at}.100 #2 > A {}:{}(0) ack 12
             5.400 #1 > A 1:1461(1460) ack 1
             40.0 end",
            end + 1,
            end + 1,
            end + 1
        ));
        let silent = diagnosis
            .iter()
            .find(|diagnosis| diagnosis.connection.stream == 0)
            .unwrap();
        silent.root_cause().unwrap().code
    }

    #[test]
    fn small_packets_that_pass_meanwhile_make_it_a_black_hole() {
        assert_eq!(root_beside(100, 4), "tcp.mtu-blackhole");
    }

    #[test]
    fn large_packets_that_pass_or_another_time_do_not() {
        assert_eq!(root_beside(1460, 4), "tcp.peer-vanished");
        assert_eq!(root_beside(100, 20), "tcp.peer-vanished");
    }
}
