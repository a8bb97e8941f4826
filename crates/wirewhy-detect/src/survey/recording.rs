//! Which captures are parts of one recording, by their names.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;

/// The name of a recording: that of one of its files without what counts them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Recording(u64);

impl Recording {
    /// The recording that a file belongs to: files in one folder whose names differ in numbers only, as rings of files do
    /// (`trace.pcap0`, `trace_00003_20260102030405.pcapng.gz`).
    pub(super) fn of(source: &str) -> Recording {
        let (folder, file) = source.rsplit_once('/').unwrap_or(("", source));
        let mut name = String::new();
        for letter in file.chars() {
            if !letter.is_ascii_digit() {
                name.push(letter);
            } else if !name.ends_with('#') {
                name.push('#');
            }
        }
        // The first file of a ring may have no number behind its name.
        let name = name.strip_suffix('#').unwrap_or(&name);
        let mut hasher = FixedState::with_seed(3).build_hasher();
        (folder, name).hash(&mut hasher);
        Recording(std::hash::Hasher::finish(&hasher))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_differs_in_numbers() {
        let same = |one: &str, other: &str| Recording::of(one) == Recording::of(other);
        assert!(same("a/trace.pcap", "a/trace.pcap12"));
        assert!(same("a/t_00001_20260102.pcap", "a/t_00002_20260103.pcap"));
        assert!(!same("a/trace.pcap1", "b/trace.pcap1"));
        assert!(!same("web.pcap", "db.pcap"));
    }
}
