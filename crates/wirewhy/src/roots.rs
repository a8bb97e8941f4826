//! The roots that certificates are held against: `--roots`, or `roots` in the configuration.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use wirewhy_detect::TrustStore;

use crate::exit::{Failure, in_words};

/// The name of the built-in roots.
const MOZILLA: &str = "mozilla";

/// The most that is read of a file of roots. The whole of Mozilla's has a quarter of a megabyte.
const MAX_BYTES: u64 = 64 << 20;

/// Which roots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Roots {
    /// Those built in.
    #[default]
    Mozilla,
    /// Those of a PEM file.
    File(PathBuf),
}

impl From<OsString> for Roots {
    fn from(named: OsString) -> Roots {
        if named == MOZILLA {
            Roots::Mozilla
        } else {
            Roots::File(named.into())
        }
    }
}

impl Roots {
    /// A file named in another file is looked for beside it.
    pub(crate) fn beside(self, other: &Path) -> Roots {
        match (self, other.parent()) {
            (Roots::File(path), Some(folder)) => Roots::File(folder.join(path)),
            (roots, _) => roots,
        }
    }

    /// The roots, and what of the file cannot be used.
    ///
    /// A file without a single usable root is an error: everything would be untrusted.
    pub(crate) fn load(&self) -> Result<(TrustStore, Vec<String>), Failure> {
        let Roots::File(path) = self else {
            return Ok((TrustStore::mozilla(), Vec::new()));
        };
        let name = path.display();
        let text =
            read(path).map_err(|error| Failure::new(format!("{name}: {}", in_words(&error))))?;
        let (store, unusable) = TrustStore::from_pem(&text);
        match (store.is_empty(), unusable.first()) {
            (true, None) => Err(Failure::new(format!("{name}: holds no certificate in PEM"))),
            (true, Some(first)) => Err(Failure::new(format!("{name}: {first}"))),
            (false, _) => {
                let unusable = unusable.iter().map(|root| format!("{name}: {root}"));
                Ok((store, unusable.collect()))
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::other("too large for a file of roots"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = include_str!("../../../fixtures/captures/tls-cert-untrusted/roots.pem");

    fn loaded(text: &str) -> Result<(TrustStore, Vec<String>), Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        std::fs::write(&path, text).unwrap();
        Roots::File(path).load()
    }

    #[track_caller]
    fn assert_refused(roots: Result<(TrustStore, Vec<String>), Failure>, why: &str) {
        match roots {
            Err(Failure::Message(message)) => assert!(message.contains(why), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mozilla_is_a_word_and_all_else_a_file() {
        assert_eq!(Roots::from(OsString::from("mozilla")), Roots::Mozilla);
        let file = |path: &str| Roots::File(path.into());
        assert_eq!(Roots::from(OsString::from("./mozilla")), file("./mozilla"));
        assert_eq!(Roots::from(OsString::from("a.pem")), file("a.pem"));
        assert_eq!(
            file("a.pem").beside(Path::new("/etc/wirewhy/config.toml")),
            file("/etc/wirewhy/a.pem")
        );
        assert_eq!(
            file("/b/a.pem").beside(Path::new("config.toml")),
            file("/b/a.pem")
        );
        let (store, unusable) = Roots::default().load().unwrap();
        assert!(store.len() > 100 && unusable.is_empty());
    }

    #[test]
    fn a_file_of_roots_is_taken_without_its_bad_ones() {
        let (store, unusable) = loaded(ROOT).unwrap();
        assert!(!store.is_empty() && unusable.is_empty(), "{unusable:?}");
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let (both, unusable) = loaded(&format!("{bad}{ROOT}")).unwrap();
        assert_eq!(both.len(), store.len());
        assert_eq!(unusable.len(), 1);
        assert!(unusable[0].contains("certificate 1"), "{unusable:?}");
        assert_refused(loaded(bad), "roots.pem: certificate 1");
    }

    #[test]
    fn a_file_without_roots_is_refused() {
        assert_refused(loaded(""), "holds no certificate in PEM");
        assert_refused(loaded("\u{30}\u{82}"), "holds no certificate in PEM");
        let missing = Roots::File("no/such/roots.pem".into());
        assert_refused(missing.load(), "no/such/roots.pem: ");
    }
}
