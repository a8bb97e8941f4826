//! Servers that demand that a data connection resumes the TLS session of the control connection, as seen without secrets.

use wirewhy_flow::{Connection, Mark};
use wirewhy_protocol::{FtpFacts, FtpSealed, TlsFacts};

use super::{error_reply, ftp_session, is_sealed_ftp};
use crate::wording::socket;
use crate::{Confidence, Culprit, Facts, Finding, Role, Severity};

/// Lengths of the lines by which servers refuse, and the code: vsftpd, ProFTPD, FileZilla Server and its predecessor.
const REFUSALS: [(u16, u16); 4] = [(51, 522), (62, 425), (82, 425), (105, 450)];

/// What TLS adds to a line: of 1.3 the inner type and the tag (RFC 8446 section 5.2).
const ADDED_1_3: [u16; 1] = [17];
/// Of 1.2 nonce and tag of AES-GCM, and the tag of ChaCha20 (RFC 5288 section 3, RFC 7905 section 2).
const ADDED_1_2: [u16; 2] = [24, 16];

/// The length of an encrypted close_notify of TLS 1.3.
const CLOSE_NOTIFY: u16 = 19;

/// How long before the end of the data connection, and after it, the refusal is sent.
const NEAR: wirewhy_flow::Interval = wirewhy_flow::Interval::from_secs(2);

/// The end of a connection whose client made a whole TLS handshake without an attempt to resume a session, and whose server
/// closed without any data. `None` where it is another one.
#[must_use]
pub fn refused_unresumed(connection: &Connection) -> Option<Mark> {
    let tls = connection.app.as_deref()?.tls.as_deref()?;
    let hello = tls.client_hello.as_deref()?;
    let closed = connection.server.tcp.fin.is_some() || connection.server.tcp.counts.resets > 0;
    let unread = tls.secrets != wirewhy_protocol::Secrets::Used;
    let whole = || tls.is_established() && tls.resumed() == Some(false);
    // What few connections show comes first.
    let refused = closed && unread && sent_nothing(tls) && whole() && !hello.offers_resumption();
    refused.then_some(connection.last)
}

/// Whether the server sent no data behind the handshake: of TLS 1.3 tickets, all of one length, and a close_notify at most.
fn sent_nothing(tls: &TlsFacts) -> bool {
    if !tls.is_1_3() {
        return tls.server.application_data.count == 0;
    }
    let Some(finished) = tls.client.likely_finished else {
        return false;
    };
    let behind =
        tls.server.sealed.iter().filter(|record| {
            record.mark.time >= finished.mark.time && record.length != CLOSE_NOTIFY
        });
    if tls.server.application_data.count > 2 {
        return false;
    }
    let lengths: Vec<u16> = behind.map(|record| record.length).collect();
    let alike = lengths
        .windows(2)
        .all(|pair| matches!(pair, [one, other] if one == other));
    let all = u64::try_from(lengths.len()) == Ok(tls.server.application_data.count);
    all && alike && lengths.len() <= 2
}

/// The refusal on an encrypted control connection, found by its length, where a data connection that ended at `end`
/// (see [`refused_unresumed`]) had not resumed a session.
#[must_use]
pub fn unresumed_finding(
    control: &Connection,
    data_stream: u32,
    begun: Mark,
    end: Mark,
) -> Option<Finding> {
    let ftp = ftp_session(control).filter(|_| is_sealed_ftp(control))?;
    let tls = control.app.as_deref()?.tls.as_deref()?;
    let (record, code) = refusal(ftp, tls, begun, end)?;
    Some(Finding {
        code: error_reply::RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Likely,
        culprit: Culprit::new(Role::Client, control.client.address).at_most(Confidence::Likely),
        summary: format!(
            "{} likely answered a transfer with {code}, session reuse required: the client did not resume the TLS session of the \
             control connection on the data connection (stream {data_stream}), which the server closed without a byte; a record of \
             {} bytes is as long as that reply",
            socket(&control.server),
            record.length
        ),
        frames: vec![record.mark.frame, end.frame, begun.frame],
        facts: Facts::default()
            .with("code", code)
            .with("record_bytes", record.length)
            .with("data_stream", data_stream),
        consequence_of: None,
    })
}

fn refusal(ftp: &FtpFacts, tls: &TlsFacts, begun: Mark, end: Mark) -> Option<(FtpSealed, u16)> {
    let is_1_3 = tls.is_1_3();
    let near = ftp
        .sealed_replies
        .iter()
        .filter(|record| record.mark.time > begun.time && record.mark.time <= end.time.after(NEAR));
    near.filter_map(|record| Some((*record, refusal_of(is_1_3, record.length)?)))
        .next()
}

/// The code of the refusal that is as long as a record.
fn refusal_of(is_1_3: bool, length: u16) -> Option<u16> {
    let added: &[u16] = match is_1_3 {
        true => &ADDED_1_3,
        false => &ADDED_1_2,
    };
    let mut refusals = REFUSALS.iter();
    let fits = |(line, _): &&(u16, u16)| added.iter().any(|more| line + more == length);
    refusals.find(fits).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::refusal_of;

    #[test]
    fn a_refusal_is_known_by_its_length() {
        let vsftpd = "522 SSL connection failed: session reuse required\r\n".len();
        let vsftpd = u16::try_from(vsftpd).unwrap();
        assert_eq!(refusal_of(true, vsftpd + 17), Some(522));
        assert_eq!(refusal_of(false, vsftpd + 24), Some(522));
        // In the other version, and an ordinary reply.
        assert_eq!(refusal_of(true, vsftpd + 24), None);
        let done = u16::try_from("226 Directory send OK.\r\n".len()).unwrap();
        assert_eq!(refusal_of(true, done + 17), None);
        assert_eq!(refusal_of(false, done + 24), None);
    }
}
