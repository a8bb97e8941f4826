//! Where captures come from: files of this machine, or whatever Python opens.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyFileNotFoundError, PyPermissionError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};
use wirewhy_capture::{
    FileSequence, Joining, OpenError, OpenErrorKind, Opener, Reader, open_until, recordings,
    recordings_with,
};

/// The first read of a Python object asks for so much, each further one for twice as much up to the most: a look at the
/// beginning of a file is cheap, and reading all of it rarely takes the interpreter's lock.
const FIRST: usize = 64 << 10;
const MOST: usize = 4 << 20;

/// Some files.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Source {
    names: Vec<PathBuf>,
    /// Gives an object with `read` for a name. Without it, names are paths of this machine.
    open: Option<Py<PyAny>>,
    joining: String,
}

impl Source {
    /// The files that are one recording, by their names.
    pub(crate) fn recordings(&self) -> Vec<Vec<String>> {
        let sequences = self.sequences();
        let names = |sequence: &FileSequence| {
            let paths = sequence.paths();
            paths.map(|path| path.display().to_string()).collect()
        };
        sequences.iter().map(names).collect()
    }

    pub(crate) fn sequences(&self) -> Vec<FileSequence> {
        let joining = match self.joining.as_str() {
            "never" => Joining::Never,
            "always" => Joining::Always,
            _ => Joining::Recognised,
        };
        let Some(open) = &self.open else {
            return recordings(&self.names, joining);
        };
        let stop = Arc::default();
        let mut opened = |path: &Path| opened(open, path, &stop);
        recordings_with(&self.names, joining, &mut opened)
    }

    /// Opens a file, by Python where that is wanted. Once `stop` is set it ends.
    pub(crate) fn opener(&self, stop: &Arc<AtomicBool>) -> Opener {
        let stop = Arc::clone(stop);
        match &self.open {
            None => Box::new(move |path| open_until(path, &stop)),
            Some(open) => {
                let open = Python::attach(|py| open.clone_ref(py));
                Box::new(move |path| opened(&open, path, &stop))
            }
        }
    }
}

fn opened(open: &Py<PyAny>, path: &Path, stop: &Arc<AtomicBool>) -> Result<Reader, OpenError> {
    let source = path.display().to_string();
    let object = Python::attach(|py| {
        let object = open.call1(py, (source.as_str(),));
        object.map_err(|error| OpenError {
            source: source.clone(),
            kind: kind_of(py, &error),
        })
    })?;
    Reader::new(Box::new(Object::new(object, Arc::clone(stop))), source)
}

fn kind_of(py: Python<'_>, error: &PyErr) -> OpenErrorKind {
    if error.is_instance_of::<PyFileNotFoundError>(py) {
        OpenErrorKind::NotFound
    } else if error.is_instance_of::<PyPermissionError>(py) {
        OpenErrorKind::PermissionDenied
    } else {
        OpenErrorKind::Io(io::Error::other(error.to_string()))
    }
}

/// A Python object with `read`.
struct Object {
    object: Py<PyAny>,
    /// What was read and not asked for yet.
    chunk: Vec<u8>,
    at: usize,
    next: usize,
    /// Set when nothing is read any more.
    stop: Arc<AtomicBool>,
}

impl Object {
    fn new(object: Py<PyAny>, stop: Arc<AtomicBool>) -> Object {
        Object {
            object,
            stop,
            chunk: Vec::new(),
            at: 0,
            next: FIRST,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let wanted = self.next;
        self.next = wanted.saturating_mul(2).min(MOST);
        self.at = 0;
        self.chunk.clear();
        Python::attach(|py| {
            let read = self
                .object
                .call_method1(py, intern!(py, "read"), (wanted,))?;
            let read = bytes_of(read.bind(py))?;
            self.chunk.extend_from_slice(read.as_bytes());
            Ok(())
        })
        .map_err(|error: PyErr| io::Error::other(error.to_string()))
    }
}

/// What `read` returned, whatever kind of buffer it is.
fn bytes_of<'py>(read: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = read.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let py = read.py();
    // From a number, `bytes` would make so many zeros.
    if read.is_none() || read.is_instance_of::<PyInt>() {
        let kind = read.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "read() must return bytes, not {kind}"
        )));
    }
    let bytes = py.get_type::<PyBytes>().call1((read,))?;
    Ok(bytes.cast_into::<PyBytes>()?)
}

impl Read for Object {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(0);
        }
        if self.at >= self.chunk.len() {
            self.fill()?;
        }
        let mut rest = self.chunk.get(self.at..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

impl Drop for Object {
    /// The object is closed once it was read, or is not read any further.
    fn drop(&mut self) {
        // Nothing is left to close where the interpreter has ended.
        let _ = Python::try_attach(|py| {
            let close = self.object.call_method0(py, intern!(py, "close"));
            // What was only read is not harmed by a failure to close it.
            close.ok()
        });
    }
}
