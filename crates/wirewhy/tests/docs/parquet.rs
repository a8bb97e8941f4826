//! The page of the tables that `scan --format parquet` writes.

use std::fmt::Write as _;

use serde_json::Value;
use wirewhy_report::{Field, Kind, Table};

use super::generated::{NOTE, SCHEMA};
use super::pages::{hold, root};

const BEGINNING: &str = "# Parquet reference\n\n\
    The columns of the tables that `wirewhy scan --format parquet -o FOLDER` writes, and that [wirewhy for \
    Python](../../crates/wirewhy-python/README.md) gives\nas Arrow. They are named and nested as the members of the \
    [JSON records](json.md): `client.port` is the column `port` of the struct `client`, `findings[].code`\nthe column `code` of \
    the structs in the list `findings`. Columns that may be null say so. *JSON* is a string in which the whole value stands as\nin \
    the JSON record. Integers have 64 bits, times are microseconds in UTC.\n";

/// What a table is, and the definitions of the schema of which its rows have the members.
fn about(table: Table) -> (&'static str, &'static [&'static str]) {
    match table {
        Table::Connections => ("One row for each connection.", &["connection", "record"]),
        Table::Findings => (
            "One row for each finding about a service, a host or a capture.",
            &["groupFinding", "finding", "record"],
        ),
        Table::Captures => (
            "One row for each capture with its totals. One that could not be read has `readable` false and the `problem`; all other columns \
             of its row are null or 0.",
            &["capture", "totals", "record"],
        ),
    }
}

/// The schema of a member of one of these.
fn member<'a>(schema: &'a Value, of: &[&'a Value], name: &str) -> Option<&'a Value> {
    of.iter().find_map(|value| {
        let alternatives = value["oneOf"].as_array().into_iter().flatten();
        let inside = alternatives.chain(value.get("items"));
        let referred = value["$ref"].as_str().and_then(|reference| {
            let name = reference.strip_prefix("#/$defs/")?;
            schema["$defs"].get(name)
        });
        value["properties"].get(name).or_else(|| {
            inside
                .chain(referred)
                .find_map(|inner| member(schema, &[inner], name))
        })
    })
}

fn typed(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Json => "JSON",
        Kind::Integer => "integer",
        Kind::Number => "double",
        Kind::Flag => "boolean",
        Kind::Time => "timestamp",
    }
}

fn columns(page: &mut String, schema: &Value, front: &str, field: &Field, of: &[&Value]) {
    let name = field.name();
    let found = member(schema, of, name);
    let text = match (found, name) {
        (None, "readable") => "Whether it could be read.",
        (found, _) => {
            found.unwrap_or_else(|| panic!("{front}{name} is not in the schema"))["description"]
                .as_str()
                .unwrap_or_default()
        }
    };
    let (kind, inside): (_, &[Field]) = match field {
        Field::Leaf(_, kind) => (typed(*kind).to_owned(), &[]),
        Field::Maybe(_, kind) => (format!("{} or null", typed(*kind)), &[]),
        Field::Group(_, fields) => ("struct".to_owned(), fields),
        Field::List(_, Field::Group(_, fields)) => ("list of structs".to_owned(), fields),
        Field::List(_, Field::Leaf(_, kind)) => (format!("list of {}s", typed(*kind)), &[]),
        Field::List(..) => panic!("{front}{name}: a list of what else?"),
    };
    writeln!(page, "| `{front}{name}` | {kind} | {text} |").unwrap();
    let list = if matches!(field, Field::List(..)) {
        "[]"
    } else {
        ""
    };
    for field in inside {
        columns(
            page,
            schema,
            &format!("{front}{name}{list}."),
            field,
            &[found.unwrap()],
        );
    }
}

#[test]
fn the_page_of_parquet_is_the_tables() {
    let text = std::fs::read_to_string(root().join(SCHEMA)).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut page = format!("{NOTE}{BEGINNING}");
    for table in Table::ALL {
        let (text, definitions) = about(table);
        let definitions: Vec<&Value> = definitions
            .iter()
            .map(|name| &schema["$defs"][name])
            .collect();
        write!(
            page,
            "\n## {}\n\n{text}\n\n| column | type | what it is |\n| --- | --- | --- |\n",
            table.name()
        )
        .unwrap();
        for field in table.fields() {
            columns(&mut page, &schema, "", field, &definitions);
        }
    }
    hold(&root().join("docs/src/parquet.md"), &page);
}
