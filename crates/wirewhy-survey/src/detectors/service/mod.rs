//! What many attempts at one service show together.

pub(crate) mod down;
pub(crate) mod flaky;

use wirewhy_detect::{Record, Value, record_of};

use super::{rst, tcp};
use crate::service::Failures;

/// The most frequent reason in words: `connection refused (tcp.refused)`.
fn reason(code: &str) -> String {
    // Of the codes of this crate only these can be the root cause of a connection.
    let ours: [&Record; 2] = [&tcp::probe::RECORD, &rst::stray_segment::RECORD];
    let mut ours = ours.into_iter();
    let Some(record) = record_of(code).or_else(|| ours.find(|record| record.code == code)) else {
        return code.to_owned();
    };
    let mut letters = record.title.chars();
    let second = letters.clone().nth(1);
    let first = letters.next().map_or(String::new(), |first| {
        // `TLS …` stays, `Connection …` does not.
        if second.is_some_and(char::is_uppercase) {
            first.to_string()
        } else {
            first.to_lowercase().to_string()
        }
    });
    format!("{first}{} ({code})", letters.as_str())
}

/// How often each root cause was met, the most frequent first.
fn causes(failures: &Failures) -> Vec<(&'static str, u32)> {
    let mut kinds = failures.kinds.clone();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds
}

/// Every root cause with its count.
fn causes_fact(failures: &Failures) -> Value {
    let causes = causes(failures).into_iter();
    Value::List(
        causes
            .map(|(code, count)| {
                Value::Object(vec![("code", code.into()), ("attempts", count.into())])
            })
            .collect(),
    )
}
