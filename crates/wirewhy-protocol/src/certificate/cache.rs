//! Certificates read once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Certificate, PublicKey};

/// Larger encodings are read each time: they are rare, and would spend the bound.
const MAX_KEPT_LEN: usize = 16 * 1024;

/// Certificates by their encoding, so that a chain sent on every connection is read and kept once.
///
/// What it answers never depends on what it holds. It keeps at most twice `generation` certificates: when a generation is
/// full the one before it is dropped, so that those in use stay.
#[derive(Clone, PartialEq, Debug)]
pub struct Cache {
    generation: usize,
    young: HashSet<CachedCertificate, RandomState>,
    old: HashSet<CachedCertificate, RandomState>,
}

#[derive(Debug, Clone)]
struct CachedCertificate(Arc<Certificate>);

impl Borrow<[u8]> for CachedCertificate {
    fn borrow(&self) -> &[u8] {
        &self.0.der
    }
}

impl Hash for CachedCertificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.der.hash(state);
    }
}

impl PartialEq for CachedCertificate {
    fn eq(&self, other: &CachedCertificate) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for CachedCertificate {}

impl Cache {
    /// An empty cache of at most twice `generation` certificates.
    #[must_use]
    pub fn new(generation: usize) -> Cache {
        Cache {
            generation,
            young: HashSet::default(),
            old: HashSet::default(),
        }
    }

    /// The certificate of this encoding, read only if it is not held; then `verify` says whether a signature of its own may be
    /// verified with its key.
    pub fn read(
        &mut self,
        der: &[u8],
        verify: impl FnOnce(&PublicKey) -> bool,
    ) -> Arc<Certificate> {
        if let Some(held) = self.young.get(der) {
            return Arc::clone(&held.0);
        }
        let held = match self.old.take(der) {
            Some(held) => held,
            None => CachedCertificate(Arc::new(Certificate::read_and(der, verify))),
        };
        if der.len() <= MAX_KEPT_LEN && self.generation > 0 {
            if self.young.len() >= self.generation {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(held.clone());
        }
        held.0
    }

    /// How many certificates are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_bytes_are_read_once() {
        let mut cache = Cache::new(4);
        let first = cache.read(b"no certificate", |_| true);
        assert_eq!(first.facts, None);
        assert!(Arc::ptr_eq(
            &first,
            &cache.read(b"no certificate", |_| true)
        ));
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn what_is_in_use_outlives_a_flood() {
        let mut cache = Cache::new(4);
        let used = cache.read(b"used", |_| true);
        for n in 0..1000u32 {
            cache.read(&n.to_be_bytes(), |_| true);
            assert!(Arc::ptr_eq(&used, &cache.read(b"used", |_| true)));
            assert!(cache.len() <= 8);
        }
    }

    #[test]
    fn huge_ones_and_a_bound_of_none_keep_nothing() {
        let mut cache = Cache::new(4);
        cache.read(&vec![0; MAX_KEPT_LEN + 1], |_| true);
        assert!(cache.is_empty());
        let mut none = Cache::new(0);
        none.read(b"x", |_| true);
        assert!(none.is_empty());
    }
}
