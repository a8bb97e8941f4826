//! How far the scan is, for a user at a terminal.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::walk::{Found, Walk};

/// Files and bytes done, of how many, how fast, how long still.
const TEMPLATE: &str =
    "{wide_bar} {msg} files, {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";

/// The same while it is not known how many there are.
const ENDLESS: &str = "{spinner} {msg} files, {bytes}, {bytes_per_sec}";

/// A bar on standard error. Where that is no terminal it shows nothing and costs next to nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    done: AtomicU64,
    files: AtomicU64,
}

impl Progress {
    /// A bar on standard error.
    pub(crate) fn on_terminal() -> Progress {
        Progress::on(ProgressDrawTarget::stderr())
    }

    /// No bar.
    pub(crate) fn silent() -> Progress {
        Progress::on(ProgressDrawTarget::hidden())
    }

    fn on(target: ProgressDrawTarget) -> Progress {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template(ENDLESS) {
            bar.set_style(style);
        }
        Progress {
            bar,
            done: AtomicU64::new(0),
            files: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_seen(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Finds out how much there is, by a walk of its own, while the scan has begun already.
    pub(crate) fn count(&self, walk: Walk, stop: impl Fn() -> bool) {
        let (mut files, mut bytes) = (0, 0_u64);
        for found in walk {
            if stop() {
                return;
            }
            if let Ok(Found::File(path)) = found {
                files += 1;
                let len = std::fs::metadata(&path).map_or(0, |data| data.len());
                bytes = bytes.saturating_add(len);
            }
        }
        self.files.store(files, Ordering::Relaxed);
        self.bar.set_length(bytes);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            self.bar.set_style(style);
        }
    }

    /// So many bytes of a file were read.
    pub(crate) fn read(&self, bytes: u64) {
        if self.is_seen() {
            self.bar.inc(bytes);
        }
    }

    /// A file is done.
    pub(crate) fn file(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.is_seen() {
            return;
        }
        let message = match self.files.load(Ordering::Relaxed) {
            0 => done.to_string(),
            files => format!("{done} of {files}"),
        };
        self.bar.set_message(message);
    }

    /// Does what writes to the terminal, with the bar out of its way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.is_seen() {
            self.bar.suspend(write)
        } else {
            write()
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
