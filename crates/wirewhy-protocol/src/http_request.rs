//! A request of HTTP as it is kept: its texts in one piece, beside it while they are short.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use memchr::{memchr, memrchr};

use crate::compact::{Compact, CompactReader, CompactWriter};
use crate::types::Mark;

/// A request. The strings are as they were on the wire: hostile, and cut at [`Request::MAX_TEXT`] bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Where its header began.
    pub begun: Mark,
    /// Method, target and host, one behind the other.
    texts: Texts,
    /// The length of the method.
    method: u16,
    /// Where the target ends.
    target: u16,
    has_host: bool,
}

crate::compact!(Request {
    begun,
    texts,
    method,
    target,
    has_host
});

/// What all requests for the same have in common: those of the same method, and the same target of the same host.
///
/// It is a hash, the same for all connections of a process, and not known before it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestHash(u64);

impl RequestHash {
    /// That of the request that [`Request::read`] makes of these texts, where all of them are ASCII.
    pub(crate) fn read(method: &[u8], target: &[u8], host: Option<&[u8]>) -> RequestHash {
        match without_secrets(bounded(target)) {
            (&[], path, query) => {
                let host = host.map(bounded);
                RequestHash::of(bounded(method), path, !query.is_empty(), host)
            }
            _ => Request::read(method, target, host, Mark::default()).hash(),
        }
    }

    fn of(method: &[u8], path: &[u8], has_query: bool, host: Option<&[u8]>) -> RequestHash {
        let state = SeedableRandomState::with_seed(0, SharedSeed::global_random());
        let mut hasher = state.build_hasher();
        hasher.write(method);
        hasher.write(path);
        hasher.write_u16(u16::from_be_bytes([
            has_query.into(),
            host.is_some().into(),
        ]));
        hasher.write(host.unwrap_or_default());
        RequestHash(hasher.finish())
    }
}

/// The bytes of texts, beside one another where they are as short as those of most requests.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Texts {
    Short([u8; Texts::SHORT], u8),
    Long(Box<[u8]>),
}

impl Compact for Texts {
    fn write(&self, to: &mut CompactWriter) {
        u8::write_all(self.bytes(), to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Texts> {
        let bytes = from.text()?;
        Some(Texts::of([&bytes, &[], &[], &[], &[]]))
    }
}

impl Request {
    /// The most bytes kept of each string.
    pub const MAX_TEXT: usize = 256;

    /// A request of these texts. Of the target nothing is kept that may be secret: neither its query nor the user information
    /// of a URL.
    pub(crate) fn read(method: &[u8], target: &[u8], host: Option<&[u8]>, begun: Mark) -> Request {
        let method = bounded(method);
        let (scheme, path, query) = without_secrets(bounded(target));
        let target = method.len() + scheme.len() + path.len() + query.len();
        let length = |length| u16::try_from(length).unwrap_or(u16::MAX);
        let host_text = bounded(host.unwrap_or_default());
        Request {
            begun,
            texts: Texts::of([method, scheme, path, query, host_text]),
            method: length(method.len()),
            target: length(target),
            has_host: host.is_some(),
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Cow<'_, str> {
        self.text(0, usize::from(self.method))
    }

    /// The request target, without user information, and with `?...` in the place of a query: they hold secrets.
    #[must_use]
    pub fn target(&self) -> Cow<'_, str> {
        self.text(usize::from(self.method), usize::from(self.target))
    }

    /// The Host header, or the authority of HTTP/2.
    #[must_use]
    pub fn host(&self) -> Option<Cow<'_, str>> {
        let end = self.texts.bytes().len();
        self.has_host
            .then(|| self.text(usize::from(self.target), end))
    }

    /// Whether both ask for the same: by the same method, the same target of the same host.
    pub(crate) fn repeats(&self, other: &Request) -> bool {
        self.method() == other.method() && self.is_for_same(other)
    }

    /// What all requests have in common that repeat it.
    #[must_use]
    pub fn hash(&self) -> RequestHash {
        let (method, target, host) = (self.method(), self.target(), self.host());
        let path = target.strip_suffix(QUERY);
        let has_query = path.is_some();
        let path = path.unwrap_or(&target).as_bytes();
        let host = host.as_deref().map(str::as_bytes);
        RequestHash::of(method.as_bytes(), path, has_query, host)
    }

    /// Whether both are for the same resource of the same host.
    pub(crate) fn is_for_same(&self, other: &Request) -> bool {
        self.target() == other.target() && self.host() == other.host()
    }

    /// Bytes of memory in use.
    pub(crate) fn retained(&self) -> usize {
        let long = match &self.texts {
            Texts::Short(..) => 0,
            Texts::Long(text) => text.len(),
        };
        size_of::<Request>() + long
    }

    fn text(&self, start: usize, end: usize) -> Cow<'_, str> {
        let bytes = self.texts.bytes().get(start..end).unwrap_or_default();
        String::from_utf8_lossy(bytes)
    }
}

