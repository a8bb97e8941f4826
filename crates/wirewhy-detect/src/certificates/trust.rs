//! Whom a chain of certificates is held against.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use indexmap::IndexMap;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use wirewhy_protocol::Certificate;

use super::path::{Path, path_of};

/// How many chains are remembered. Captures repeat the same few.
const REMEMBERED: usize = 4_096;

/// The certificates of a chain, by their SHA-256.
type ChainKey = Box<[[u8; 32]]>;

/// Roots that a chain may end in.
///
/// Chains that were looked at are remembered, up to a bound; what is answered never depends on that.
#[derive(Clone)]
pub struct TrustStore {
    anchors: Arc<[TrustAnchor<'static>]>,
    /// Roots as certificates, where they were given so: a server may send one of them as its own.
    given: Arc<[CertificateDer<'static>]>,
    is_given: bool,
    known: Arc<Mutex<IndexMap<ChainKey, Arc<Path>>>>,
}

/// A certificate of a trust store that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnusableRoot {
    /// Which one, counted from 1.
    pub index: usize,
    /// Why, in words.
    pub reason: String,
}

impl fmt::Display for UnusableRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}: {}", self.index, self.reason)
    }
}

impl TrustStore {
    /// The roots that Mozilla trusts for servers, as built in.
    #[must_use]
    pub fn mozilla() -> TrustStore {
        static MOZILLA: LazyLock<TrustStore> = LazyLock::new(|| {
            TrustStore::new(
                webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
                Arc::from([]),
                false,
            )
        });
        MOZILLA.clone()
    }

    /// The certificates of a PEM file (RFC 7468). Other sections are passed over; what cannot be used is reported beside the
    /// store, which may be empty.
    #[must_use]
    pub fn from_pem(text: &[u8]) -> (TrustStore, Vec<UnusableRoot>) {
        let mut anchors = Vec::new();
        let mut given = Vec::new();
        let mut unusable = Vec::new();
        for (index, root) in CertificateDer::pem_slice_iter(text).enumerate() {
            let index = index + 1;
            match root.map_err(|error| reason(&error)).and_then(|root| {
                let anchor = webpki::anchor_from_trusted_cert(&root)
                    .map(|anchor| anchor.to_owned())
                    .map_err(|error| format!("not an X.509 certificate ({error})"))?;
                Ok((root, anchor))
            }) {
                Ok((root, anchor)) => {
                    given.push(root);
                    anchors.push(anchor);
                }
                Err(reason) => unusable.push(UnusableRoot { index, reason }),
            }
        }
        (
            TrustStore::new(anchors.into(), given.into(), true),
            unusable,
        )
    }

    /// How many roots it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Whether it was given: then it says what the clients trust. The built-in roots only say what the public does.
    pub(crate) fn is_given(&self) -> bool {
        self.is_given
    }

    /// Where a chain leads, leaf first.
    pub(crate) fn path(&self, chain: &[Arc<Certificate>]) -> Arc<Path> {
        let key: ChainKey = chain.iter().map(|certificate| certificate.sha256).collect();
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = known().get(&key) {
            return Arc::clone(path);
        }
        let path = Arc::new(path_of(chain, &self.anchors, &self.given));
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, Arc::clone(&path));
        path
    }

    fn new(
        anchors: Arc<[TrustAnchor<'static>]>,
        given: Arc<[CertificateDer<'static>]>,
        is_given: bool,
    ) -> TrustStore {
        TrustStore {
            anchors,
            given,
            is_given,
            known: Arc::default(),
        }
    }
}

impl Default for TrustStore {
    fn default() -> TrustStore {
        TrustStore::mozilla()
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("anchors", &self.anchors.len())
            .field("is_given", &self.is_given)
            .finish_non_exhaustive()
    }
}

fn reason(error: &pem::Error) -> String {
    format!("damaged PEM ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mozilla_trusts_more_than_a_hundred() {
        assert!(TrustStore::mozilla().len() > 100);
        assert!(!TrustStore::mozilla().is_given());
    }

    #[test]
    fn what_is_good_of_a_file_is_kept() {
        let key = rcgen::KeyPair::generate().unwrap();
        let root = rcgen::CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem();
        let text = format!(
            "# roots\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{root}{}",
            key.serialize_pem()
        );
        let (store, unusable) = TrustStore::from_pem(text.as_bytes());
        assert_eq!(store.len(), 1);
        assert!(store.is_given());
        assert_eq!(unusable.len(), 1, "{unusable:?}");
        assert_eq!(unusable[0].index, 1);
    }

    #[test]
    fn a_file_without_certificates_gives_an_empty_store() {
        let (store, unusable) = TrustStore::from_pem(b"no certificate here");
        assert!(store.is_empty() && unusable.is_empty());
    }
}
