//! SSH before its encryption begins: identification strings, the offers of both sides, and DISCONNECT (RFC 4253).

mod facts;
mod offer;

use self::offer::Offer;
use crate::parser::{Parser, ReaderPosition};
use crate::protocol::{Protocol, Reading, any, begins_with};
use crate::session::{Refusal, line_end};
use crate::shared_state::SharedState;
use crate::types::{AppProtocol, Framing, Input, Role, Step, Transport, Unreadable};

pub use facts::{SshFacts, SshList, SshSide, Unshared};

/// The longest packet that every implementation takes (RFC 4253 section 6.1).
const MAX_PACKET: usize = 35_000;

/// The longest line before the first packet (section 4.2).
const MAX_LINE: usize = 255;

/// What OpenSSH's server says before its identification, or in place of it: that it has too many clients which have not
/// logged in, or that it refuses this one for what it did before.
const TURNED_AWAY: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];

pub(crate) static SSH: Protocol = Protocol {
    id: AppProtocol::Ssh,
    name: "SSH",
    transports: &[Transport::Tcp],
    first: None,
    probe: |role, bytes| match role {
        Role::Client => begins_with(bytes, b"SSH-"),
        Role::Server => any([
            begins_with(bytes, b"SSH-"),
            begins_with(bytes, TURNED_AWAY[0]),
            begins_with(bytes, TURNED_AWAY[1]),
        ]),
    },
    reading: Reading::Parser(|| Box::new(Reader::default())),
};

/// What both directions have shown so far.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct SshState {
    facts: SshFacts,
    /// The first offer, while the other side's is missing.
    offer: Option<(Role, Box<Offer>)>,
}

impl SshState {
    pub(crate) fn facts(&self) -> SshFacts {
        self.facts.clone()
    }

    #[cfg(test)]
    pub(crate) fn retained(&self) -> usize {
        size_of::<SshState>() + self.offer.as_ref().map_or(0, |(_, offer)| offer.retained())
    }
}

/// One direction.
#[derive(Clone, Debug, Default)]
struct Reader {
    identified: bool,
}

impl Parser for Reader {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        match self.identified {
            true => read_packet(input, shared),
            false => self.read_line(input, shared),
        }
    }

    fn reads_framing(&self) -> bool {
        false
    }

    fn framing(&self, _position: ReaderPosition, _shared: &SharedState) -> Framing {
        Framing::Unknown(Unreadable::Unframed)
    }
}

impl Reader {
    /// The identification string, or a line with which a server turns a client away.
    fn read_line(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        let end = match line_end(input.bytes, MAX_LINE) {
            Ok(end) => end,
            Err(step) => return step,
        };
        let line = input.bytes.get(..end).unwrap_or(&[]).trim_ascii_end();
        if !line.starts_with(b"SSH-") {
            let refusal = Refusal::new(AppProtocol::Ssh, b"", line, input.mark);
            shared.refusal = Some(Box::new(refusal));
            return Step::Unreadable(Unreadable::Unframed);
        }
        self.identified = true;
        let side = shared
            .ssh
            .get_or_insert_default()
            .facts
            .side_mut(input.role);
        side.identification = Some(String::from_utf8_lossy(line).into());
        // Version 1 has packets of another kind; 1.99 offers both (RFC 4253 section 5.1).
        match line.starts_with(b"SSH-2.") || line.starts_with(b"SSH-1.99-") {
            true => Step::To(input.after(end.saturating_add(1))),
            false => Step::Unreadable(Unreadable::Unframed),
        }
    }
}

const DISCONNECT: u8 = 1;
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// A packet that is not encrypted yet (RFC 4253 section 6): length, length of the padding, payload, padding.
fn read_packet(input: Input<'_>, shared: &mut SharedState) -> Step {
    let Some((&[a, b, c, d, padding, kind], rest)) = input.bytes.split_first_chunk::<6>() else {
        return Step::More;
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if !(2 + usize::from(padding)..=MAX_PACKET).contains(&length) {
        return Step::Unreadable(Unreadable::Malformed);
    }
    let after = input.after(length.saturating_add(4));
    let side = shared
        .ssh
        .get_or_insert_default()
        .facts
        .side_mut(input.role);
    match kind {
        NEWKEYS => {
            side.new_keys = Some(input.mark);
            return Step::Unreadable(Unreadable::Unframed);
        }
        DISCONNECT | KEXINIT => {}
        _ => return Step::To(after),
    }
    let Some(body) = rest.get(..length.saturating_sub(2)) else {
        return Step::More;
    };
    let body = body
        .get(..body.len().saturating_sub(usize::from(padding)))
        .unwrap_or(&[]);
    if kind == DISCONNECT {
        if let Some((&[a, b, c, d], text)) = body.split_first_chunk::<4>() {
            let description = offer::string(text).map_or(&[][..], |(text, _)| text);
            let code = u32::from_be_bytes([a, b, c, d]);
            let notice = Refusal::numbered(AppProtocol::Ssh, code, description, input.mark);
            match input.role {
                Role::Server => shared.refusal = Some(Box::new(notice)),
                Role::Client => side.disconnect = Some(notice),
            }
        }
        return Step::Unreadable(Unreadable::Unframed);
    }
    side.offered.get_or_insert(input.mark);
    let Some(offer) = Offer::read(body) else {
        return Step::Unreadable(Unreadable::Malformed);
    };
    let state = shared.ssh.get_or_insert_default();
    match state.offer.take() {
        Some((role, other)) if role != input.role => {
            state.facts.unshared = match input.role {
                Role::Client => offer::unshared(&offer, &other),
                Role::Server => offer::unshared(&other, &offer),
            };
        }
        _ => state.offer = Some((input.role, Box::new(offer))),
    }
    Step::To(after)
}

#[cfg(test)]
mod tests;
