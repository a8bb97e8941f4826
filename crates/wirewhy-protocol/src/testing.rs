//! Conversations for tests: turns of bytes, fed whole or in pieces.

use wirewhy_packet::Timestamp;

use crate::types::Role::{self, Client, Server};
use crate::{AppFacts, CaptureContext, Conversation};

/// What one side says before the other goes on.
pub(crate) type Turn = (Role, Vec<u8>);

/// A piece of a turn, as a segment carries it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) role: Role,
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
    /// The turn it belongs to, from 1: its frame number, and its time in seconds.
    pub(crate) turn: u64,
}

pub(crate) fn client(bytes: impl AsRef<[u8]>) -> Turn {
    (Client, bytes.as_ref().to_vec())
}

pub(crate) fn server(bytes: impl AsRef<[u8]>) -> Turn {
    (Server, bytes.as_ref().to_vec())
}

/// One piece a turn.
pub(crate) fn pieces(turns: &[Turn]) -> Vec<Piece> {
    let mut ends = [0_u64; 2];
    let mut pieces = Vec::new();
    for (turn, (role, bytes)) in (1..).zip(turns) {
        let end = &mut ends[usize::from(*role == Server)];
        pieces.push(Piece {
            role: *role,
            at: *end,
            bytes: bytes.clone(),
            turn,
        });
        *end += bytes.len() as u64;
    }
    pieces
}

/// The pieces cut into segments of `size` bytes.
pub(crate) fn segments(turns: &[Turn], size: usize) -> Vec<Piece> {
    let cut = |piece: Piece| {
        let chunks: Vec<_> = piece.bytes.chunks(size).map(<[u8]>::to_vec).collect();
        (0..).zip(chunks).map(move |(index, bytes)| Piece {
            at: piece.at + index * size as u64,
            bytes,
            ..piece.clone()
        })
    };
    pieces(turns).into_iter().flat_map(cut).collect()
}

pub(crate) fn feed(conversation: &mut Conversation, piece: &Piece) {
    feed_with(conversation, piece, &mut CaptureContext::default());
}

pub(crate) fn feed_with(
    conversation: &mut Conversation,
    piece: &Piece,
    context: &mut CaptureContext,
) {
    let time = Timestamp::from_secs_nanos(i64::try_from(piece.turn).unwrap(), 0);
    match piece.role {
        Client => conversation.client_data(piece.at, &piece.bytes, 0, piece.turn, time, context),
        Server => conversation.server_data(piece.at, &piece.bytes, 0, piece.turn, time, context),
    };
}

pub(crate) fn close(conversation: &mut Conversation, turns: &[Turn]) {
    let total = |wanted: Role| {
        turns
            .iter()
            .filter(|(role, _)| *role == wanted)
            .map(|(_, bytes)| bytes.len() as u64)
            .sum()
    };
    conversation.server_closed(total(Server), &mut CaptureContext::default());
    conversation.client_closed(total(Client), &mut CaptureContext::default());
}

/// The facts while the connection is open.
pub(crate) fn open_facts(turns: &[Turn]) -> AppFacts {
    let mut conversation = Conversation::new();
    for piece in pieces(turns) {
        feed(&mut conversation, &piece);
    }
    conversation.facts()
}

/// The facts once both sides have closed.
pub(crate) fn closed_facts(turns: &[Turn]) -> AppFacts {
    facts_of(&pieces(turns), turns)
}

/// The facts of `turns` that arrived as `pieces`, once both sides have closed.
pub(crate) fn facts_of(pieces: &[Piece], turns: &[Turn]) -> AppFacts {
    let mut conversation = Conversation::new();
    for piece in pieces {
        feed(&mut conversation, piece);
    }
    close(&mut conversation, turns);
    conversation.facts()
}
