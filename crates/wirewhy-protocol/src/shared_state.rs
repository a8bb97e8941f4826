//! What the parsers of both directions of one connection share.

use crate::CaptureContext;
use crate::compact::{Compact, CompactReader, CompactWriter};
use crate::dns::Open;
use crate::exchanges::Exchanges;
use crate::ftp::FtpSession;
use crate::http2_streams::Http2Streams;
use crate::session::Refusal;
use crate::ssh::SshState;
use crate::tls::{Follow, Tls};
use crate::upgrade::UpgradeState;

/// What one direction must know of the other, and what they report together.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedState {
    pub(crate) exchanges: Exchanges,
    pub(crate) streams: Http2Streams,
    pub(crate) upgrade: UpgradeState,
    /// What a service said when it refused the session.
    pub(crate) refusal: Option<Box<Refusal>>,
    pub(crate) ssh: Option<Box<SshState>>,
    pub(crate) ftp: Option<Box<FtpSession>>,
    /// Whether the control connection of FTP goes on in what TLS carries, and is read there.
    pub(crate) ftp_inside: bool,
    pub(crate) tls: Option<Box<Follow>>,
    /// What was read of DNS.
    pub(crate) dns: Option<Box<Open>>,
    /// Lent while bytes are read, empty otherwise.
    pub(crate) context: CaptureContext,
}

impl SharedState {
    /// The TLS state of the connection, created on first use, and what it looks secrets and certificates up in.
    #[inline]
    pub(crate) fn tls(&mut self) -> Tls<'_> {
        Tls {
            follow: self.tls.get_or_insert_default(),
            context: &mut self.context,
        }
    }

    /// Reads with what the connections of a capture have in common: `context` is lent for as long.
    pub(crate) fn lend(&mut self, context: &mut CaptureContext) {
        std::mem::swap(context, &mut self.context);
    }
}

crate::compact!(declined SshState, FtpSession, Open);

impl Compact for SharedState {
    fn write(&self, to: &mut CompactWriter) {
        let SharedState {
            exchanges,
            streams,
            upgrade,
            refusal,
            ssh,
            ftp,
            ftp_inside,
            tls,
            dns,
            // Empty while nothing is read.
            context: _,
        } = self;
        exchanges.write(to);
        streams.write(to);
        upgrade.write(to);
        refusal.write(to);
        ssh.write(to);
        ftp.write(to);
        ftp_inside.write(to);
        tls.write(to);
        dns.write(to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<SharedState> {
        Some(SharedState {
            exchanges: Compact::read(from)?,
            streams: Compact::read(from)?,
            upgrade: Compact::read(from)?,
            refusal: Compact::read(from)?,
            ssh: Compact::read(from)?,
            ftp: Compact::read(from)?,
            ftp_inside: Compact::read(from)?,
            tls: Compact::read(from)?,
            dns: Compact::read(from)?,
            context: CaptureContext::default(),
        })
    }
}
