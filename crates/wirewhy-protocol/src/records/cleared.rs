//! A control connection of FTP that is back in the clear behind CCC (RFC 4217 section 12.3): its lines follow the last record.

use crate::ftp::FtpRead;
use crate::shared_state::SharedState;
use crate::types::{Input, Role, Step, Unreadable};

/// Whether bytes that are no record's header are a line of a control connection: a reply's code, or a command.
pub(super) fn follows(role: Role, bytes: &[u8], shared: &SharedState) -> bool {
    if shared.ftp.is_none() && !shared.ftp_inside {
        return false;
    }
    match (role, bytes) {
        (Role::Server, [a, b, c, b' ' | b'-', ..]) => {
            [a, b, c].iter().all(|byte| byte.is_ascii_digit())
        }
        // The commands of Telnet may stand before ABOR.
        (Role::Client, [255, 242..=255, ..]) => true,
        (Role::Client, [a, b, c, after, ..]) => {
            let ends = matches!(after, b' ' | b'\r' | b'\n') || after.is_ascii_alphabetic();
            ends && [a, b, c].iter().all(|byte| byte.is_ascii_alphabetic())
        }
        _ => false,
    }
}

/// Reads the next line, or passes what there is on to the session that was read inside TLS.
pub(super) fn read(input: Input<'_>, shared: &mut SharedState) -> Step {
    if let Some(ftp) = &mut shared.ftp {
        ftp.clear(input.mark);
        return match ftp.read(input.role, input.bytes, input.mark) {
            FtpRead::Used(used) => Step::To(input.after(used)),
            FtpRead::More => Step::More,
            FtpRead::Done => Step::Unreadable(Unreadable::Unframed),
        };
    }
    if let Some(tls) = &mut shared.tls {
        tls.keep_decrypted(input.role, input.bytes.to_vec(), input.mark);
    }
    Step::To(input.end())
}
