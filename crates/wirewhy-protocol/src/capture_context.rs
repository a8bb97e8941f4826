//! What the connections of a capture have in common.

use std::sync::Arc;

use crate::certificate::{Cache, Certificate};
use crate::tls::KeyLog;

/// So many certificates are kept twice over; larger captures read some again.
const CERTIFICATES: usize = 1 << 11;

/// What the connections of a capture share: the secrets to decrypt with, and the certificates read so far.
///
/// One pointer, to be lent to each [`Conversation`](crate::Conversation) while it reads.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CaptureContext(Option<Box<Shared>>);

#[derive(Clone, PartialEq, Debug)]
struct Shared {
    keys: KeyLog,
    certificates: Cache,
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

    /// The certificate of this encoding.
    pub(crate) fn certificate(&mut self, der: &[u8]) -> Arc<Certificate> {
        self.shared().certificates.read(der)
    }

    fn shared(&mut self) -> &mut Shared {
        self.0.get_or_insert_with(|| {
            Box::new(Shared {
                keys: KeyLog::new(),
                certificates: Cache::new(CERTIFICATES),
            })
        })
    }
}
