//! What a side offers in SSH_MSG_KEXINIT, and what two offers have in common (RFC 4253 section 7.1).

use super::facts::{SshList, Unshared};

/// The eight lists of names that a side offers.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Offer([Box<[u8]>; SshList::ALL.len()]);

/// What stands before the lists.
const COOKIE: usize = 16;

impl Offer {
    /// The lists of a message behind its type; `None` where they are not all there.
    pub(super) fn read(body: &[u8]) -> Option<Offer> {
        let mut rest = body.get(COOKIE..)?;
        let mut lists: [Box<[u8]>; SshList::ALL.len()] = Default::default();
        for list in &mut lists {
            let (names, behind) = string(rest)?;
            *list = names.into();
            rest = behind;
        }
        Some(Offer(lists))
    }

    fn names(&self, list: SshList) -> impl Iterator<Item = &[u8]> {
        let index = SshList::ALL.iter().position(|other| *other == list);
        let names = index.and_then(|index| self.0.get(index));
        let names = names.map_or(&[][..], |names| names);
        names
            .split(|&byte| byte == b',')
            .filter(|name| !is_signal(name))
    }

    /// The names of a list as text, bounded.
    fn text(&self, list: SshList) -> Box<str> {
        let mut text = Vec::new();
        for name in self.names(list) {
            if text.len() + name.len() > Unshared::MAX_TEXT {
                break;
            }
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(name);
        }
        String::from_utf8_lossy(&text).into()
    }

    #[cfg(test)]
    pub(super) fn retained(&self) -> usize {
        size_of::<Offer>() + self.0.iter().map(|list| list.len()).sum::<usize>()
    }
}

/// A string: its length in four bytes and its content; and what follows it (RFC 4251 section 5).
pub(super) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    rest.split_at_checked(length)
}

/// Whether a name among the key exchange methods is none, but says what its side can do: RFC 8308 section 2.1, and the strict
/// key exchange of OpenSSH.
fn is_signal(name: &[u8]) -> bool {
    name.is_empty() || name.starts_with(b"ext-info-") || name.starts_with(b"kex-strict-")
}

/// Whether a cipher protects its data itself, so that no MAC is negotiated with it (RFC 5647 section 5.1, OpenSSH's PROTOCOL
/// and PROTOCOL.chacha20poly1305).
fn is_authenticated(cipher: &[u8]) -> bool {
    cipher.starts_with(b"AEAD_")
        || cipher.starts_with(b"chacha20-poly1305")
        || cipher.windows(4).any(|window| window == b"-gcm")
}

/// The lists in which the offers have no name in common.
pub(super) fn unshared(client: &Offer, server: &Offer) -> Vec<Unshared> {
    SshList::ALL
        .into_iter()
        .filter(|&list| !needs_none(list, client, server) && agreed(list, client, server).is_none())
        .map(|list| Unshared {
            list,
            client: client.text(list),
            server: server.text(list),
        })
        .collect()
}

/// The client's first name that the server has too.
fn agreed<'a>(list: SshList, client: &'a Offer, server: &Offer) -> Option<&'a [u8]> {
    client
        .names(list)
        .find(|name| server.names(list).any(|other| other == *name))
}

/// Whether a list of MAC algorithms is of no account, for the cipher of its direction needs none, or none was agreed on.
fn needs_none(list: SshList, client: &Offer, server: &Offer) -> bool {
    let cipher = match list {
        SshList::MacToServer => SshList::CipherToServer,
        SshList::MacToClient => SshList::CipherToClient,
        _ => return false,
    };
    agreed(cipher, client, server).is_none_or(is_authenticated)
}
