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
pub struct Library(Option<Box<Shelves>>);

#[derive(Clone, PartialEq, Debug)]
struct Shelves {
    keys: KeyLog,
    certificates: Cache,
}

impl Library {
    /// A library that holds these secrets.
    #[must_use]
    pub fn new(keys: KeyLog) -> Library {
        let mut library = Library::default();
        if !keys.is_empty() {
            *library.keys_mut() = keys;
        }
        library
    }

    /// The secrets, to add to.
    pub fn keys_mut(&mut self) -> &mut KeyLog {
        &mut self.shelves().keys
    }

    /// The secrets, where there are any.
    pub(crate) fn keys(&self) -> Option<&KeyLog> {
        self.0
            .as_ref()
            .map(|shelves| &shelves.keys)
            .filter(|keys| !keys.is_empty())
    }

    /// The certificate of this encoding.
    pub(crate) fn certificate(&mut self, der: &[u8]) -> Arc<Certificate> {
        self.shelves().certificates.read(der)
    }

    fn shelves(&mut self) -> &mut Shelves {
        self.0.get_or_insert_with(|| {
            Box::new(Shelves {
                keys: KeyLog::new(),
                certificates: Cache::new(CERTIFICATES),
            })
        })
    }
}
