//! What the connections of a capture have in common.

use std::sync::Arc;

use crate::DnsSeen;
use crate::certificate::{Allowance, Cache, Certificate};
use crate::tls::KeyLog;

/// So many certificates are kept twice over; larger captures read some again.
const CERTIFICATES: usize = 1 << 11;

/// How many DNS messages wait to be taken at most: more than one segment completes.
const MESSAGES: usize = 1 << 15;

/// What the connections of a capture share: the secrets to decrypt with, the certificates read so far, and the DNS messages
/// that connections carried until they are taken.
///
/// One pointer, to be lent to each [`Conversation`](crate::Conversation) while it reads.
#[derive(Clone, Debug, Default)]
pub struct CaptureContext(Option<Box<Shared>>);

#[derive(Clone, Debug)]
struct Shared {
    keys: KeyLog,
    certificates: Cache,
    allowance: Allowance,
    dns: Vec<DnsSeen>,
}

impl CaptureContext {
    /// A context with these secrets.
    #[must_use]
    pub fn new(keys: KeyLog) -> CaptureContext {
        let mut context = CaptureContext::default();
        if !keys.is_empty() {
            *context.keys_mut() = keys;
        }
        context
    }

    /// The secrets, to add to.
    pub fn keys_mut(&mut self) -> &mut KeyLog {
        &mut self.shared().keys
    }

    /// The secrets, where there are any.
    pub(crate) fn keys(&self) -> Option<&KeyLog> {
        self.0
            .as_ref()
            .map(|shared| &shared.keys)
            .filter(|keys| !keys.is_empty())
    }

    /// The certificate of this encoding, seen in a frame of this number.
    pub(crate) fn certificate(&mut self, der: &[u8], frame: u64) -> Arc<Certificate> {
        let Shared {
            certificates,
            allowance,
            ..
        } = self.shared();
        certificates.read(der, |key| allowance.checks(&key.algorithm, key.bits, frame))
    }

    /// Whether a chain seen in a frame of this number is to be followed: its signatures are within what is verified of a
    /// capture of that size.
    pub(crate) fn follows(&mut self, chain: &[Arc<Certificate>], frame: u64) -> bool {
        self.shared().allowance.follows(chain, frame)
    }

    /// How many chains of certificates were presented whose signatures were too many to be verified.
    #[must_use]
    pub fn not_followed(&self) -> u64 {
        let shared = self.0.as_ref();
        shared.map_or(0, |shared| shared.allowance.refused)
    }

    /// Whether DNS messages were read since they were taken last.
    #[must_use]
    #[inline]
    pub fn has_dns(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| !shared.dns.is_empty())
    }

    /// The DNS messages read since they were taken last, in order. Taken after each segment they are those of its
    /// connection.
    pub fn take_dns(&mut self) -> Vec<DnsSeen> {
        let shared = self.0.as_mut();
        shared.map_or_else(Vec::new, |shared| std::mem::take(&mut shared.dns))
    }

    /// Keeps a DNS message until it is taken. Only the latest ones are kept.
    pub(crate) fn note_dns(&mut self, seen: DnsSeen) {
        let dns = &mut self.shared().dns;
        if dns.len() >= MESSAGES {
            dns.clear();
        }
        dns.push(seen);
    }

    fn shared(&mut self) -> &mut Shared {
        self.0.get_or_insert_with(|| {
            Box::new(Shared {
                keys: KeyLog::new(),
                certificates: Cache::new(CERTIFICATES),
                allowance: Allowance::default(),
                dns: Vec::new(),
            })
        })
    }
}
