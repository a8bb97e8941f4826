//! How many connections, which, when, from where.

use std::net::IpAddr;

use wirewhy_flow::Transport;
use wirewhy_packet::Timestamp;

use super::few::Few;
use super::instance::Instance;
use super::stream::StreamId;
use crate::lookup;

/// How many streams are named.
const MAX_STREAMS: usize = 6;

/// How many clients are named.
const MAX_CLIENTS: usize = 3;

/// How many names of servers are listed.
const MAX_NAMES: usize = 3;

/// How many characters of a name are kept: a host name has 255 bytes at most (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// How many connections, which, when, from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    /// The first of them, each with its place among all connections of the recording.
    streams: Few<(u64, StreamId), MAX_STREAMS>,
    /// When the first of them began.
    pub(crate) first: Timestamp,
    /// When the last of them began.
    pub(crate) last: Timestamp,
    /// Some of the clients, each with the place of its first connection.
    clients: Few<(u64, IpAddr), MAX_CLIENTS>,
    /// Whether there are others.
    pub(crate) more_clients: bool,
    /// Some of the names the clients asked for. Text from the wire.
    pub(crate) names: Vec<Box<str>>,
    /// Whether there are others.
    pub(crate) more_names: bool,
    /// Those whose lookup was late or failed.
    pub(crate) waited: Option<Box<Waited>>,
}

/// Connections that lost something by a lookup.
#[derive(Clone, Debug)]
pub(crate) struct Waited {
    /// How many.
    pub(crate) connections: u64,
    /// The stream of the first of them, and its place among all connections of the recording.
    pub(crate) first: (u64, StreamId),
    /// What it lost. Has text from the wire.
    pub(crate) sentence: String,
}

impl Tally {
    /// Counts one connection, the `place`th of the recording.
    pub(super) fn count(&mut self, instance: &Instance<'_>, place: u64) {
        self.streams.add((place, instance.stream));
        self.spread(instance.begun, instance.begun);
        self.connections += 1;
        if let Some(name) = instance.name.as_deref().filter(|_| !self.more_names) {
            let name: String = name.chars().take(MAX_NAME).collect();
            self.add_name(name.into());
        }
        self.add_client(place, instance.client);
        if let Some(sentence) = instance.looked_up.and_then(lookup::sentence) {
            self.add_waited(&Waited {
                connections: 1,
                first: (place, instance.stream),
                sentence,
            });
        }
    }

    fn add_waited(&mut self, other: &Waited) {
        let Some(waited) = &mut self.waited else {
            self.waited = Some(Box::new(other.clone()));
            return;
        };
        let connections = waited.connections + other.connections;
        if other.first < waited.first {
            **waited = other.clone();
        }
        waited.connections = connections;
    }

    /// Counts those of another tally as well.
    pub(super) fn merge(&mut self, other: &Tally) {
        if other.connections == 0 {
            return;
        }
        self.spread(other.first, other.last);
        self.connections += other.connections;
        for stream in other.streams.iter() {
            self.streams.add(stream);
        }
        for (place, client) in other.clients.iter() {
            self.add_client(place, client);
        }
        other
            .names
            .iter()
            .for_each(|name| self.add_name(name.clone()));
        if let Some(waited) = &other.waited {
            self.add_waited(waited);
        }
        self.more_clients |= other.more_clients;
        self.more_names |= other.more_names;
    }

    fn spread(&mut self, first: Timestamp, last: Timestamp) {
        if self.connections == 0 || first < self.first {
            self.first = first;
        }
        if self.connections == 0 || last > self.last {
            self.last = last;
        }
    }

    fn add_client(&mut self, place: u64, client: IpAddr) {
        if self.more_clients && self.clients.has_no_room_for(&(place, client)) {
            return;
        }
        let is_known = |(first, known): (u64, IpAddr)| known == client && first <= place;
        if self.clients.iter().any(is_known) {
            return;
        }
        self.clients.take(|(_, known)| *known == client);
        self.more_clients |= self.clients.add((place, client)).is_some();
    }

    fn add_name(&mut self, name: Box<str>) {
        if self.more_names || name.is_empty() || self.names.contains(&name) {
            return;
        }
        if self.names.len() < MAX_NAMES {
            self.names.push(name);
        } else {
            self.more_names = true;
        }
    }

    /// The one name by which every client asked for it, where there is one.
    pub(super) fn only_name(&self) -> Option<&str> {
        match self.names.as_slice() {
            [name] if !self.more_names => Some(name),
            _ => None,
        }
    }

    /// Whether all of them are of one client.
    pub(super) fn is_only_of(&self, client: IpAddr) -> bool {
        let mut clients = self.clients();
        clients.next() == Some(client) && clients.next().is_none() && !self.more_clients
    }

    /// The clients that are named, in the order of their first connections.
    pub(crate) fn clients(&self) -> impl Iterator<Item = IpAddr> {
        self.clients.iter().map(|(_, client)| client)
    }

    /// The streams that are named, in ascending order.
    pub(crate) fn streams(&self) -> Vec<StreamId> {
        let mut streams: Vec<StreamId> = self.streams.iter().map(|(_, stream)| stream).collect();
        streams.sort_unstable();
        streams
    }

    /// The stream of the first connection counted, which is the one the example is about.
    pub(crate) fn first_stream(&self) -> StreamId {
        let none = StreamId {
            transport: Transport::Tcp,
            number: 0,
        };
        self.streams
            .iter()
            .next()
            .map_or(none, |(_, stream)| stream)
    }
}
