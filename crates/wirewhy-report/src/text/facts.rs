//! The measured values behind a sentence, in words.

use std::io;

use wirewhy_detect::{Finding, Value};

use crate::style::Sheet;
use crate::{Names, Safe, format};

/// The measured values behind the finding.
pub(crate) fn write(page: &mut dyn Sheet, finding: &Finding, names: &Names) -> io::Result<()> {
    let known = finding
        .facts
        .0
        .iter()
        .filter(|(_, value)| *value != Value::Absent && *value != Value::List(Vec::new()));
    let mut facts: Vec<String> = Vec::new();
    let mut rows: Vec<String> = Vec::new();
    for (name, value) in known {
        match evidence(value) {
            Some(evidence) => rows.extend(evidence),
            None => facts.push(format::fact(name, value, names)),
        }
    }
    if !facts.is_empty() {
        page.labelled("facts", &facts.join("; "))?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    page.table("weighed", &rows)
}

/// The rows of a table of evidence, where a fact is one: whether it speaks for what the finding says or against it, where,
/// what was looked at, seen and expected.
fn evidence(value: &Value) -> Option<Vec<String>> {
    let Value::List(items) = value else {
        return None;
    };
    let rows: Option<Vec<[String; 5]>> = items.iter().map(evidence_row).collect();
    let rows = rows.filter(|rows| !rows.is_empty())?;
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (sign_width, frame_width) = (widest(0), widest(4));
    let line = |[sign, what, seen, expected, frame]: &[String; 5]| {
        format!(
            "{sign:<sign_width$} frame {frame:>frame_width$}: {what}: {seen}; expected: {expected}"
        )
    };
    Some(rows.iter().map(line).collect())
}

fn evidence_row(item: &Value) -> Option<[String; 5]> {
    let Value::Object(fields) = item else {
        return None;
    };
    let field = |wanted: &str| {
        let (_, value) = fields.iter().find(|(name, _)| *name == wanted)?;
        match value {
            Value::Text(text) => Some(Safe(text).to_string()),
            Value::Count(number) => Some(number.to_string()),
            Value::Signed(number) => Some(if *number > 0 { "for" } else { "against" }.to_owned()),
            _ => None,
        }
    };
    Some([
        field("weight")?,
        field("what")?,
        field("seen")?,
        field("expected")?,
        field("frame")?,
    ])
}
