//! The catalogue as text.

use std::io::{self, Write};

use wirewhy_detect::Record;

use crate::TextStyle;
use crate::style::{Page, Sheet};

/// Writes everything there is to say about one code.
pub fn explain(out: &mut dyn Write, look: TextStyle, record: &Record) -> io::Result<()> {
    let mut page = Page::new(out, look);
    page.headline(record.severity, record.code, record.title)?;
    let sections = [
        ("What it means", record.means),
        ("How it is detected", record.recognised),
        ("What can be mistaken for it", record.look_alikes),
    ];
    for (heading, text) in sections {
        page.blank()?;
        let heading = look.strong(heading);
        page.line(&heading)?;
        page.indented(2, text)?;
    }
    if record.check_next.is_empty() {
        return Ok(());
    }
    page.blank()?;
    let heading = look.strong("What to check next");
    page.line(&heading)?;
    for (number, step) in (1..).zip(record.check_next) {
        page.numbered(number, step)?;
    }
    Ok(())
}

/// Writes one line a code, in the order given.
pub fn list_codes(
    out: &mut dyn Write,
    look: TextStyle,
    records: impl Iterator<Item = &'static Record> + Clone,
) -> io::Result<()> {
    let widest = records
        .clone()
        .map(|record| record.code.len())
        .max()
        .unwrap_or(0);
    let mut page = Page::new(out, look);
    for record in records {
        let code = look.strong(&format!("{:<widest$}", record.code));
        let severity = look.severity(record.severity, &format!("{:<7}", record.severity.name()));
        page.line(&format!("{code}  {severity}  {}", record.title))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wirewhy_detect::{Group, Reportable, Severity};

    use super::*;

    const RECORD: Record = Record {
        code: "tcp.refused",
        group: Group::Tcp,
        title: "Connection refused",
        severity: Severity::Error,
        means: "Nothing listens there.",
        recognised: "A reset answers the SYN.",
        look_alikes: "A filter that answers in the host's name.",
        check_next: &["Is the service up?", "ss -ltn"],
        explained_by: &[],
        reportable: Reportable::Soon,
    };

    const OTHER: Record = Record {
        code: "tcp.unreachable",
        severity: Severity::Warning,
        title: "Unreachable",
        ..RECORD
    };

    #[test]
    fn an_explanation_has_every_part() {
        let mut out = Vec::new();
        explain(&mut out, TextStyle::default(), &RECORD).unwrap();
        let expected = "\
error    tcp.refused  Connection refused

What it means
  Nothing listens there.

How it is detected
  A reset answers the SYN.

What can be mistaken for it
  A filter that answers in the host's name.

What to check next
  1. Is the service up?
  2. ss -ltn
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_list_is_aligned() {
        let mut out = Vec::new();
        list_codes(
            &mut out,
            TextStyle::default(),
            [&RECORD, &OTHER].into_iter(),
        )
        .unwrap();
        let expected = "\
tcp.refused      error    Connection refused
tcp.unreachable  warning  Unreachable
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
