//! wirewhy for Python: the rows of `wirewhy scan --format parquet` as Arrow, from paths and from any object with `read`.
//!
//! This is the module `_native`; what users import is the package around it (`python/wirewhy`). It hands over Arrow through
//! the C stream interface, and does all its work without the interpreter's lock. There is no unsafe code in it: PyO3 makes
//! the capsules, `arrow-array` the structures that they hold.

mod columns;
mod digests;
mod job;
mod source;
mod stream;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use wirewhy_report::{Digests, Table};

use digests::Summary;
use job::{Job, Options, Strictness};
use source::Source;
use stream::{Collected, Stream};

/// The module.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Stream>()?;
    module.add_class::<Collected>()?;
    module.add_class::<Summary>()?;
    module.add_function(wrap_pyfunction!(stream_of, module)?)?;
    module.add_function(wrap_pyfunction!(examine, module)?)?;
    module.add_function(wrap_pyfunction!(digests_of, module)?)?;
    module.add_function(wrap_pyfunction!(group, module)?)?;
    module.add_function(wrap_pyfunction!(summarize, module)?)?;
    module.add_function(wrap_pyfunction!(schema, module)?)?;
    Ok(())
}

/// One table over some files, as it comes.
#[pyfunction]
fn stream_of(
    py: Python<'_>,
    source: Source,
    table: &str,
    options: Options,
    strict: bool,
) -> PyResult<Stream> {
    let table = table_of(table)?;
    let strictness = if strict {
        Strictness::Raise
    } else {
        Strictness::Row
    };
    py.detach(|| {
        let job = Job::new(source, options, strictness)?;
        stream::spawn(job, table)
    })
}

/// All tables over some files, and their digests.
#[pyfunction]
fn examine(py: Python<'_>, source: Source, options: Options) -> PyResult<Collected> {
    py.detach(|| {
        let mut collected = Collected::new()?;
        let mut job = Job::new(source, options, Strictness::Row)?;
        let digests = job.run(&Table::ALL, &mut |table, batch| {
            collected.add(table, batch);
            Ok(())
        })?;
        collected.finish(&digests)?;
        Ok(collected)
    })
}

/// The digests of some files, as lines of JSON.
#[pyfunction]
fn digests_of(py: Python<'_>, source: Source, options: Options) -> PyResult<Py<PyBytes>> {
    let lines = py.detach(|| -> PyResult<Vec<u8>> {
        let mut job = Job::new(source, options, Strictness::Row)?;
        let digests = job.run(&[], &mut |_, _| Ok(()))?;
        let mut lines = Vec::new();
        digests.write(&mut lines)?;
        Ok(lines)
    })?;
    Ok(PyBytes::new(py, &lines).unbind())
}

/// Which of the files are one recording.
#[pyfunction]
fn group(py: Python<'_>, source: Source) -> Vec<Vec<String>> {
    py.detach(|| source.recordings())
}

/// Many digests as one set.
#[pyfunction]
fn summarize(py: Python<'_>, digests: Vec<Vec<u8>>, options: Options) -> PyResult<Summary> {
    py.detach(|| {
        let mut set = Digests::default();
        for lines in digests {
            set.read(&mut lines.as_slice())?;
        }
        Ok(Summary::new(set, options.view()))
    })
}

/// What the rows of a table have.
#[pyfunction]
fn schema(table: &str) -> PyResult<Stream> {
    stream::of_batches(table_of(table)?, Vec::new())
}

fn table_of(name: &str) -> PyResult<Table> {
    let mut tables = Table::ALL.into_iter();
    tables.find(|table| table.name() == name).ok_or_else(|| {
        pyo3::exceptions::PyValueError::new_err(format!("there is no table called {name}"))
    })
}
