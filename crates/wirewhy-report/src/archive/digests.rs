//! The digests of many recordings as one set, whatever machines they come from and in whatever order.
//!
//! A set is keyed by the name of the recording. Merging is the union, and of two entries for one recording the greater one
//! is kept: it is associative, commutative and idempotent, so a task that is run twice changes nothing. The summary is made
//! from the whole set in the order of the names, and so depends on nothing else.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::{Archive, Digest, Scanned};
use crate::json::SCHEMA;

/// What is known of many recordings, each by its digest.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Digests {
    entries: BTreeMap<Name, DigestOutcome>,
}

/// A name, in the order of a walk: folder by folder.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Name(String);

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.0.split('/').cmp(other.0.split('/'))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What came of a recording.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DigestOutcome {
    /// It is no capture.
    Skipped,
    /// It should be readable and is not.
    Unreadable,
    /// It was read, to its end or not.
    Digest(Box<Digest>),
}

impl DigestOutcome {
    /// A total order over all outcomes. The digest of a recording of which more was read is the greater one.
    fn order(&self, other: &DigestOutcome) -> Ordering {
        let rank = |outcome: &DigestOutcome| match outcome {
            DigestOutcome::Skipped => (0, 0),
            DigestOutcome::Unreadable => (1, 0),
            DigestOutcome::Digest(digest) => (2, digest.packets),
        };
        let text = |outcome: &DigestOutcome| serde_json::to_string(outcome).unwrap_or_default();
        rank(self)
            .cmp(&rank(other))
            .then_with(|| text(self).cmp(&text(other)))
    }
}

/// An entry as a line of JSON.
#[derive(Serialize, Deserialize)]
struct Line {
    schema: String,
    #[serde(rename = "type")]
    kind: String,
    source: String,
    outcome: DigestOutcome,
}

/// The type of the record of an entry.
const KIND: &str = "digest";

impl Digests {
    /// Adds what is known of a recording, by the name it has in the results.
    pub fn add(&mut self, source: &str, digest: Digest) {
        self.insert(source.to_owned(), DigestOutcome::Digest(Box::new(digest)));
    }

    /// Adds a file that could not be read.
    pub fn add_unreadable(&mut self, source: &str) {
        self.insert(source.to_owned(), DigestOutcome::Unreadable);
    }

    /// Adds a file that is no capture.
    pub fn add_skipped(&mut self, source: &str) {
        self.insert(source.to_owned(), DigestOutcome::Skipped);
    }

    /// Adds all entries of another set.
    pub fn merge(&mut self, other: Digests) {
        for (name, outcome) in other.entries {
            self.insert(name.0, outcome);
        }
    }

