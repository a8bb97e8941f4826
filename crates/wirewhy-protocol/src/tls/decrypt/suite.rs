//! What protects the records of a cipher suite.

use tls_parser::{
    TlsCipherEnc, TlsCipherEncMode, TlsCipherKx, TlsCipherMac, TlsCipherSuite, TlsPRF,
};

use super::derive::Hash;
use crate::tls::{CipherSuite, ProtocolVersion};

/// What protects the records of a cipher suite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Suite {
    pub(crate) cipher: Cipher,
    /// Of the key derivation of TLS 1.2 and 1.3.
    pub(crate) hash: Hash,
    pub(crate) key_length: usize,
    /// It is one of TLS 1.3, and of no version before.
    pub(crate) tls13: bool,
}

/// An algorithm that protects records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cipher {
    Aead(Aead),
    /// AES-CBC with a MAC of this hash.
    Cbc(Hash),
    /// No encryption, a MAC of this hash.
    Null(Hash),
}

/// An authenticated cipher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aead {
    Gcm,
    /// CCM with a tag of 16 bytes.
    Ccm,
    /// CCM with a tag of 8 bytes.
    Ccm8,
    ChaCha20Poly1305,
}

impl Suite {
    /// `None` where the suite is not known, or its cipher is not supported, or it is not one of the version.
    pub(crate) fn new(version: ProtocolVersion, suite: CipherSuite) -> Option<Suite> {
        let suite = Suite::of(suite)?;
        let aead = matches!(suite.cipher, Cipher::Aead(_));
        let fits = match version {
            ProtocolVersion::TLS1_3 => suite.tls13,
            ProtocolVersion::TLS1_2 => !suite.tls13,
            ProtocolVersion::TLS1_0 | ProtocolVersion::TLS1_1 => !aead,
            _ => false,
        };
        fits.then_some(suite)
    }

    fn of(suite: CipherSuite) -> Option<Suite> {
        let suite = TlsCipherSuite::from_id(suite.0)?;
        let hash = match suite.prf {
            TlsPRF::Default | TlsPRF::Sha256 => Hash::Sha256,
            TlsPRF::Sha384 => Hash::Sha384,
            _ => return None,
        };
        let mac = match suite.mac {
            TlsCipherMac::HmacMd5 => Some(Hash::Md5),
            TlsCipherMac::HmacSha1 => Some(Hash::Sha1),
            TlsCipherMac::HmacSha256 => Some(Hash::Sha256),
            TlsCipherMac::HmacSha384 => Some(Hash::Sha384),
            _ => None,
        };
        let (cipher, key_length) = match (suite.enc, suite.enc_mode, mac) {
            (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm, None) => {
                (Cipher::Aead(Aead::Gcm), suite.enc_key_size())
            }
            (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm, None) => {
                // The short tag is in the name alone (RFC 6655 section 4).
                let short = suite.name.contains("_CCM_8");
                let aead = if short { Aead::Ccm8 } else { Aead::Ccm };
                (Cipher::Aead(aead), suite.enc_key_size())
            }
            (TlsCipherEnc::Aes, TlsCipherEncMode::Cbc, Some(mac)) => {
                (Cipher::Cbc(mac), suite.enc_key_size())
            }
            // The table of suites gives its tag's size for the key's (RFC 7905 section 2).
            (TlsCipherEnc::Chacha20_Poly1305, _, None) => {
                (Cipher::Aead(Aead::ChaCha20Poly1305), 32)
            }
            (TlsCipherEnc::Null, _, Some(mac)) => (Cipher::Null(mac), 0),
            _ => return None,
        };
        Some(Suite {
            cipher,
            hash,
            key_length,
            tls13: suite.kx == TlsCipherKx::Tls13,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(number: u16) -> Option<(Cipher, Hash, usize)> {
        Suite::of(CipherSuite(number)).map(|suite| (suite.cipher, suite.hash, suite.key_length))
    }

    #[test]
    fn suites_are_read_from_the_registry() {
        use Hash::{Sha1, Sha256, Sha384};
        let gcm = Cipher::Aead(Aead::Gcm);
        let chacha = Cipher::Aead(Aead::ChaCha20Poly1305);
        for (number, expected) in [
            (0x1301, (gcm, Sha256, 16)),
            (0x1302, (gcm, Sha384, 32)),
            (0x1303, (chacha, Sha256, 32)),
            (0x1304, (Cipher::Aead(Aead::Ccm), Sha256, 16)),
            (0x1305, (Cipher::Aead(Aead::Ccm8), Sha256, 16)),
            (0x002f, (Cipher::Cbc(Sha1), Sha256, 16)),
            (0x0035, (Cipher::Cbc(Sha1), Sha256, 32)),
            (0x003d, (Cipher::Cbc(Sha256), Sha256, 32)),
            (0xc028, (Cipher::Cbc(Sha384), Sha384, 32)),
            (0xc02f, (gcm, Sha256, 16)),
            (0xc030, (gcm, Sha384, 32)),
            (0xcca9, (chacha, Sha256, 32)),
            (0xc0ac, (Cipher::Aead(Aead::Ccm), Sha256, 16)),
            (0xc0af, (Cipher::Aead(Aead::Ccm8), Sha256, 32)),
            (0xc0ab, (Cipher::Aead(Aead::Ccm8), Sha256, 32)),
            (0xd005, (Cipher::Aead(Aead::Ccm), Sha256, 16)),
            (0xc006, (Cipher::Null(Sha1), Sha256, 0)),
        ] {
            assert_eq!(suite(number), Some(expected), "{number:04x}");
        }
        // RC4, 3DES, Camellia, ARIA, SM4, SCSV, nothing.
        for number in [
            0x0005, 0x000a, 0x0041, 0xc050, 0x00c6, 0x00ff, 0x0000, 0x0a0a,
        ] {
            assert_eq!(suite(number), None, "{number:04x}");
        }
    }

    /// Every AES and ChaCha20 suite of the registry: 32 of CBC with each length of key, and so on.
    #[test]
    fn all_aes_and_chacha20_suites_are_known() {
        let mut counts = [0; 5];
        for number in 0..=u16::MAX {
            let index = match Suite::of(CipherSuite(number)).map(|suite| suite.cipher) {
                Some(Cipher::Cbc(_)) => 0,
                Some(Cipher::Aead(Aead::Gcm)) => 1,
                Some(Cipher::Aead(Aead::Ccm)) => 2,
                Some(Cipher::Aead(Aead::Ccm8)) => 3,
                Some(Cipher::Aead(Aead::ChaCha20Poly1305)) => 4,
                Some(Cipher::Null(_)) | None => continue,
            };
            counts[index] += 1;
        }
        assert_eq!(counts, [64, 32, 14, 12, 8]);
    }

    #[test]
    fn a_suite_belongs_to_its_versions() {
        let known = |version, suite| Suite::new(version, CipherSuite(suite)).is_some();
        assert!(known(ProtocolVersion::TLS1_3, 0x1301));
        assert!(!known(ProtocolVersion::TLS1_2, 0x1301));
        assert!(!known(ProtocolVersion::TLS1_3, 0xc02f));
        assert!(!known(ProtocolVersion::TLS1_1, 0xc02f));
        assert!(known(ProtocolVersion::TLS1_0, 0x002f));
        assert!(!known(ProtocolVersion::SSL3, 0x002f));
    }
}
