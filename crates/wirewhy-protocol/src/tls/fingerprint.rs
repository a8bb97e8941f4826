//! JA3 and the TLS client JA4, the fingerprints of a ClientHello.

use std::fmt::{LowerHex, Write as _};

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::{ClientHello, ExtensionType, ProtocolVersion};

/// The JA3 string's MD5: the legacy version, suites, extensions, groups and point formats, in decimal, GREASE left out,
/// signalling values kept.
pub(super) fn ja3(hello: &ClientHello) -> String {
    hex(&Md5::digest(ja3_string(hello)))
}

/// What JA3 hashes.
fn ja3_string(hello: &ClientHello) -> String {
    let suites = hello.suites().filter(|suite| !suite.is_grease());
    let extensions = hello.extensions().into_iter().filter(|e| !e.is_grease());
    format!(
        "{},{},{},{},{}",
        hello.legacy_version().0,
        join(suites.map(|suite| suite.0.to_string()), "-"),
        join(extensions.map(|extension| extension.0.to_string()), "-"),
        join(hello.groups().iter().map(|group| group.0.to_string()), "-"),
        join(hello.point_formats().iter().map(u8::to_string), "-"),
    )
}

/// JA4: transport, version, server name, how many suites and extensions, application protocol; the suites, sorted; the
/// extensions, sorted, and the signature algorithms in their order. GREASE is left out everywhere.
pub(super) fn ja4(hello: &ClientHello) -> String {
    let mut suites: Vec<String> = hello
        .suites()
        .filter(|suite| !suite.is_grease())
        .map(|suite| four(suite.0))
        .collect();
    suites.sort_unstable();
    let extensions: Vec<ExtensionType> = hello
        .extensions()
        .into_iter()
        .filter(|extension| !extension.is_grease())
        .collect();
    let named = extensions.contains(&ExtensionType::SERVER_NAME);
    let mut hashed: Vec<String> = extensions
        .iter()
        .filter(|kind| !matches!(**kind, ExtensionType::SERVER_NAME | ExtensionType::ALPN))
        .map(|extension| four(extension.0))
        .collect();
    hashed.sort_unstable();
    let mut third = hashed.join(",");
    let schemes = join(hello.signature_schemes().iter().map(|s| four(s.0)), ",");
    if !third.is_empty() && !schemes.is_empty() {
        third.push('_');
        third.push_str(&schemes);
    }
    format!(
        "{}{}{}{:02}{:02}{}_{}_{}",
        if hello.is_quic { 'q' } else { 't' },
        version(hello),
        if named { 'd' } else { 'i' },
        suites.len().min(99),
        extensions.len().min(99),
        protocol(hello.alpn().first().copied().unwrap_or_default()),
        digest(&suites.join(",")),
        digest(&third),
    )
}

/// The highest version offered, in two characters.
fn version(hello: &ClientHello) -> &'static str {
    match hello.versions().into_iter().max() {
        Some(ProtocolVersion::TLS1_3) => "13",
        Some(ProtocolVersion::TLS1_2) => "12",
        Some(ProtocolVersion::TLS1_1) => "11",
        Some(ProtocolVersion::TLS1_0) => "10",
        Some(ProtocolVersion::SSL3) => "s3",
        Some(ProtocolVersion::SSL2) => "s2",
        _ => "00",
    }
}

/// An application protocol's first and last character, or those of its hex form where one of them is neither letter nor
/// digit.
fn protocol(name: &[u8]) -> String {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else {
        return "00".to_owned();
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        [char::from(first), char::from(last)].iter().collect()
    } else {
        format!("{:x}{:x}", first >> 4, last & 0x0f)
    }
}

/// The first twelve hex digits of the SHA-256, or zeros where there was nothing to hash.
fn digest(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    hex(Sha256::digest(text).iter().take(6))
}

fn four(value: u16) -> String {
    format!("{value:04x}")
}

fn join(items: impl Iterator<Item = String>, separator: &str) -> String {
    items.collect::<Vec<_>>().join(separator)
}

fn hex<'a, B: LowerHex + 'a>(bytes: impl IntoIterator<Item = &'a B>) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
