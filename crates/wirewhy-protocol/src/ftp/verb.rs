//! The commands of FTP, and which of their arguments may be kept.

/// The verb of a command, in capitals. One that is not registered is not kept: it may be a password in the wrong place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FtpVerb(&'static str);

/// The commands of RFC 959, 775, 2228, 2389, 2428, 3659, 4217, 7151, and what is widely used beside them, with whether
/// their arguments may be kept.
const VERBS: [(&str, bool); 60] = [
    ("ABOR", false),
    ("ACCT", false),
    ("ADAT", false),
    ("ALLO", false),
    ("APPE", true),
    ("AUTH", true),
    ("CCC", false),
    ("CDUP", false),
    ("CLNT", false),
    ("CONF", false),
    ("CWD", true),
    ("DELE", true),
    ("ENC", false),
    ("EPRT", true),
    ("EPSV", true),
    ("FEAT", false),
    ("HASH", true),
    ("HELP", false),
    ("HOST", true),
    ("LANG", false),
    ("LIST", true),
    ("LPRT", false),
    ("LPSV", false),
    ("MDTM", true),
    ("MFMT", true),
    ("MIC", false),
    ("MKD", true),
    ("MLSD", true),
    ("MLST", true),
    ("MODE", true),
    ("NLST", true),
    ("NOOP", false),
    ("OPTS", true),
    ("PASS", false),
    ("PASV", false),
    ("PBSZ", true),
    ("PORT", true),
    ("PROT", true),
    ("PWD", false),
    ("QUIT", false),
    ("REIN", false),
    ("REST", true),
    ("RETR", true),
    ("RMD", true),
    ("RNFR", true),
    ("RNTO", true),
    ("SITE", false),
    ("SIZE", true),
    ("SMNT", false),
    ("STAT", true),
    ("STOR", true),
    ("STOU", true),
    ("STRU", true),
    ("SYST", false),
    ("TYPE", true),
    ("USER", false),
    ("XCUP", false),
    ("XCWD", true),
    ("XMKD", true),
    ("XPWD", false),
];

impl FtpVerb {
    /// A verb that is not known.
    pub const OTHER: FtpVerb = FtpVerb("?");

    /// The verb of this name, and whether its argument may be kept.
    pub(super) fn find(name: &[u8]) -> (FtpVerb, bool) {
        let known = VERBS
            .iter()
            .find(|(verb, _)| name.eq_ignore_ascii_case(verb.as_bytes()));
        known.map_or((FtpVerb::OTHER, false), |(verb, kept)| {
            (FtpVerb(verb), *kept)
        })
    }

    /// Its name; `?` of one that is not known.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    fn is_of(self, names: &[&str]) -> bool {
        names.contains(&self.0)
    }

    /// Whether it needs a data connection (RFC 959 section 4.1.3, RFC 3659 section 7).
    #[must_use]
    pub fn is_transfer(self) -> bool {
        self.is_listing() || self.is_of(&["RETR", "STOR", "STOU", "APPE"])
    }

    /// Whether it asks for a list of files over a data connection.
    #[must_use]
    pub fn is_listing(self) -> bool {
        self.is_of(&["LIST", "NLST", "MLSD"])
    }

    /// Whether the client sends the data.
    #[must_use]
    pub fn is_upload(self) -> bool {
        self.is_of(&["STOR", "STOU", "APPE"])
    }

    /// Whether it is part of logging in.
    #[must_use]
    pub fn is_login(self) -> bool {
        self.is_of(&["USER", "PASS", "ACCT"])
    }

    /// Whether it sets up a data connection.
    #[must_use]
    pub fn is_setup(self) -> bool {
        self.is_of(&["PORT", "EPRT", "PASV", "EPSV", "LPRT", "LPSV"])
    }

    /// Whether a reply to it may repeat credentials.
    pub(super) fn is_secret(self) -> bool {
        self == FtpVerb::OTHER || self.is_of(&["USER", "PASS", "ACCT", "ADAT", "SITE"])
    }
}

impl PartialEq<str> for FtpVerb {
    fn eq(&self, name: &str) -> bool {
        self.0 == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_registered_is_not_kept() {
        assert_eq!(FtpVerb::find(b"retr").0.name(), "RETR");
        assert_eq!(FtpVerb::find(b"hunter2").0, FtpVerb::OTHER);
        for secret in ["USER", "PASS", "ACCT", "ADAT", "SITE"] {
            let (verb, kept) = FtpVerb::find(secret.as_bytes());
            assert!(!kept && verb.is_secret(), "{secret}");
        }
    }

    #[test]
    fn verbs_are_listed_once() {
        let mut names: Vec<_> = VERBS.iter().map(|(name, _)| name).collect();
        names.dedup();
        assert_eq!(names.len(), VERBS.len());
        assert!(names.is_sorted());
    }
}
