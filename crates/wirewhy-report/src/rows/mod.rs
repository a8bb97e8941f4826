//! Rows for columnar readers, in the shape of the JSON records: a table of connections, one of findings beyond single
//! connections, one of captures.
//!
//! Rows come as the records that [`Ndjson`](crate::Ndjson) writes, so that both outputs hold the same. They stream: what
//! is kept is one row group of each table.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value as Json;

mod shred;
mod tables;

pub use shred::{Column, Field, Kind, Texts, Values};
use shred::{columns, shred};
pub use tables::Table;

/// A row group is written when it has so many rows, or so many bytes.
const ROWS: usize = 1 << 16;
const BYTES: usize = 32 << 20;

/// Rows of a table as columns, for a writer of any columnar format.
#[derive(Clone, Debug)]
pub struct Rows {
    table: Table,
    columns: Vec<Column>,
    rows: usize,
    /// Of the JSON they came from.
    bytes: usize,
}

impl Rows {
    /// No rows of this table.
    #[must_use]
    pub fn new(table: Table) -> Rows {
        Rows {
            table,
            columns: columns(table.fields()),
            rows: 0,
            bytes: 0,
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> Table {
        self.table
    }

    /// One column for each value a row may have: the leaves of the table's fields, in their order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether there are more rows than these, or more bytes of JSON in them.
    #[must_use]
    pub fn are_beyond(&self, rows: usize, bytes: usize) -> bool {
        self.rows >= rows || self.bytes >= bytes
    }

    /// Adds a capture that cannot be read, and why, to a table of captures.
    pub fn unreadable(&mut self, source: &str, problem: &str) {
        let row = serde_json::json!({"source": source, "readable": false, "problem": problem});
        self.row(&row, source.len().saturating_add(problem.len()));
    }

    /// Takes all rows out.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        (self.rows, self.bytes) = (0, 0);
    }

    /// Adds a row: a record of which the table knows the members, from so many bytes of JSON.
    fn row(&mut self, row: &Json, bytes: usize) {
        let mut rest = self.columns.as_mut_slice();
        for field in self.table.fields() {
            rest = shred(field, row.get(field.name()), 0, 0, 0, rest);
        }
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Records of NDJSON, each on its way to the table it belongs to. A capture waits for its totals.
#[derive(Clone, Debug, Default)]
pub struct Sorter {
    capture: Json,
}

impl Sorter {
    /// Adds a record to the rows that `rows_of` gives for its table, where it gives any; a capture becomes a row with its
    /// totals.
    ///
    /// # Errors
    ///
    /// Where the record is no JSON.
    pub fn record<'a>(
        &mut self,
        record: &[u8],
        rows_of: impl FnOnce(Table) -> Option<&'a mut Rows>,
    ) -> io::Result<()> {
        let mut row: Json = serde_json::from_slice(record)?;
        let kind = row.get("type").and_then(Json::as_str);
        let table = match kind {
            Some("connection") => Table::Connections,
            Some("finding") => Table::Findings,
            Some("capture") => {
                self.capture = row;
                return Ok(());
            }
            Some("totals") => Table::Captures,
            _ => return Ok(()),
        };
        if table == Table::Captures
            && let Json::Object(totals) = row
        {
            row = std::mem::take(&mut self.capture);
            if let Json::Object(capture) = &mut row {
                capture.extend(totals);
                capture.insert("readable".to_owned(), Json::Bool(true));
            }
        }
        if let Some(rows) = rows_of(table) {
            rows.row(&row, record.len());
        }
        Ok(())
    }
}

/// A table in Parquet.
pub struct Parquet<W: Write + Send> {
    file: SerializedFileWriter<W>,
    /// The row group that is kept.
    kept: Rows,
    /// In the row groups before it.
    written: u64,
}

impl<W: Write + Send> Parquet<W> {
    /// A file without rows.
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn new(table: Table, out: W) -> io::Result<Parquet<W>> {
        let schema = parse_message_type(&table.declared()).map_err(io::Error::other)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("wirewhy ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))
            .map_err(io_error)?;
        Ok(Parquet {
            file,
            kept: Rows::new(table),
            written: 0,
        })
    }

    /// Adds a capture that cannot be read, and why, to a table of captures.
    ///
    /// # Errors
    ///
    /// What the writer returns.
    pub fn unreadable(&mut self, source: &str, problem: &str) -> io::Result<()> {
        self.kept.unreadable(source, problem);
        self.write_full()
    }

    /// How many rows there are so far.
    pub fn rows(&self) -> u64 {
        self.written + self.kept.len() as u64
    }

    /// Writes what is left and the end of the file.
    ///
    /// # Errors
    ///
    /// What the writer returns.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.kept.is_empty() {
            self.write_group()?;
        }
        self.file.into_inner().map_err(io_error)
    }

    fn write_full(&mut self) -> io::Result<()> {
        if self.kept.are_beyond(ROWS, BYTES) {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.file.next_row_group().map_err(io_error)?;
        for column in self.kept.columns() {
            let Some(mut writer) = group.next_column().map_err(io_error)? else {
                break;
            };
            let (definitions, repetitions) = (&column.definitions, &column.repetitions);
            let (def, rep) = (Some(definitions.as_slice()), Some(repetitions.as_slice()));
            match &column.values {
                Values::Texts(texts) => {
                    writer
                        .typed::<ByteArrayType>()
                        .write_batch(&byte_arrays(texts), def, rep)
                }
                Values::Integers(values) => {
                    writer.typed::<Int64Type>().write_batch(values, def, rep)
                }
                Values::Numbers(values) => {
                    writer.typed::<DoubleType>().write_batch(values, def, rep)
                }
                Values::Flags(values) => writer.typed::<BoolType>().write_batch(values, def, rep),
            }
            .map_err(io_error)?;
            writer.close().map_err(io_error)?;
        }
        group.close().map_err(io_error)?;
        self.written += self.kept.len() as u64;
        self.kept.clear();
        Ok(())
    }
}

/// The strings as the writer takes them: parts of one buffer.
fn byte_arrays(texts: &Texts) -> Vec<ByteArray> {
    let all = ByteArray::from(texts.text.as_bytes().to_vec());
    let mut start = 0;
    let slice = |end: &usize| {
        let slice = all.slice(start, end - start);
        start = *end;
        slice
    };
    texts.ends.iter().map(slice).collect()
}

/// All tables, filled from records.
#[derive(Debug)]
pub struct Tables<W: Write + Send> {
    files: Vec<Parquet<W>>,
    sorter: Sorter,
}

impl<W: Write + Send> Tables<W> {
    /// Without rows, each in what `create` gives for it.
    ///
    /// # Errors
    ///
    /// What `create` and its writers return.
    pub fn new(create: impl Fn(Table) -> io::Result<W>) -> io::Result<Tables<W>> {
        let tables = Table::ALL.into_iter();
        let files = tables.map(|table| Parquet::new(table, create(table)?));
        Ok(Tables {
            files: files.collect::<io::Result<_>>()?,
            sorter: Sorter::default(),
        })
    }

    /// Adds a record of NDJSON to the table it belongs to; a capture becomes a row with its totals.
    ///
    /// # Errors
    ///
    /// What the writer returns, and where the record is no JSON.
    pub fn record(&mut self, record: &[u8]) -> io::Result<()> {
        let files = &mut self.files;
        let is_of = |table| move |file: &&mut Parquet<W>| file.kept.table() == table;
        self.sorter.record(record, |table| {
            let file = files.iter_mut().find(is_of(table));
            file.map(|file| &mut file.kept)
        })?;
        self.files.iter_mut().try_for_each(Parquet::write_full)
    }

    /// How many rows the longest table has.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(Parquet::rows).max().unwrap_or(0)
    }

    /// Writes what is left and the ends of the files. Returns what they were written to.
    ///
    /// # Errors
    ///
    /// What the writers return.
    pub fn finish(self) -> io::Result<Vec<W>> {
        self.files.into_iter().map(Parquet::finish).collect()
    }
}

impl<W: Write + Send> std::fmt::Debug for Parquet<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet")
            .field("rows", &self.rows())
            .finish_non_exhaustive()
    }
}

