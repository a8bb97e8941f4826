//! Public keys and signature algorithms.

use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::{KeyAlgorithm, PublicKey, SignatureAlgorithm};

pub(super) fn public_key(info: &SubjectPublicKeyInfo<'_>) -> PublicKey {
    let identifier = info.algorithm.algorithm.to_id_string();
    let bytes: &[u8] = &info.subject_public_key.data;
    let (algorithm, bits) = match identifier.as_str() {
        // RFC 3279 section 2.3.1; RSASSA-PSS keys are those of RFC 4055.
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => (
            KeyAlgorithm::Rsa,
            RSAPublicKey::from_der(bytes)
                .ok()
                .and_then(|(_, key)| bit_length(key.modulus)),
        ),
        "1.2.840.10040.4.1" => (KeyAlgorithm::Dsa, dsa_bits(&info.algorithm)),
        "1.2.840.10045.2.1" => curve(&info.algorithm),
        "1.3.101.112" => (KeyAlgorithm::Ed25519, Some(256)),
        "1.3.101.113" => (KeyAlgorithm::Ed448, Some(456)),
        _ => (KeyAlgorithm::Other(identifier.into()), None),
    };
    PublicKey { algorithm, bits }
}

/// RFC 5480 section 2.1.1: only named curves are allowed; the rest is named by its object identifier.
fn curve(algorithm: &AlgorithmIdentifier<'_>) -> (KeyAlgorithm, Option<u32>) {
    let Some(Ok(named)) = algorithm
        .parameters
        .as_ref()
        .map(|parameters| parameters.as_oid())
    else {
        return (KeyAlgorithm::Ec("explicit parameters".into()), None);
    };
    let identifier = named.to_id_string();
    let (name, bits) = match identifier.as_str() {
        "1.2.840.10045.3.1.1" => ("P-192", 192),
        "1.3.132.0.33" => ("P-224", 224),
        "1.2.840.10045.3.1.7" => ("P-256", 256),
        "1.3.132.0.34" => ("P-384", 384),
        "1.3.132.0.35" => ("P-521", 521),
        "1.3.132.0.10" => ("secp256k1", 256),
        "1.3.36.3.3.2.8.1.1.7" => ("brainpoolP256r1", 256),
        "1.3.36.3.3.2.8.1.1.11" => ("brainpoolP384r1", 384),
        "1.3.36.3.3.2.8.1.1.13" => ("brainpoolP512r1", 512),
        "1.2.156.10197.1.301" => ("SM2", 256),
        _ => return (KeyAlgorithm::Ec(identifier.into()), None),
    };
    (KeyAlgorithm::Ec(name.into()), Some(bits))
}

/// The length of the prime, the first of the parameters (RFC 3279 section 2.3.2).
fn dsa_bits(algorithm: &AlgorithmIdentifier<'_>) -> Option<u32> {
    let parameters = algorithm.parameters.as_ref()?;
    let (_, prime) = x509_parser::asn1_rs::Integer::from_der(parameters.data).ok()?;
    bit_length(prime.as_ref())
}

/// The bits of an unsigned number; none for zero.
fn bit_length(number: &[u8]) -> Option<u32> {
    let start = number.iter().position(|byte| *byte != 0)?;
    let digits = number.get(start..)?;
    let first = digits.first()?;
    u32::try_from(digits.len())
        .ok()?
        .checked_mul(8)?
        .checked_sub(first.leading_zeros())
}

pub(super) fn signature(algorithm: &AlgorithmIdentifier<'_>) -> SignatureAlgorithm {
    let identifier = algorithm.algorithm.to_id_string();
    let (name, is_broken) = match identifier.as_str() {
        "1.2.840.113549.1.1.2" => ("md2WithRSAEncryption", true),
        "1.2.840.113549.1.1.3" => ("md4WithRSAEncryption", true),
        "1.2.840.113549.1.1.4" => ("md5WithRSAEncryption", true),
        "1.2.840.113549.1.1.5" => ("sha1WithRSAEncryption", true),
        "1.3.14.3.2.29" => ("sha1WithRSA", true),
        "1.3.14.3.2.3" => ("md5WithRSA", true),
        "1.3.14.3.2.27" => ("dsaWithSHA1", true),
        "1.2.840.10040.4.3" => ("dsa-with-sha1", true),
        "1.2.840.10045.4.1" => ("ecdsa-with-SHA1", true),
        "1.2.840.113549.1.1.14" => ("sha224WithRSAEncryption", false),
        "1.2.840.113549.1.1.11" => ("sha256WithRSAEncryption", false),
        "1.2.840.113549.1.1.12" => ("sha384WithRSAEncryption", false),
        "1.2.840.113549.1.1.13" => ("sha512WithRSAEncryption", false),
        "1.2.840.10045.4.3.1" => ("ecdsa-with-SHA224", false),
        "1.2.840.10045.4.3.2" => ("ecdsa-with-SHA256", false),
        "1.2.840.10045.4.3.3" => ("ecdsa-with-SHA384", false),
        "1.2.840.10045.4.3.4" => ("ecdsa-with-SHA512", false),
        "2.16.840.1.101.3.4.3.1" => ("dsa-with-sha224", false),
        "2.16.840.1.101.3.4.3.2" => ("dsa-with-sha256", false),
        "1.3.101.112" => ("ed25519", false),
        "1.3.101.113" => ("ed448", false),
        "2.16.840.1.101.3.4.3.17" => ("ml-dsa-44", false),
        "2.16.840.1.101.3.4.3.18" => ("ml-dsa-65", false),
        "2.16.840.1.101.3.4.3.19" => ("ml-dsa-87", false),
        "1.2.156.10197.1.501" => ("sm2-with-SM3", false),
        "1.2.840.113549.1.1.10" => return pss(algorithm),
        _ => (identifier.as_str(), false),
    };
    SignatureAlgorithm {
        name: name.into(),
        is_broken,
    }
}

/// RFC 4055 section 3.1: the hash is a parameter, SHA-1 where it is left out.
fn pss(algorithm: &AlgorithmIdentifier<'_>) -> SignatureAlgorithm {
    let hash = algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| RsaSsaPssParams::try_from(parameters).ok())
        .map(|parameters| parameters.hash_algorithm_oid().to_id_string());
    let (name, is_broken) = match hash.as_deref() {
        Some("1.3.14.3.2.26") => ("rsassaPss with SHA-1", true),
        Some("1.2.840.113549.2.5") => ("rsassaPss with MD5", true),
        Some("2.16.840.1.101.3.4.2.1") => ("rsassaPss with SHA-256", false),
        Some("2.16.840.1.101.3.4.2.2") => ("rsassaPss with SHA-384", false),
        Some("2.16.840.1.101.3.4.2.3") => ("rsassaPss with SHA-512", false),
        _ => ("rsassaPss", false),
    };
    SignatureAlgorithm {
        name: name.into(),
        is_broken,
    }
}

#[cfg(test)]
mod tests {
    use super::bit_length;

    #[test]
    fn bits_are_counted_from_the_first_one() {
        assert_eq!(bit_length(&[0, 0x80, 0]), Some(16));
        assert_eq!(bit_length(&[0x7f, 0xff]), Some(15));
        assert_eq!(bit_length(&[1]), Some(1));
        assert_eq!(bit_length(&[0, 0]), None);
        assert_eq!(bit_length(&[]), None);
    }
}
