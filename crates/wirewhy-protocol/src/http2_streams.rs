//! HTTP/2 streams as an observer sees them without the headers (RFC 9113 section 5.1).

use std::collections::BTreeMap;

use crate::exchanges::Tally;
use crate::http_facts::Awaiting;
use crate::types::{Framing, Mark, Role, Unfinished, Unreadable, What};

/// The most streams kept at once; endpoints usually allow 100 to 250.
const MAX_OPEN: usize = 1024;

/// The streams that are open.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Streams {
    open: BTreeMap<u32, Stream>,
    /// The highest stream the client has begun: lower ones that are not open are over.
    highest: u32,
    /// Set where streams can no longer be followed.
    unreadable: Option<Unreadable>,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Stream {
    client: Half,
    server: Half,
}

/// One direction of a stream.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Half {
    #[default]
    Idle,
    Begun {
        begun: Mark,
        received: u64,
    },
    Ended {
        at: Mark,
    },
}

impl Half {
    fn is_over(self) -> bool {
        matches!(self, Half::Ended { .. })
    }
}

impl Streams {
    /// A complete HEADERS frame.
    pub(crate) fn headers(&mut self, role: Role, id: u32, begun: Mark, tally: &mut Tally) {
        if self.unreadable.is_some() || (id <= self.highest && !self.open.contains_key(&id)) {
            return;
        }
        if role == Role::Client {
            self.highest = self.highest.max(id);
        }
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&id) {
            self.unreadable = Some(Unreadable::TooMuch);
            self.open = BTreeMap::new();
            return;
        }
        let stream = self.open.entry(id).or_default();
        let sent = match stream.client {
            Half::Ended { at } => Some(at),
            Half::Idle | Half::Begun { .. } => None,
        };
        let half = stream.half(role);
        if *half == Half::Idle {
            *half = Half::Begun { begun, received: 0 };
            match role {
                Role::Client => tally.requests += 1,
                Role::Server => tally.answered(None, sent, begun, None),
            }
        }
    }

    /// A complete DATA frame.
    pub(crate) fn data(&mut self, role: Role, id: u32, length: u64) {
        if let Some(stream) = self.open.get_mut(&id)
            && let Half::Begun { received, .. } = stream.half(role)
        {
            *received = received.saturating_add(length);
        }
    }

    /// A complete frame with END_STREAM.
    pub(crate) fn end(&mut self, role: Role, id: u32, at: Mark) {
        if let Some(stream) = self.open.get_mut(&id) {
            *stream.half(role) = Half::Ended { at };
            if stream.client.is_over() && stream.server.is_over() {
                self.open.remove(&id);
            }
        }
    }

    /// RST_STREAM, by either side.
    pub(crate) fn reset(&mut self, id: u32) {
        self.open.remove(&id);
        self.highest = self.highest.max(id);
    }

    /// One direction cannot be followed, so resets and ends may go unseen.
    pub(crate) fn stop(&mut self) {
        self.unreadable.get_or_insert(Unreadable::Gap);
        self.open = BTreeMap::new();
    }

    /// Where a direction stands that has no frame unfinished.
    pub(crate) fn framing(&self, role: Role) -> Framing {
        if let Some(reason) = self.unreadable {
            return Framing::Unknown(reason);
        }
        let unfinished = self.open.iter().find_map(|(&id, stream)| {
            let half = match role {
                Role::Client => stream.client,
                Role::Server => stream.server,
            };
            match half {
                Half::Begun { begun, received } => Some(Unfinished {
                    what: What::Http2Stream {
                        stream: id,
                        received,
                    },
                    begun,
                }),
                Half::Idle | Half::Ended { .. } => None,
            }
        });
        unfinished.map_or(Framing::Boundary, Framing::Inside)
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        // A tree's nodes are at least half full.
        self.open.len() * 2 * (size_of::<Stream>() + size_of::<u32>())
    }

    /// The oldest stream whose request is complete and whose answer has not begun.
    pub(crate) fn awaiting(&self) -> Option<Awaiting> {
        self.open
            .values()
            .find_map(|stream| match (stream.client, stream.server) {
                (Half::Ended { at }, Half::Idle) => Some(Awaiting {
                    request: None,
                    sent: at,
                }),
                _ => None,
            })
    }
}

impl Stream {
    fn half(&mut self, role: Role) -> &mut Half {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}
