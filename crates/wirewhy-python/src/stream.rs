//! Batches as Arrow's C stream.
//!
//! A thread analyses and hands over one batch after another; it is at most a few batches ahead of the reader, so
//! memory does not grow with the capture.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use wirewhy_report::{Digests, Table};

use crate::columns;
use crate::job::Job;

/// How many batches wait to be read.
const WAITING: usize = 2;

/// A table that any library with support for Arrow can read, once, without a copy.
#[pyclass(module = "wirewhy")]
pub(crate) struct Stream {
    schema: SchemaRef,
    batches: Mutex<Batches>,
}

/// Where the batches come from.
enum Batches {
    /// From an analysis under way.
    Once(Option<Box<dyn RecordBatchReader + Send>>),
    /// From memory, as often as is wanted.
    Kept(Vec<RecordBatch>),
}

#[pymethods]
impl Stream {
    /// The rows as the capsule of an ArrowArrayStream. They can be read once, if they come from an analysis.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The protocol lets a producer answer with the schema it has.
        drop(requested_schema);
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let reader: Box<dyn RecordBatchReader + Send> = match &mut *batches {
            Batches::Once(reader) => reader.take().ok_or_else(|| {
                PyValueError::new_err("this stream was read already: make another one")
            })?,
            Batches::Kept(batches) => {
                let batches = batches.clone().into_iter().map(Ok);
                Box::new(RecordBatchIterator::new(batches, self.schema.clone()))
            }
        };
        let stream = FFI_ArrowArrayStream::new(reader);
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// The schema as the capsule of an ArrowSchema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.schema.as_ref()).map_err(failed)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    fn __repr__(&self) -> String {
        let columns = self.schema.fields().iter();
        let names: Vec<&str> = columns.map(|field| field.name().as_str()).collect();
        format!("<wirewhy.Stream of {}>", names.join(", "))
    }
}

fn failed(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// Batches that are there.
pub(crate) fn of_batches(table: Table, batches: Vec<RecordBatch>) -> PyResult<Stream> {
    Ok(Stream {
        schema: columns::schema(table),
        batches: Mutex::new(Batches::Kept(batches)),
    })
}

/// Begins the work in a thread of its own.
pub(crate) fn spawn(mut job: Job, table: Table) -> PyResult<Stream> {
    let (sender, receiver) = sync_channel(WAITING);
    let stop = Arc::clone(&job.stop);
    let work = move || {
        let send = |batch| send(&sender, Message::Batch(batch));
        let ended = job.run(&[table], &mut |_, batch| send(batch));
        let last = match ended {
            Ok(_) => Message::End,
            Err(error) => Message::Failed(error),
        };
        // Where nothing reads any more, nothing is missed.
        let _ = sender.send(last);
    };
    thread::Builder::new()
        .name("wirewhy".to_owned())
        .spawn(work)?;
    let schema = columns::schema(table);
    let reader = Incoming {
        schema: schema.clone(),
        messages: Some(receiver),
        stop,
    };
    Ok(Stream {
        schema,
        batches: Mutex::new(Batches::Once(Some(Box::new(reader)))),
    })
}

fn send(sender: &SyncSender<Message>, message: Message) -> io::Result<()> {
    let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the rows are not read any more");
    sender.send(message).map_err(gone)
}

enum Message {
    Batch(RecordBatch),
    End,
    Failed(io::Error),
}

/// Batches as the thread sends them.
struct Incoming {
    schema: SchemaRef,
    /// Nothing once the last one came.
    messages: Option<Receiver<Message>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Incoming {
    fn receive(&mut self) -> Option<Message> {
        let messages = self.messages.take()?;
        let lost = || Message::Failed(io::Error::other("the analysis ended unexpectedly"));
        // The thread may need the interpreter to read a file, and a caller may hold its lock.
        let wait = move || {
            let message = messages.recv();
            (messages, message)
        };
        let (messages, message) = Python::attach(|py| py.detach(wait));
        self.messages = Some(messages);
        Some(message.unwrap_or_else(|_| lost()))
    }
}

impl Iterator for Incoming {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = match self.receive()? {
            Message::Batch(batch) => return Some(Ok(batch)),
            Message::End => None,
            Message::Failed(error) => Some(Err(ArrowError::IoError(error.to_string(), error))),
        };
        self.messages = None;
        last
    }
}

impl RecordBatchReader for Incoming {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Everything about some files.
#[pyclass(module = "wirewhy")]
pub(crate) struct Collected {
    batches: Vec<(Table, RecordBatch)>,
    digests: Vec<u8>,
}

impl Collected {
    pub(crate) fn new() -> PyResult<Collected> {
        Ok(Collected {
            batches: Vec::new(),
            digests: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, table: Table, batch: RecordBatch) {
        self.batches.push((table, batch));
    }

    pub(crate) fn finish(&mut self, digests: &Digests) -> io::Result<()> {
        digests.write(&mut self.digests)
    }

    fn of(&self, table: Table) -> PyResult<Stream> {
        let batches = self.batches.iter().filter(|(of, _)| *of == table);
        of_batches(table, batches.map(|(_, batch)| batch.clone()).collect())
    }
}

#[pymethods]
impl Collected {
    /// One row a connection.
    #[getter]
    fn connections(&self) -> PyResult<Stream> {
        self.of(Table::Connections)
    }

    /// One row a finding beyond single connections.
    #[getter]
    fn findings(&self) -> PyResult<Stream> {
        self.of(Table::Findings)
    }

    /// One row a recording, or a file that cannot be read.
    #[getter]
    fn captures(&self) -> PyResult<Stream> {
        self.of(Table::Captures)
    }

    /// What `summarize` needs to know of them.
    #[getter]
    fn digests<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.digests)
    }
}