    /// How many recordings and other files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes the set as lines of JSON, one an entry. The lines of two sets together are their union.
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for (name, outcome) in &self.entries {
            let line = Line {
                schema: SCHEMA.to_owned(),
                kind: KIND.to_owned(),
                source: name.0.clone(),
                outcome: outcome.clone(),
            };
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Adds the entries that [`write`](Digests::write) wrote, of one set or of several.
    ///
    /// # Errors
    ///
    /// What `lines` returns, and where a line is no entry of this version.
    pub fn read(&mut self, lines: &mut dyn BufRead) -> io::Result<()> {
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            if !line.trim().is_empty() {
                let entry: Line = serde_json::from_str(&line)?;
                if entry.schema != SCHEMA || entry.kind != KIND {
                    let message = format!("no digest of {SCHEMA}: {} {}", entry.schema, entry.kind);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                self.insert(entry.source, entry.outcome);
            }
            line.clear();
        }
        Ok(())
    }

    /// Adds all of them to a summary, in the order of their names.
    pub fn sum_up(&self, archive: &mut Archive) {
        for (name, outcome) in &self.entries {
            match outcome {
                DigestOutcome::Digest(digest) => archive.add(&name.0, digest, Scanned::Now),
                DigestOutcome::Unreadable => archive.add_unreadable(&name.0),
                DigestOutcome::Skipped => archive.add_skipped(1),
            }
        }
    }

    fn insert(&mut self, source: String, outcome: DigestOutcome) {
        match self.entries.entry(Name(source)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(outcome);
            }
            std::collections::btree_map::Entry::Occupied(mut there) => {
                if outcome.order(there.get()) == Ordering::Greater {
                    there.insert(outcome);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use wirewhy_testkit::Random;

    use super::super::digest::{BeyondCount, CauseCount, ClientCount, ServiceCount};
    use super::super::{Extent, Shown};
    use super::*;
    use crate::{Names, TextStyle, View};

    const CODES: [&str; 3] = ["tcp.refused", "tcp.syn-unanswered", "tls.cert-expired"];

    fn digest(random: &mut Random) -> Digest {
        let mut digest = Digest {
            packets: random.number(1_000),
            bytes: random.number(1_000_000),
            problem: (random.number(5) == 0).then(|| "cut short".to_owned()),
            first_time: Some(i64::try_from(random.number(50)).unwrap()),
            last_time: Some(i64::try_from(50 + random.number(50)).unwrap()),
            ..Digest::default()
        };
        for code in CODES.iter().take(random.below(4)) {
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, random.byte()));
            let (number, first) = (
                1 + random.number(9),
                i64::try_from(random.number(9)).unwrap(),
            );
            let code = (*code).to_owned();
            digest.causes.push(CauseCount {
                code: code.clone(),
                failed: random.number(2) == 0,
                number,
                first,
                last: first + 1,
            });
            digest.services.push(ServiceCount {
                code,
                address,
                port: 443,
                number,
                first,
            });
            digest.clients.push(ClientCount {
                address,
                number,
                first,
            });
        }
        if random.number(2) == 0 {
            digest.beyond.push(BeyondCount {
                code: "service.down".to_owned(),
                severity: 2,
                subject: Some(format!("10.0.0.{}:443", random.byte())),
                scope: "service".to_owned(),
            });
        }
        digest
    }

    /// Sets of one entry, some for the same recording.
    fn singles(random: &mut Random) -> Vec<Digests> {
        let one = |_| {
            let mut set = Digests::default();
            let source = format!("in/{}.pcap", random.number(12));
            match random.number(6) {
                0 => set.add_unreadable(&source),
                1 => set.add_skipped(&source),
                _ => set.add(&source, digest(random)),
            }
            set
        };
        (0..20).map(one).collect()
    }

    fn written(set: &Digests) -> Vec<u8> {
        let mut lines = Vec::new();
        set.write(&mut lines).unwrap();
        lines
    }

    fn summary(set: &Digests) -> String {
        let mut archive = Archive::listing();
        set.sum_up(&mut archive);
        let (names, view) = (Names::default(), View::default());
        let shown = Shown {
            names: &names,
            view: &view,
        };
        let mut text = Vec::new();
        let style = TextStyle::new(100, crate::Color::Never);
        archive
            .write_text(&mut text, style, shown, Extent::Whole)
            .unwrap();
        archive
            .write_ndjson(&mut text, shown, Extent::Whole)
            .unwrap();
        archive.write_html(&mut text, shown, Extent::Whole).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Merges sets two by two in an order taken from `random`, until one is left.
    fn merged(mut sets: Vec<Digests>, random: &mut Random) -> Digests {
        while sets.len() > 1 {
            let one = sets.swap_remove(random.below(sets.len()));
            let at = random.below(sets.len());
            sets[at].merge(one);
        }
        sets.pop().unwrap_or_default()
    }

    #[test]
    fn order_repetition_and_grouping_change_nothing() {
        for seed in 1..200 {
            let random = &mut Random::new(seed);
            let singles = singles(random);
            let mut expected = Digests::default();
            for one in &singles {
                expected.merge(one.clone());
            }
            let repeated = (0..random.below(20)).map(|_| singles[random.below(20)].clone());
            let mut sets = singles.clone();
            sets.extend(repeated.collect::<Vec<_>>());
            let found = merged(sets, random);
            assert_eq!(found, expected, "{seed}");
            assert_eq!(summary(&found), summary(&expected), "{seed}");
            let mut again = found.clone();
            again.merge(found.clone());
            assert_eq!(again, found, "{seed}");
        }
    }

    #[test]
    fn lines_of_several_sets_are_read_as_their_union() {
        let random = &mut Random::new(7);
        let singles = singles(random);
        let lines: Vec<u8> = singles.iter().rev().flat_map(written).collect();
        let mut read = Digests::default();
        read.read(&mut lines.as_slice()).unwrap();
        assert_eq!(read, merged(singles, random));
        let mut again = Digests::default();
        again.read(&mut written(&read).as_slice()).unwrap();
        assert_eq!(again, read);
        let other = String::from_utf8(lines)
            .unwrap()
            .replace(SCHEMA, "wirewhy/9");
        let refused = Digests::default()
            .read(&mut other.as_bytes())
            .unwrap_err()
            .to_string();
        assert_eq!(refused, "no digest of wirewhy/1: wirewhy/9 digest");
        assert!(Digests::default().read(&mut &b"{}"[..]).is_err());
    }

    #[test]
    fn what_was_read_takes_the_place_of_what_could_not_be() {
        let mut set = Digests::default();
        set.add("a", Digest::default());
        set.add_unreadable("a");
        set.add_skipped("a");
        let mut archive = Archive::default();
        set.sum_up(&mut archive);
        assert_eq!((set.len(), archive.captures()), (1, 1));
        assert_eq!((archive.unreadable(), archive.skipped()), (0, 0));
        assert!(!set.is_empty());
    }

    #[test]
    fn names_are_in_the_order_of_a_walk() {
        let mut set = Digests::default();
        for source in ["a.pcap", "a/b", "a-1/b"] {
            set.add_unreadable(source);
        }
        let names: Vec<&str> = set.entries.keys().map(|name| name.0.as_str()).collect();
        assert_eq!(names, ["a/b", "a-1/b", "a.pcap"]);
    }
}
