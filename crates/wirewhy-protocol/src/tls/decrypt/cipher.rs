//! The ciphers themselves, one record at a time.

use aes::{Aes128, Aes256};
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut, KeyInit, Nonce};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use cbc::cipher::{Array, Block, BlockModeDecrypt, KeyIvInit};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;

use super::suite::Aead;

/// The block of AES.
pub(super) const BLOCK: usize = 16;

impl Aead {
    /// The part of the nonce that comes from the key block (RFC 5288 section 3, RFC 6655 section 3, RFC 7905 section 2).
    pub(super) fn fixed_nonce_length(self) -> usize {
        match self {
            Aead::Gcm | Aead::Ccm | Aead::Ccm8 => 4,
            Aead::ChaCha20Poly1305 => 12,
        }
    }

    /// What it adds to the plaintext.
    pub(super) fn tag_length(self) -> usize {
        match self {
            Aead::Gcm | Aead::Ccm | Aead::ChaCha20Poly1305 => 16,
            Aead::Ccm8 => 8,
        }
    }

    /// The plaintext; `None` where the tag is not right.
    pub(crate) fn open(
        self,
        key: &[u8],
        nonce: &[u8; 12],
        additional: &[u8],
        body: &[u8],
    ) -> Option<Vec<u8>> {
        match (self, key.len()) {
            (Aead::Gcm, 16) => open::<Aes128Gcm>(key, nonce, additional, body),
            (Aead::Gcm, 32) => open::<Aes256Gcm>(key, nonce, additional, body),
            (Aead::Ccm, 16) => open::<Ccm<Aes128, U16, U12>>(key, nonce, additional, body),
            (Aead::Ccm, 32) => open::<Ccm<Aes256, U16, U12>>(key, nonce, additional, body),
            (Aead::Ccm8, 16) => open::<Ccm<Aes128, U8, U12>>(key, nonce, additional, body),
            (Aead::Ccm8, 32) => open::<Ccm<Aes256, U8, U12>>(key, nonce, additional, body),
            (Aead::ChaCha20Poly1305, _) => open::<ChaCha20Poly1305>(key, nonce, additional, body),
            _ => None,
        }
    }
}

fn open<A: AeadInOut + AeadCore + KeyInit>(
    key: &[u8],
    nonce: &[u8; 12],
    additional: &[u8],
    body: &[u8],
) -> Option<Vec<u8>> {
    let nonce = Nonce::<A>::try_from(nonce.as_slice()).ok()?;
    let mut text = body.to_vec();
    A::new_from_slice(key)
        .ok()?
        .decrypt_in_place(&nonce, additional, &mut text)
        .ok()?;
    Some(text)
}

/// AES-CBC, padding and all; `None` where the body is not whole blocks.
pub(super) fn cbc(key: &[u8], iv: &[u8; BLOCK], body: &[u8]) -> Option<Vec<u8>> {
    match key.len() {
        16 => blocks::<cbc::Decryptor<Aes128>>(key, iv, body),
        32 => blocks::<cbc::Decryptor<Aes256>>(key, iv, body),
        _ => None,
    }
}

fn blocks<M: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8; BLOCK],
    body: &[u8],
) -> Option<Vec<u8>> {
    let mut mode = M::new_from_slices(key, iv).ok()?;
    let mut text = body.to_vec();
    let (whole, rest): (&mut [Block<M>], _) = Array::slice_as_chunks_mut(&mut text);
    if !rest.is_empty() {
        return None;
    }
    mode.decrypt_blocks(whole);
    Some(text)
}
