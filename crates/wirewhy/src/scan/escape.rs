//! Paths as text: any path, and no two alike.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A name that no other path has, and that any text file can hold.
pub(crate) fn escape_path(path: &Path) -> String {
    let mut escaped = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        escaped.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            escaped.push_str(&format!("\\x{byte:02x}"));
        }
    }
    escaped
}

/// The path of a name.
pub(crate) fn unescape_path(escaped: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut parts = escaped.split('\\');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    while let Some(part) = parts.next() {
        let byte = part
            .get(1..3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| part.starts_with('x')) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part.bytes().skip(3));
            }
            // Two backslashes: nothing between them, and the second begins a part of its own.
            None => {
                bytes.push(b'\\');
                bytes.extend(part.bytes());
                bytes.extend(parts.next().unwrap_or_default().bytes());
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_paths_are_spelled_alike_and_each_is_found_again() {
        let paths: [&[u8]; 7] = [
            b"a\xff",
            b"a\\xff",
            "a\u{fffd}".as_bytes(),
            b"a\xfe\\",
            b"a",
            b"\\\\x41\\y",
            b"\\",
        ];
        let mut all = HashSet::new();
        for bytes in paths {
            let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
            let escaped = escape_path(path);
            assert_eq!(unescape_path(&escaped), path);
            assert!(all.insert(escaped));
        }
    }
}
