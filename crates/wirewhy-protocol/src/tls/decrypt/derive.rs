//! Keys from secrets: HKDF of TLS 1.3 (RFC 8446 section 7.1), the PRF of those before (RFC 5246 section 5, RFC 2246
//! section 5).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384};

/// A hash of the key derivation, or of a MAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha384,
}

impl Hash {
    /// Its output in bytes.
    pub(crate) fn length(self) -> usize {
        match self {
            Hash::Md5 => 16,
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }

    /// The HMAC of the parts, one after the other.
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
        match self {
            Hash::Md5 => mac::<Hmac<Md5>>(key, parts),
            Hash::Sha1 => mac::<Hmac<Sha1>>(key, parts),
            Hash::Sha256 => mac::<Hmac<Sha256>>(key, parts),
            Hash::Sha384 => mac::<Hmac<Sha384>>(key, parts),
        }
    }

    /// HKDF-Expand-Label with an empty context.
    pub(crate) fn expand_label(
        self,
        secret: &[u8],
        label: &[u8],
        length: usize,
    ) -> Option<Vec<u8>> {
        const PREFIX: &[u8] = b"tls13 ";
        let mut info = u16::try_from(length).ok()?.to_be_bytes().to_vec();
        info.push(u8::try_from(PREFIX.len() + label.len()).ok()?);
        info.extend_from_slice(PREFIX);
        info.extend_from_slice(label);
        info.push(0);
        let mut output = vec![0; length];
        match self {
            Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret)
                .ok()?
                .expand(&info, &mut output)
                .ok()?,
            Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret)
                .ok()?
                .expand(&info, &mut output)
                .ok()?,
            Hash::Md5 | Hash::Sha1 => return None,
        }
        Some(output)
    }

    /// `P_hash` of RFC 5246 section 5.
    fn stretch(self, secret: &[u8], seed: &[&[u8]], length: usize) -> Option<Vec<u8>> {
        let mut output = Vec::with_capacity(length + self.length());
        let mut a = self.hmac(secret, seed)?;
        while output.len() < length {
            let mut parts = vec![a.as_slice()];
            parts.extend_from_slice(seed);
            output.extend(self.hmac(secret, &parts)?);
            a = self.hmac(secret, &[&a])?;
        }
        output.truncate(length);
        Some(output)
    }
}

/// The pseudorandom function of a version before 1.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Prf {
    /// Of TLS 1.0 and 1.1: MD5 and SHA-1 at once.
    Md5Sha1,
    /// Of TLS 1.2, with the suite's hash.
    Tls12(Hash),
}

impl Prf {
    /// The key block (RFC 5246 section 6.3).
    pub(super) fn key_block(
        self,
        master: &[u8],
        server_random: &[u8],
        client_random: &[u8],
        length: usize,
    ) -> Option<Vec<u8>> {
        let seed: [&[u8]; 3] = [b"key expansion", server_random, client_random];
        match self {
            Prf::Tls12(hash) => hash.stretch(master, &seed, length),
            Prf::Md5Sha1 => {
                // The halves overlap by a byte where the length is odd (RFC 2246 section 5).
                let half = master.len().div_ceil(2);
                let left = master.get(..half)?;
                let right = master.get(master.len() - half..)?;
                let mut output = Hash::Md5.stretch(left, &seed, length)?;
                for (byte, other) in output
                    .iter_mut()
                    .zip(Hash::Sha1.stretch(right, &seed, length)?)
                {
                    *byte ^= other;
                }
                Some(output)
            }
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}
