//! FTP (RFC 959, 2228, 2428, 4217): what its control connection shows.

pub(crate) mod error_reply;

use wirewhy_flow::Connection;
use wirewhy_protocol::FtpFacts;

/// Ports of control connections: FTP, and FTP over TLS from the start.
const CONTROL: [u16; 2] = [21, 990];

/// The session of a control connection. A greeting that may be one of SMTP counts where the port is one of FTP.
#[must_use]
pub fn ftp_session(connection: &Connection) -> Option<&FtpFacts> {
    let ftp = connection.app.as_deref()?.ftp.as_deref()?;
    let is_known = ftp.is_certain || CONTROL.contains(&connection.server.port);
    is_known.then_some(ftp)
}
