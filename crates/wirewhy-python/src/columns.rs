//! Rows of a table to a batch of Arrow. Fields and values are those of the Parquet tables, so that both hold the same.

use std::iter::Peekable;
use std::slice;
use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, ListArray, PrimitiveArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{
    ArrowError, DataType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit,
};
use wirewhy_report::{Column, Field, Kind, Rows, Table, Texts, Values};

/// The zone of all times.
const UTC: &str = "UTC";

/// The schema of a table.
pub(crate) fn schema(table: Table) -> SchemaRef {
    let fields: Vec<ArrowField> = table.fields().map(declared).collect();
    Arc::new(Schema::new(fields))
}

/// The rows as a batch.
pub(crate) fn batch(rows: &Rows) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().iter().peekable();
    let arrays = rows
        .table()
        .fields()
        .map(|field| array(field, Level::default(), &mut columns));
    RecordBatch::try_new(schema(rows.table()), arrays.collect::<Result<_, _>>()?)
}

fn declared(field: &Field) -> ArrowField {
    let data_type = match field {
        Field::Leaf(_, kind) | Field::Maybe(_, kind) => match kind {
            Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::Number => DataType::Float64,
            Kind::Flag => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        },
        Field::Group(_, fields) => DataType::Struct(fields.iter().map(declared).collect()),
        Field::List(_, element) => DataType::List(Arc::new(declared(element))),
    };
    ArrowField::new(field.name(), data_type, matches!(field, Field::Maybe(..)))
}

/// Where a field stands.
#[derive(Clone, Copy, Default)]
struct Level {
    /// In how many lists.
    lists: i16,
    /// The definition level of one that is there.
    definition: i16,
}

impl Level {
    /// Whether an entry begins one more of this field.
    fn begins(self, repetition: i16, definition: i16) -> bool {
        repetition <= self.lists && definition >= self.definition
    }

    /// That of the elements of a list that stands here.
    fn inside(self) -> Level {
        Level {
            lists: self.lists + 1,
            definition: self.definition + 1,
        }
    }
}

type Columns<'a> = Peekable<slice::Iter<'a, Column>>;

fn array(field: &Field, level: Level, columns: &mut Columns<'_>) -> Result<ArrayRef, ArrowError> {
    match field {
        Field::Leaf(_, kind) => {
            let column = columns.next().ok_or_else(missing)?;
            leaf(*kind, column, None)
        }
        Field::Maybe(_, kind) => {
            let column = columns.next().ok_or_else(missing)?;
            leaf(*kind, column, Some(there(level, column)))
        }
        Field::Group(_, fields) => {
            let declared: Fields = fields.iter().map(declared).collect();
            let arrays = fields.iter().map(|field| array(field, level, columns));
            let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::try_new(declared, arrays, None)?))
        }
        Field::List(_, element) => {
            let first = columns.peek().ok_or_else(missing)?;
            let offsets = offsets(first, level);
            let elements = array(element, level.inside(), columns)?;
            let element = Arc::new(declared(element));
            Ok(Arc::new(ListArray::try_new(
                element, offsets, elements, None,
            )?))
        }
    }
}

fn missing() -> ArrowError {
    ArrowError::SchemaError("the columns are not those of the table".to_owned())
}

/// Where the lists end that stand at `level`, by one of the columns in them.
fn offsets(column: &Column, level: Level) -> OffsetBuffer<i32> {
    let levels = column.repetitions.iter().zip(&column.definitions);
    let mut lengths = Vec::new();
    for (repetition, definition) in levels {
        if level.begins(*repetition, *definition) {
            lengths.push(0_usize);
        }
        if level.inside().begins(*repetition, *definition)
            && let Some(length) = lengths.last_mut()
        {
            *length += 1;
        }
    }
    OffsetBuffer::from_lengths(lengths)
}

fn leaf(kind: Kind, column: &Column, there: Option<Vec<bool>>) -> Result<ArrayRef, ArrowError> {
    Ok(match (&column.values, kind) {
        (Values::Texts(texts), _) => Arc::new(strings(texts, there)?),
        (Values::Integers(values), Kind::Time) => {
            let times = primitive::<TimestampMicrosecondType>(values, there)?;
            Arc::new(times.with_timezone(UTC))
        }
        (Values::Integers(values), _) => Arc::new(primitive::<Int64Type>(values, there)?),
        (Values::Numbers(values), _) => Arc::new(primitive::<Float64Type>(values, there)?),
        (Values::Flags(values), _) => {
            let (values, nulls) = spread(values, there);
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
        }
    })
}

/// For each place of an optional value whether it is there.
fn there(level: Level, column: &Column) -> Vec<bool> {
    let places = column.definitions.iter();
    let places = places.filter(|definition| **definition >= level.definition);
    places.map(|place| *place > level.definition).collect()
}

/// The values in their places, with a default where there is none.
fn spread<T: Copy + Default>(
    values: &[T],
    there: Option<Vec<bool>>,
) -> (Vec<T>, Option<NullBuffer>) {
    let Some(there) = there else {
        return (values.to_vec(), None);
    };
    let mut left = values.iter().copied();
    let place = |is_there: &bool| {
        let value = if *is_there { left.next() } else { None };
        value.unwrap_or_default()
    };
    let values = there.iter().map(place).collect();
    (values, Some(NullBuffer::from(there)))
}

fn primitive<T: ArrowPrimitiveType>(
    values: &[T::Native],
    there: Option<Vec<bool>>,
) -> Result<PrimitiveArray<T>, ArrowError> {
    let (values, nulls) = spread(values, there);
    PrimitiveArray::try_new(ScalarBuffer::from(values), nulls)
}

fn strings(texts: &Texts, there: Option<Vec<bool>>) -> Result<StringArray, ArrowError> {
    let mut start = 0;
    let lengths = texts.ends.iter().map(|end| {
        let length = end - start;
        start = *end;
        length
    });
    let lengths: Vec<usize> = lengths.collect();
    let (lengths, nulls) = spread(&lengths, there);
    let offsets = OffsetBuffer::from_lengths(lengths);
    StringArray::try_new(offsets, Buffer::from(texts.text.as_bytes()), nulls)
}
