//! A direction in plaintext that may change to TLS: nothing is known of its framing.

use crate::parser::{Parser, Position, Progress, Resume, Stage};
use crate::shared_state::SharedState;
use crate::types::{Framing, Input, Step, Unreadable};
use crate::upgrade::start_tls::Outcome;

/// Reads by the negotiation that both directions share.
#[derive(Clone, Debug)]
pub(crate) struct Plaintext;

impl Parser for Plaintext {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        match shared.upgrade.read(input.role, input.bytes, input.mark) {
            Outcome::Used(used) => Step::To(input.after(used)),
            Outcome::More => Step::More,
            Outcome::Wait => Step::Stall,
            Outcome::Over(used) => Step::Ends(input.after(used)),
            Outcome::Done => Step::Unreadable(Unreadable::Unframed),
        }
    }

    fn reads_framing(&self) -> bool {
        false
    }

    fn framing(&self, _position: Position, _shared: &SharedState) -> Framing {
        Framing::Unknown(Unreadable::Unframed)
    }

    fn resume(&mut self, own: Progress, peer: Progress, shared: &mut SharedState) -> Resume {
        if shared.upgrade.is_ready(own.role) {
            return Resume::Continue;
        }
        match peer.unreadable.is_some() || peer.stage == Stage::Framed {
            true => Resume::Stop(Unreadable::Unframed),
            false => Resume::Wait,
        }
    }
}
