//! What connections that are over were kept in. The next ones take their place, in memory that was used just now, without a
//! call to the allocator.

use super::Healthy;
use super::alone::LoneSegment;
use super::brief::Kept;
use crate::Connection;
use crate::brief::Brief;
use crate::observe::Scratch;

/// What a connection that was handed over was kept in.
#[derive(Debug)]
pub struct Spent(Kind);

#[derive(Debug)]
enum Kind {
    Connection(Box<Connection>),
    Brief(Box<Kept>),
}

impl From<Box<Connection>> for Spent {
    fn from(connection: Box<Connection>) -> Spent {
        Spent(Kind::Connection(connection))
    }
}

impl From<Healthy> for Spent {
    fn from(healthy: Healthy) -> Spent {
        Spent(Kind::Brief(healthy.into_kept()))
    }
}

/// A few of each.
#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "they come in boxes, and are taken in them again"
)]
pub(super) struct Spare {
    connections: Vec<Box<Connection>>,
    scratch: Vec<Box<Scratch>>,
    briefs: Vec<Box<Kept>>,
    /// Whether new ones are made without room for what most need: many may be kept at once, and idle.
    saves_memory: bool,
}

/// How many are kept of each: more than end between two packets, as a rule.
const KEPT: usize = 256;

impl Spare {
    /// From now on makes new ones without room for what most need.
    pub(super) fn save_memory(&mut self) {
        self.saves_memory = true;
    }

    /// A connection that need not be new.
    pub(super) fn connection(&mut self) -> Option<Box<Connection>> {
        self.connections.pop()
    }

    /// Notes that need not be new.
    pub(super) fn scratch(&mut self) -> Box<Scratch> {
        self.scratch.pop().unwrap_or_default()
    }

    /// Room for the packets of a connection that begins with this SYN.
    pub(super) fn brief(&mut self, syn: LoneSegment) -> Box<Kept> {
        if let Some(mut spare) = self.briefs.pop() {
            spare.syn = syn;
            spare.charged = 0;
            return spare;
        }
        let brief = if self.saves_memory {
            Brief::without_room()
        } else {
            Brief::with_room()
        };
        Box::new(Kept {
            syn,
            brief,
            charged: 0,
        })
    }

    pub(super) fn keep_brief(&mut self, spent: Box<Kept>) {
        if self.briefs.len() < KEPT {
            self.briefs.push(spent);
        }
    }

    pub(super) fn keep(&mut self, spent: Spent) {
        match spent.0 {
            Kind::Connection(connection) if self.connections.len() < KEPT => {
                self.connections.push(connection);
            }
            Kind::Connection(_) => {}
            Kind::Brief(brief) => self.keep_brief(brief),
        }
    }

    pub(super) fn keep_notes(&mut self, spent: Box<Scratch>) {
        if self.scratch.len() < KEPT {
            self.scratch.push(spent);
        }
    }
}
