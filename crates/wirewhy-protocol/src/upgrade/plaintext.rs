//! A direction in plaintext that may change to TLS: nothing is known of its framing. Where no change can follow, a control
//! connection of FTP is read on.

use crate::ftp::FtpRead;
use crate::parser::{Parser, Progress, ReaderPosition, ReaderStage, Resume};
use crate::shared_state::SharedState;
use crate::types::{Framing, Input, Role, Step, Unreadable};
use crate::upgrade::start_tls::ReadOutcome;

/// Reads by the negotiation that both directions share.
#[derive(Clone, Debug)]
pub(crate) struct Plaintext;

impl Parser for Plaintext {
    fn read(&mut self, input: Input<'_>, shared: &mut SharedState) -> Step {
        let outcome = shared.upgrade.read(input.role, input.bytes, input.mark);
        if let Some(ftp) = &mut shared.ftp {
            match outcome {
                ReadOutcome::Used(used) | ReadOutcome::Over(used) if used > 0 => {
                    let line = input.bytes.get(..used).unwrap_or(&[]);
                    ftp.line(input.role, line, input.mark);
                }
                // No change to TLS can follow: the session goes on.
                ReadOutcome::Done => match ftp.read(input.role, input.bytes, input.mark) {
                    FtpRead::Used(used) => return Step::To(input.after(used)),
                    FtpRead::More => return Step::More,
                    FtpRead::Done => {}
                },
                _ => {}
            }
        }
        match outcome {
            ReadOutcome::Used(used) => Step::To(input.after(used)),
            ReadOutcome::More => Step::More,
            ReadOutcome::Wait => Step::Stall,
            ReadOutcome::Over(used) => Step::Ends(input.after(used)),
            ReadOutcome::Done => Step::Unreadable(Unreadable::Unframed),
        }
    }

    fn stop(&mut self, _role: Role, _unread: &[u8], shared: &mut SharedState) {
        if let Some(ftp) = &mut shared.ftp {
            ftp.stop();
        }
    }

    fn reads_framing(&self) -> bool {
        false
    }

    fn framing(&self, _position: ReaderPosition, _shared: &SharedState) -> Framing {
        Framing::Unknown(Unreadable::Unframed)
    }

    fn resume(&mut self, own: Progress, peer: Progress, shared: &mut SharedState) -> Resume {
        if shared.upgrade.is_ready(own.role) {
            return Resume::Continue;
        }
        match peer.unreadable.is_some() || peer.stage == ReaderStage::Framed {
            true => Resume::Stop(Unreadable::Unframed),
            false => Resume::Wait,
        }
    }
}
