//! Captures that are read several times.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::NamedTempFile;
use wirewhy_capture::{Joining, Opener, Reader, Recording, open_until, recordings};

use crate::exit::{Failure, in_words};
use crate::setup::unreadable;

/// The files of one recording, or what came by standard input.
pub(super) enum Input {
    Files(Vec<PathBuf>, Arc<AtomicBool>),
    Spooled(NamedTempFile),
}

impl Input {
    /// Standard input is copied into a temporary file, up to its end or to the first signal; `stop` is lowered then, because
    /// what was read is to be written.
    pub(super) fn new(files: &[PathBuf], stop: &Arc<AtomicBool>) -> Result<Input, Failure> {
        let [path] = files else {
            return Ok(Input::Files(files.to_vec(), Arc::clone(stop)));
        };
        if path != Path::new("-") {
            return Ok(Input::Files(files.to_vec(), Arc::clone(stop)));
        }
        let spooled = spool(stop).map_err(|error| {
            Failure::new(format!(
                "standard input, into a temporary file: {}",
                in_words(&error)
            ))
        })?;
        stop.store(false, Ordering::Relaxed);
        Ok(Input::Spooled(spooled))
    }

    /// The recording from its beginning.
    pub(super) fn open(&self) -> Result<Recording, Failure> {
        match self {
            Input::Files(files, stop) => {
                let stop = Arc::clone(stop);
                let opener: Opener = Box::new(move |path| open_until(path, &stop));
                let sequence = recordings(files, Joining::Always).into_iter().next();
                let opened =
                    sequence.map_or(Err(Vec::new()), |sequence| sequence.open_with(opener));
                opened.map_err(|errors| {
                    let lines: Vec<String> = errors.iter().map(unreadable).collect();
                    Failure::new(lines.join("\n"))
                })
            }
            Input::Spooled(spooled) => {
                let file: File = spooled.reopen().map_err(Failure::new)?;
                Reader::new(Box::new(file), "-".to_owned())
                    .map(Recording::from)
                    .map_err(|error| Failure::new(unreadable(&error)))
            }
        }
    }
}

fn spool(stop: &AtomicBool) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    let mut piece = vec![0; 64 << 10];
    let mut input = io::stdin().lock();
    while !stop.load(Ordering::Relaxed) {
        match input.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => file.write_all(piece.get(..len).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(file)
}
