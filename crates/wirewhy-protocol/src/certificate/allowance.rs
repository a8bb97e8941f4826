//! How many signatures of certificates are verified: as many as suit the size of the capture. A check takes as long as tens to
//! hundreds of packets, and a chain asks for several.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Certificate, KeyAlgorithm};

/// Costs are in units of one check with an RSA key of 2,048 bits.
const RSA: u64 = 1;
const RSA_4096: u64 = 3;
const RSA_LARGER: u64 = 12;
const P256: u64 = 3;
const P384: u64 = 24;

/// What any capture may take, and what it may take in addition for each packet.
const FIXED: u64 = 48_000;
const EACH_PACKET: u64 = 1;

/// How many chains are remembered twice over.
const CHAINS: usize = 1 << 11;

/// What has been taken, and for what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance {
    taken: u64,
    /// Chains that were asked about lately, and whether they are followed.
    young: HashSet<u64, RandomState>,
    old: HashSet<u64, RandomState>,
    hashes: RandomState,
    /// Chains that are not followed.
    pub(crate) refused: u64,
}

impl Allowance {
    /// Whether a chain is to be followed: it was lately, or the capture, of which `packets` were read, may take one more.
    pub(crate) fn follows(&mut self, chain: &[Arc<Certificate>], packets: u64) -> bool {
        let mut key = self.hashes.build_hasher();
        for certificate in chain {
            let [a, b, c, d, e, f, g, h, ..] = certificate.sha256;
            key.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
        }
        let key = key.finish();
        if self.young.contains(&key) {
            return true;
        }
        if !self.old.remove(&key) && !self.take(cost_of_chain(chain), packets) {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        if self.young.len() >= CHAINS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
        true
    }

    /// Whether a check with a key may be made.
    pub(crate) fn checks(&mut self, key: &KeyAlgorithm, bits: Option<u32>, packets: u64) -> bool {
        self.take(cost(key, bits), packets)
    }

    fn take(&mut self, cost: u64, packets: u64) -> bool {
        let most = FIXED.saturating_add(packets.saturating_mul(EACH_PACKET));
        let is_within = self.taken.saturating_add(cost) <= most;
        if is_within {
            self.taken += cost;
        }
        is_within
    }
}

/// What following a chain may cost: for each certificate a check with the key of each that has its issuer's name, and with that
/// of a root, whose cost is not known and is taken to be that of the chain's dearest.
fn cost_of_chain(chain: &[Arc<Certificate>]) -> u64 {
    let facts = || {
        chain
            .iter()
            .filter_map(|certificate| certificate.facts.as_ref())
    };
    let pairs = facts().map(|below| {
        let above = facts().filter(|above| above.subject_der == below.issuer_der);
        above
            .map(|above| cost(&above.key.algorithm, above.key.bits))
            .sum::<u64>()
    });
    let root = facts().map(|facts| cost(&facts.key.algorithm, facts.key.bits));
    pairs.sum::<u64>() + root.max().unwrap_or(0)
}

fn cost(key: &KeyAlgorithm, bits: Option<u32>) -> u64 {
    match (key, bits.unwrap_or(0)) {
        (KeyAlgorithm::Rsa, ..=3_072) => RSA,
        (KeyAlgorithm::Rsa, 3_073..=4_096) => RSA_4096,
        (KeyAlgorithm::Rsa, _) => RSA_LARGER,
        (KeyAlgorithm::Ec(_), ..=256) | (KeyAlgorithm::Ed25519, _) => P256,
        (KeyAlgorithm::Ec(_), _) => P384,
        // Not verified.
        (KeyAlgorithm::Dsa | KeyAlgorithm::Ed448 | KeyAlgorithm::Other(_), _) => RSA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(number: u32) -> Vec<Arc<Certificate>> {
        vec![Arc::new(Certificate::read(&number.to_be_bytes()))]
    }

    #[test]
    fn a_chain_that_was_followed_costs_nothing_more() {
        let mut allowance = Allowance::default();
        assert!(allowance.take(FIXED - 1, 0));
        assert!(allowance.follows(&chain(1), 0));
        for _ in 0..10_000 {
            assert!(allowance.follows(&chain(1), 0));
        }
        assert_eq!(allowance.refused, 0);
    }

    #[test]
    fn the_allowance_grows_with_the_packets() {
        let mut allowance = Allowance::default();
        let p384 = KeyAlgorithm::Ec("secp384r1".into());
        let mut made = 0;
        while allowance.checks(&p384, Some(384), 0) {
            made += 1;
        }
        assert_eq!(made, FIXED / P384);
        let more = (0..10_000).filter(|packets| allowance.checks(&p384, Some(384), *packets));
        assert_eq!(u64::try_from(more.count()).unwrap(), 10_000 / P384);
    }
}
