//! The files of a walk, put together to recordings.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use wirewhy_capture::{Joining, recordings};

use super::walk::{Found, Walk};
use crate::exit::Failure;

/// How many files of one folder are looked at together.
const MOST: usize = 1 << 16;

/// A walk whose files are put together to recordings: those of one folder that follow each other in the walk, or all of
/// them where that is asked for.
pub(crate) struct Grouped {
    walk: Peekable<Walk>,
    joining: Joining,
    ready: VecDeque<Found>,
}

impl Grouped {
    pub(crate) fn new(walk: Walk, joining: Joining) -> Grouped {
        Grouped {
            walk: walk.peekable(),
            joining,
            ready: VecDeque::new(),
        }
    }

    /// Puts together the files that come with this one.
    fn gather(&mut self, first: PathBuf) {
        let mut others = Vec::new();
        let mut files = vec![first];
        while files.len() < MOST || self.joining == Joining::Always {
            let folder = files
                .last()
                .and_then(|file| file.parent())
                .map(Path::to_path_buf);
            let belongs = |found: &Result<Found, Failure>| match found {
                Ok(Found::File(path)) => {
                    self.joining == Joining::Always || path.parent() == folder.as_deref()
                }
                Ok(Found::Other) => true,
                _ => false,
            };
            match self.walk.next_if(belongs) {
                Some(Ok(Found::File(path))) => files.push(path),
                Some(Ok(other)) => others.push(other),
                _ => break,
            }
        }
        for sequence in recordings(&files, self.joining) {
            let mut paths = sequence.paths();
            let found = match (paths.next(), paths.next()) {
                (Some(only), None) => Found::File(only.to_path_buf()),
                _ => Found::Recording(sequence.clone()),
            };
            self.ready.push_back(found);
        }
        self.ready.extend(others);
    }
}

impl Iterator for Grouped {
    type Item = Result<Found, Failure>;

    fn next(&mut self) -> Option<Result<Found, Failure>> {
        if let Some(found) = self.ready.pop_front() {
            return Some(Ok(found));
        }
        match self.walk.next()? {
            Ok(Found::File(path)) if self.joining != Joining::Never => {
                self.gather(path);
                self.next()
            }
            found => Some(found),
        }
    }
}
