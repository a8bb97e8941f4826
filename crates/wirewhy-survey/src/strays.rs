//! Segments that came from an address that was not translated back, to be found by the connection they belong to.

use std::collections::VecDeque;
use std::net::IpAddr;

use wirewhy_detect::Finding;
use wirewhy_flow::{Connection, Unopened};
use wirewhy_packet::Seq;

use crate::detectors::rst::stray_segment::{self, Stray, StrayAnswer};
use crate::recent::{REMEMBERED, RecentTable};

/// The latest stray segments and the attempts without an answer, by the client.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    segments: RecentTable<(IpAddr, u16), Stray>,
    answers: RecentTable<(IpAddr, u16), StrayAnswer>,
    attempts: RecentTable<(IpAddr, u16), Attempt>,
    /// The same in their order, until there is an answer: masses of attempts cost less than in a table, and most captures have
    /// no such answer.
    unindexed: VecDeque<((IpAddr, u16), Attempt)>,
}

/// An attempt to open that nothing answered from the address it was sent to.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    server: (IpAddr, u16),
    isn: Seq,
}

impl Strays {
    /// Takes in one connection.
    pub(crate) fn note(&mut self, connection: &Connection) {
        if let Some(stray) = Stray::of(connection) {
            self.segments.insert(stray.client, stray);
        }
        if let Some(answer) = StrayAnswer::of(connection) {
            self.answers.insert(answer.client, answer);
            while let Some((client, attempt)) = self.unindexed.pop_front() {
                self.note_attempt(client, attempt);
            }
        }
        let client = (connection.client.address, connection.client.port);
        if let Some(isn) = connection.client.tcp.isn
            && !connection.server.was_seen()
        {
            let server = (connection.server.address, connection.server.port);
            self.note_attempt(client, Attempt { server, isn });
        }
    }

    /// Takes in an attempt that opened nothing: only those without any answer wait for one.
    pub(crate) fn note_unopened(&mut self, attempt: &Unopened) {
        if attempt.refused().is_some() {
            return;
        }
        let (server, isn) = (attempt.server(), attempt.isn());
        self.note_attempt(attempt.client(), Attempt { server, isn });
    }

    fn note_attempt(&mut self, client: (IpAddr, u16), attempt: Attempt) {
        if self.answers.is_empty() {
            if self.unindexed.len() >= REMEMBERED {
                self.unindexed.pop_front();
            }
            self.unindexed.push_back((client, attempt));
            return;
        }
        self.attempts.insert(client, attempt);
    }

    /// Whether a stray segment, or an answer from the wrong address, may bear on a connection of these ends.
    pub(crate) fn may_bear_on(&self, client: (IpAddr, u16), server: (IpAddr, u16)) -> bool {
        !self.segments.is_empty() && self.segments.contains_key(&client)
            || self.answer_between(client, server).is_some()
    }

    /// What a SYN-ACK from the wrong address means for a connection: for the attempt it answers, and for the stream it
    /// stands in.
    pub(crate) fn answer_for(&self, connection: &Connection) -> Option<Finding> {
        let client = (connection.client.address, connection.client.port);
        let server = (connection.server.address, connection.server.port);
        self.answer_between(client, server)
    }

    /// The same of a connection of which only the ends are known.
    #[inline]
    pub(crate) fn answer_between(
        &self,
        client: (IpAddr, u16),
        server: (IpAddr, u16),
    ) -> Option<Finding> {
        if self.answers.is_empty() {
            return None;
        }
        self.known_answer_between(client, server)
    }

    fn known_answer_between(
        &self,
        client: (IpAddr, u16),
        server: (IpAddr, u16),
    ) -> Option<Finding> {
        let answer = self.answers.get(&client)?;
        let attempt = self.attempts.get(&client)?;
        let belongs = attempt.isn.advance(1) == answer.ack && attempt.server != answer.server;
        let concerned = server == attempt.server || server == answer.server;
        (belongs && concerned).then(|| stray_segment::finding_of_answer(attempt.server, answer))
    }

    /// The stray segment that belongs to a connection which the client keeps with another address: same client and ports,
    /// and sequence numbers of this connection.
    pub(crate) fn of(&self, connection: &Connection) -> Option<&Stray> {
        let (client, server) = (&connection.client, &connection.server);
        let (isn, next) = (server.tcp.isn?, server.tcp.next?);
        let stray = self.segments.get(&(client.address, client.port))?;
        let fits = stray.server != (server.address, server.port)
            && connection.first.time <= stray.segment.time
            && stray.segment.time <= connection.last.time
            && stray.seq.is_after(isn)
            && stray.seq.distance_from(next) <= 65_535;
        fits.then_some(stray)
    }
}
