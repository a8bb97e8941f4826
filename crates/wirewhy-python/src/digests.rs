//! Many recordings as one summary.

use std::io;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use wirewhy_report::{Archive, Color, Digests, Extent, Names, Shown, TextStyle, View};

/// What many recordings show: the summary that `wirewhy scan` prints.
#[pyclass(module = "wirewhy", frozen)]
pub(crate) struct Summary {
    digests: Digests,
    view: View,
}

impl Summary {
    pub(crate) fn new(digests: Digests, view: View) -> Summary {
        Summary { digests, view }
    }

    fn written(
        &self,
        archive: Archive,
        write: impl FnOnce(&Archive, &mut Vec<u8>, Shown<'_>) -> io::Result<()>,
    ) -> PyResult<String> {
        let mut archive = archive;
        self.digests.sum_up(&mut archive);
        let names = Names::default();
        let shown = Shown {
            names: &names,
            view: &self.view,
        };
        let mut text = Vec::new();
        write(&archive, &mut text, shown)?;
        Ok(String::from_utf8(text)?)
    }
}

#[pymethods]
impl Summary {
    /// How many recordings and other files it is about.
    fn __len__(&self) -> usize {
        self.digests.len()
    }

    /// All digests as one set.
    #[getter]
    fn digests<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut lines = Vec::new();
        self.digests.write(&mut lines)?;
        Ok(PyBytes::new(py, &lines))
    }

    /// The summary for a person.
    #[pyo3(signature = (width = TextStyle::MAX_WIDTH))]
    fn text(&self, width: usize) -> PyResult<String> {
        let look = TextStyle::new(width, Color::Never);
        self.written(Archive::default(), |archive, text, shown| {
            archive.write_text(text, look, shown, Extent::Whole)
        })
    }

    /// The summary as the last record of `wirewhy scan --format ndjson`.
    fn json(&self) -> PyResult<String> {
        self.written(Archive::default(), |archive, text, shown| {
            archive.write_ndjson(text, shown, Extent::Whole)
        })
    }

    /// The summary as a page, with the recordings in it.
    fn html(&self) -> PyResult<String> {
        self.written(Archive::listing(), |archive, text, shown| {
            archive.write_html(text, shown, Extent::Whole)
        })
    }

    fn __str__(&self) -> PyResult<String> {
        self.text(TextStyle::MAX_WIDTH)
    }
}
