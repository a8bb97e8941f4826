//! FTP (RFC 959, 2228, 2428, 4217): what its control connection shows.

pub(crate) mod error_reply;
mod resumption;

pub use error_reply::demands_resumption;
pub use resumption::{refused_unresumed, unresumed_finding};

use wirewhy_flow::Connection;
use wirewhy_protocol::{FtpFacts, Secrets, UpgradeProtocol, UpgradeVerdict};

/// The port of FTP over TLS from the start.
const IMPLICIT: u16 = 990;

/// Ports of control connections.
const CONTROL: [u16; 2] = [21, IMPLICIT];

/// The session of a control connection. A greeting that may be one of SMTP counts where the port is one of FTP.
#[must_use]
pub fn ftp_session(connection: &Connection) -> Option<&FtpFacts> {
    let ftp = connection.app.as_deref()?.ftp.as_deref()?;
    let is_known = ftp.is_certain || CONTROL.contains(&connection.server.port);
    is_known.then_some(ftp)
}

/// Whether a connection is a control connection whose commands are encrypted and not decrypted: TLS from the start on its port,
/// or after AUTH (RFC 4217).
#[must_use]
pub fn is_sealed_ftp(connection: &Connection) -> bool {
    let Some(app) = connection.app.as_deref() else {
        return false;
    };
    let Some(tls) = app.tls.as_deref() else {
        return false;
    };
    let agreed = app.upgrade.as_deref().is_some_and(|upgrade| {
        upgrade.protocol == UpgradeProtocol::Ftp && upgrade.verdict == UpgradeVerdict::Accepted
    });
    let is_control = agreed || connection.server.port == IMPLICIT;
    is_control && tls.is_established() && tls.secrets != Secrets::Used
}
