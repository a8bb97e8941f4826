//! Names as text.

use domain::base::name::ToLabelIter;

/// A name without its last dot; `.` for the root. Bytes other than letters, digits, `-` and `_` are written as `\ddd`
/// (RFC 1035 section 5.1), so that dots separate labels and nothing else.
pub(super) fn text_of(name: &impl ToLabelIter) -> Box<str> {
    let mut text = String::with_capacity(64);
    for label in name.iter_labels() {
        if label.is_root() {
            break;
        }
        if !text.is_empty() {
            text.push('.');
        }
        for &byte in label.as_slice() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                text.push(char::from(byte));
                continue;
            }
            text.push('\\');
            for digit in [byte / 100, byte / 10 % 10, byte % 10] {
                text.push(char::from(b'0' + digit));
            }
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    text.into()
}
