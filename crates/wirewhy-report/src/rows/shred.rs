//! Records to columns, by the levels of Dremel (Melnik and others, 2010).

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value as Json;

/// A member of a record.
#[derive(Clone, Copy, Debug)]
pub enum Field {
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A string.
    Text,
    /// JSON, as a string.
    Json,
    /// A whole number, up to the largest of 64 bits with a sign.
    Integer,
    /// A number with a fraction.
    Number,
    /// True or false.
    Flag,
    /// Microseconds since 1970 in UTC.
    Time,
}

impl Field {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
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

/// The values of one column, and their places in the records: a pair of levels for each value, and for each place where
/// there is none.
#[derive(Clone, Debug)]
pub struct Column {
    kind: Kind,
    /// The values that are there, in order.
    pub values: Values,
    /// How many of the optional and repeated fields on the way to the value are there.
    pub definitions: Vec<i16>,
    /// Which of the lists on the way goes on; 0 where a new record begins.
    pub repetitions: Vec<i16>,
}

/// The values of one column.
#[derive(Clone, Debug)]
pub enum Values {
    /// Strings.
    Texts(Texts),
    /// Whole numbers and times.
    Integers(Vec<i64>),
    /// Numbers with fractions.
    Numbers(Vec<f64>),
    /// True or false.
    Flags(Vec<bool>),
}

/// Strings, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// All of them.
    pub text: String,
    /// Where each of them ends.
    pub ends: Vec<usize>,
}

impl Column {
    fn new(kind: Kind) -> Column {
        Column {
            kind,
            values: match kind {
                Kind::Text | Kind::Json => Values::Texts(Texts::default()),
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
            Values::Texts(values) => {
                values.text.clear();
                values.ends.clear();
            }
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
            (Values::Texts(values), kind) => {
                if kind == Kind::Json {
                    // A string takes all that is written into it.
                    let _ = write!(values.text, "{value}");
                } else {
                    values.text.push_str(value.as_str().unwrap_or_default());
                }
                values.ends.push(values.text.len());
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