impl Texts {
    /// The most bytes kept without an allocation.
    const SHORT: usize = 78;

    fn of(parts: [&[u8]; 5]) -> Texts {
        let mut bytes = [0; Texts::SHORT];
        let mut end = 0;
        for part in parts {
            let Some(place) = bytes.get_mut(end..end + part.len()) else {
                return Texts::Long(parts.concat().into());
            };
            place.copy_from_slice(part);
            end += part.len();
        }
        Texts::Short(bytes, u8::try_from(end).unwrap_or(u8::MAX))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Texts::Short(bytes, length) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Texts::Long(bytes) => bytes,
        }
    }
}

/// What stands in the place of a query.
const QUERY: &str = "?...";

/// As much of a text as is kept.
fn bounded(bytes: &[u8]) -> &[u8] {
    bytes.get(..Request::MAX_TEXT).unwrap_or(bytes)
}

/// What is kept of a target: what comes before the user information of a URL (RFC 3986 section 3.2.1), what comes behind it,
/// up to a query, and a sign for the query.
fn without_secrets(target: &[u8]) -> (&[u8], &[u8], &'static [u8]) {
    let (path, query) = match memchr(b'?', target) {
        Some(at) => (target.get(..at).unwrap_or(target), QUERY.as_bytes()),
        None => (target, &[][..]),
    };
    let (scheme, path) = match path.first() {
        Some(b'/') => (&[][..], path),
        _ => without_user(path).unwrap_or((&[], path)),
    };
    (scheme, path, query)
}

/// The scheme of a URL with user information, and what follows that.
fn without_user(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = url.windows(3).position(|window| window == b"://")? + 3;
    let (scheme, rest) = url.split_at_checked(start)?;
    let authority = memchr(b'/', rest).unwrap_or(rest.len());
    let at = memrchr(b'@', rest.get(..authority)?)?;
    Some((scheme, rest.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, host: Option<&str>) -> Request {
        let host = host.map(str::as_bytes);
        Request::read(b"GET", target.as_bytes(), host, Mark::default())
    }

    #[test]
    fn texts_of_every_length_are_kept() {
        for length in [0, 1, 40, 66, 67, 68, 255, 256, 257, 400] {
            let path = format!("/{}", "a".repeat(length));
            let kept = &path[..path.len().min(Request::MAX_TEXT)];
            for host in [None, Some(""), Some("h.example")] {
                let request = request(&path, host);
                assert_eq!((&*request.method(), &*request.target()), ("GET", kept));
                assert_eq!(request.host().as_deref(), host);
            }
        }
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        let bytes = [0xff; 300];
        let request = Request::read(&bytes, &bytes, Some(&bytes), Mark::default());
        let signs = "\u{fffd}".repeat(Request::MAX_TEXT);
        assert_eq!(request.method(), signs);
        assert_eq!(request.target(), signs);
        assert_eq!(request.host().as_deref(), Some(&*signs));
    }

    #[test]
    fn secrets_are_not_kept() {
        let table = [
            ("/a?b=c", "/a?..."),
            ("/a?", "/a?..."),
            ("/a@b", "/a@b"),
            ("*", "*"),
            ("http://joe:s3cret@h/a@b?c", "http://h/a@b?..."),
            ("http://h/a", "http://h/a"),
            ("a:443", "a:443"),
        ];
        for (target, kept) in table {
            assert_eq!(request(target, None).target(), kept);
        }
    }

    #[test]
    fn requests_for_the_same_have_one_hash() {
        let targets = [
            "/a",
            "/a?b",
            "/a?c",
            "/a/",
            "http://u:p@h/a",
            "http://h/a",
            "*",
        ];
        let hosts = [None, Some(""), Some("h"), Some("/a")];
        let requests: Vec<(Request, RequestHash)> = targets
            .iter()
            .flat_map(|target| hosts.map(|host| (*target, host.map(str::as_bytes))))
            .flat_map(|(target, host)| [b"GET", b"PUT"].map(|method| (&method[..], target, host)))
            .map(|(method, target, host)| {
                let target = target.as_bytes();
                let request = Request::read(method, target, host, Mark::default());
                (request, RequestHash::read(method, target, host))
            })
            .collect();
        for (one, hash) in &requests {
            assert_eq!(one.hash(), *hash);
            for (other, other_hash) in &requests {
                assert_eq!(hash == other_hash, one.repeats(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn requests_for_the_same_resource() {
        let one = request("/a?b", Some("h"));
        assert!(one.is_for_same(&request("/a?c", Some("h"))));
        assert!(!one.is_for_same(&request("/a?b", None)));
        assert!(!one.is_for_same(&request("/b", Some("h"))));
    }
}