/// The writer's own error where there is one: a full disk is reported as such.
fn io_error(error: parquet::errors::ParquetError) -> io::Error {
    match error {
        parquet::errors::ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::{ListAccessor as _, RowAccessor as _};

    use super::*;

    fn record(number: u64, findings: &Json) -> Json {
        let direction = serde_json::json!({"packets": number, "bytes": number});
        let end = serde_json::json!({"address": "10.0.0.1", "port": 80, "name": null});
        serde_json::json!({
            "type": "connection", "source": "a".repeat(10_000), "transport": "tcp", "stream": number,
            "community_id": "1:x",
            "client": end, "server": end, "start": "2026-01-02T03:04:05.123456789Z",
            "duration_seconds": 1.5, "first_frame": 1, "last_frame": 2, "outcome": "failed",
            "root_cause": if number.is_multiple_of(2) { Json::from("tcp.refused") } else { Json::Null },
            "stage": "syn", "vantage": "unknown", "roles_known": true, "signature": null,
            "conn_state": "REJ", "history": "Sr",
            "rtt_seconds": {"handshake": 0.25, "to_server": null, "to_client": null, "smoothed": null},
            "client_to_server": direction, "server_to_client": direction,
            "tls": null, "upgrade": {"protocol": "smtp"},
            "lookup": if number.is_multiple_of(2) { Json::Null } else { serde_json::json!({"name": "www.example.com"}) },
            "findings": findings,
        })
    }

    fn finding(frames: &[u64]) -> Json {
        serde_json::json!({"code": "tcp.refused", "severity": "error", "confidence": "certain",
            "culprit": {"role": "server", "address": null, "confidence": "likely"}, "summary": "s", "frames": frames,
            "facts": {"n": 1}, "consequence_of": null})
    }

    #[test]
    fn rows_come_back_as_they_went_in_over_several_row_groups() {
        let mut file = Parquet::new(Table::Connections, tempfile::tempfile().unwrap()).unwrap();
        let number = 2 + (BYTES / 10_000) as u64;
        for row in 0..number {
            let findings = match row % 3 {
                0 => serde_json::json!([]),
                1 => serde_json::json!([finding(&[1, 2])]),
                _ => serde_json::json!([finding(&[]), finding(&[7])]),
            };
            file.kept.row(&record(row, &findings), 10_000);
            file.write_full().unwrap();
        }
        assert_eq!(file.rows(), number);
        let reader = SerializedFileReader::new(file.finish().unwrap()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
        let mut read = 0;
        for (at, row) in rows.enumerate() {
            assert_eq!(row.get_long(2).unwrap(), i64::try_from(at).unwrap());
            assert_eq!(row.get_string(11).is_err(), at % 2 == 1, "root_cause");
            assert_eq!(row.get_group(4).unwrap().get_long(1).unwrap(), 80);
            assert_eq!(row.get_group(18).unwrap().get_double(0).unwrap(), 0.25);
            assert_eq!(row.get_string(25).is_ok(), at % 2 == 1, "lookup");
            let found = row.get_list(26).unwrap();
            assert_eq!(found.len(), at % 3);
            let frames: Vec<usize> = (0..found.len())
                .map(|one| found.get_group(one).unwrap().get_list(5).unwrap().len())
                .collect();
            assert_eq!(frames, [vec![], vec![2], vec![0, 1]][at % 3]);
            read += 1;
        }
        assert_eq!(read, number);
    }
}
