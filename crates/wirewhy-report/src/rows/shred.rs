//! Records to columns, by the levels of Dremel (Melnik and others, 2010).

use jiff::Timestamp;
use parquet::data_type::ByteArray;
use serde_json::Value as Json;

use super::bytes;

/// A member of a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    /// Always there.
    Leaf(&'static str, Kind),
    /// Null at times.
    Maybe(&'static str, Kind),
    /// Members under one name.
    Group(&'static str, &'static [Field]),
    /// Any number of what is called `element`.
    List(&'static str, &'static Field),
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Json,
    Integer,
    Number,
    Flag,
    Time,
}

impl Field {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Field::Leaf(name, _)
            | Field::Maybe(name, _)
            | Field::Group(name, _)
            | Field::List(name, _) => name,
        }
    }

    /// The field in Parquet's language of schemas.
    pub(super) fn declared(&self) -> String {
        match self {
            Field::Leaf(name, kind) => kind.declared("required", name),
            Field::Maybe(name, kind) => kind.declared("optional", name),
            Field::Group(name, fields) => {
                let fields: String = fields.iter().map(Field::declared).collect();
                format!("required group {name} {{ {fields} }} ")
            }
            Field::List(name, element) => {
                let element = element.declared();
                format!("required group {name} (LIST) {{ repeated group list {{ {element} }} }} ")
            }
        }
    }

    fn kinds(&self, into: &mut Vec<Kind>) {
        match self {
            Field::Leaf(_, kind) | Field::Maybe(_, kind) => into.push(*kind),
            Field::Group(_, fields) => fields.iter().for_each(|field| field.kinds(into)),
            Field::List(_, element) => element.kinds(into),
        }
    }
}

impl Kind {
    fn declared(self, presence: &str, name: &str) -> String {
        match self {
            // Not Parquet's own type for JSON, which readers take for bytes.
            Kind::Text | Kind::Json => format!("{presence} binary {name} (STRING); "),
            Kind::Integer => format!("{presence} int64 {name}; "),
            Kind::Number => format!("{presence} double {name}; "),
            Kind::Flag => format!("{presence} boolean {name}; "),
            Kind::Time => format!("{presence} int64 {name} (TIMESTAMP(MICROS,true)); "),
        }
    }
}

/// The values of one column, and their places in the records.
#[derive(Debug)]
pub(super) struct Column {
    kind: Kind,
    pub(super) values: Values,
    pub(super) definitions: Vec<i16>,
    pub(super) repetitions: Vec<i16>,
}

#[derive(Debug)]
pub(super) enum Values {
    Bytes(Vec<ByteArray>),
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
}

impl Column {
    fn new(kind: Kind) -> Column {
        Column {
            kind,
            values: match kind {
                Kind::Text | Kind::Json => Values::Bytes(Vec::new()),
                Kind::Integer | Kind::Time => Values::Integers(Vec::new()),
                Kind::Number => Values::Numbers(Vec::new()),
                Kind::Flag => Values::Flags(Vec::new()),
            },
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        match &mut self.values {
            Values::Bytes(values) => values.clear(),
            Values::Integers(values) => values.clear(),
            Values::Numbers(values) => values.clear(),
            Values::Flags(values) => values.clear(),
        }
        self.definitions.clear();
        self.repetitions.clear();
    }

    fn absent(&mut self, repetition: i16, definition: i16) {
        self.definitions.push(definition);
        self.repetitions.push(repetition);
    }

    fn present(&mut self, value: &Json, repetition: i16, definition: i16) {
        self.absent(repetition, definition);
        match (&mut self.values, self.kind) {
            (Values::Bytes(values), Kind::Json) => values.push(bytes(value.to_string())),
            (Values::Bytes(values), _) => {
                values.push(bytes(value.as_str().unwrap_or_default()));
            }
            (Values::Integers(values), Kind::Time) => values.push(microseconds(value)),
            (Values::Integers(values), _) => {
                let beyond = || value.as_u64().map_or(0, |_| i64::MAX);
                values.push(value.as_i64().unwrap_or_else(beyond));
            }
            (Values::Numbers(values), _) => values.push(value.as_f64().unwrap_or_default()),
            (Values::Flags(values), _) => values.push(value.as_bool().unwrap_or_default()),
        }
    }
}

/// Since 1970, as all readers can have it: Spark knows no nanoseconds.
fn microseconds(value: &Json) -> i64 {
    let time: Option<Timestamp> = value.as_str().and_then(|text| text.parse().ok());
    time.map_or(0, Timestamp::as_microsecond)
}

/// One column for each value a record may have.
pub(super) fn columns(fields: impl Iterator<Item = &'static Field>) -> Vec<Column> {
    let mut kinds = Vec::new();
    fields.for_each(|field| field.kinds(&mut kinds));
    kinds.into_iter().map(Column::new).collect()
}

/// Puts the value of a field into its columns, the first of those given. Returns the others. `lists` is in how many lists
/// it stands.
pub(super) fn shred<'a>(
    field: &Field,
    value: Option<&Json>,
    lists: i16,
    repetition: i16,
    definition: i16,
    columns: &'a mut [Column],
) -> &'a mut [Column] {
    let value = value.unwrap_or(&Json::Null);
    match field {
        Field::Leaf(..) | Field::Maybe(..) => {
            let (own, rest) = columns.split_at_mut(columns.len().min(1));
            let Some(column) = own.first_mut() else {
                return rest;
            };
            match field {
                Field::Leaf(..) => column.present(value, repetition, definition),
                _ if value.is_null() => column.absent(repetition, definition),
                _ => column.present(value, repetition, definition + 1),
            }
            rest
        }
        Field::Group(_, fields) => {
            let mut rest = columns;
            for field in *fields {
                let member = value.get(field.name());
                rest = shred(field, member, lists, repetition, definition, rest);
            }
            rest
        }
        Field::List(_, element) => {
            let mut kinds = Vec::new();
            element.kinds(&mut kinds);
            let (own, rest) = columns.split_at_mut(kinds.len().min(columns.len()));
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if items.is_empty() {
                for column in own {
                    column.absent(repetition, definition);
                }
                return rest;
            }
            let mut repetition = repetition;
            for item in items {
                shred(
                    element,
                    Some(item),
                    lists + 1,
                    repetition,
                    definition + 1,
                    own,
                );
                repetition = lists + 1;
            }
            rest
        }
    }
}
