//! The extensions a diagnosis asks for (RFC 5280 section 4.2). Of one that is repeated, against section 4.2, the first
//! counts; one that cannot be parsed counts as absent.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::{ExtendedKeyUsage, SubjectName, name};

/// RFC 7633 section 4.
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
/// RFC 5280 section 4.2.2.1: where the issuer's certificate can be had.
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";
/// The bits of keyUsage that have a meaning.
const KEY_USAGES: u16 = 0x01ff;

#[derive(Default)]
pub(super) struct Extensions {
    pub(super) names: Option<Vec<SubjectName>>,
    pub(super) is_authority: Option<bool>,
    pub(super) key_usage: Option<u16>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(super) subject_key_id: Option<Box<[u8]>>,
    pub(super) authority_key_id: Option<Box<[u8]>>,
    pub(super) issuer_urls: Vec<Box<str>>,
    pub(super) must_staple: bool,
}

pub(super) fn read(certificate: &X509Certificate<'_>) -> Extensions {
    let mut out = Extensions::default();
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                out.names
                    .get_or_insert_with(|| names.general_names.iter().map(subject_name).collect());
            }
            ParsedExtension::BasicConstraints(constraints) => {
                out.is_authority.get_or_insert(constraints.ca);
            }
            ParsedExtension::KeyUsage(usage) => {
                out.key_usage.get_or_insert(usage.flags & KEY_USAGES);
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                out.extended_key_usage.get_or_insert(ExtendedKeyUsage {
                    any: usage.any,
                    server_auth: usage.server_auth,
                    client_auth: usage.client_auth,
                    ocsp_signing: usage.ocsp_signing,
                });
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                out.subject_key_id.get_or_insert_with(|| id.0.into());
            }
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                if let (None, Some(key)) = (&out.authority_key_id, &id.key_identifier) {
                    out.authority_key_id = Some(key.0.into());
                }
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                for description in access.iter() {
                    if let GeneralName::URI(url) = description.access_location
                        && description.access_method.to_id_string() == CA_ISSUERS
                    {
                        out.issuer_urls.push(url.into());
                    }
                }
            }
            ParsedExtension::UnsupportedExtension { oid } if oid.to_id_string() == TLS_FEATURE => {
                out.must_staple |= demands_status(extension.value);
            }
            _ => {}
        }
    }
    out
}

/// Whether a sequence of feature numbers holds status_request, 5, or status_request_v2, 17.
fn demands_status(features: &[u8]) -> bool {
    let Some((&[0x30, _], list)) = features.split_first_chunk::<2>() else {
        return false;
    };
    list.as_chunks::<3>()
        .0
        .iter()
        .any(|feature| matches!(feature, [2, 1, 5 | 17]))
}

fn subject_name(general: &GeneralName<'_>) -> SubjectName {
    let other = |kind: &str, value: &str| SubjectName::Other(format!("{kind} {value}").into());
    let hex = |bytes: &[u8]| {
        let mut out = String::new();
        name::push_hex(&mut out, bytes);
        out
    };
    match general {
        GeneralName::DNSName(name) => SubjectName::Dns((*name).into()),
        GeneralName::IPAddress(bytes) => match address(bytes) {
            Some(address) => SubjectName::Ip(address),
            None => other("IP address of odd length", &hex(bytes)),
        },
        GeneralName::RFC822Name(name) => other("email", name),
        GeneralName::URI(uri) => other("URI", uri),
        GeneralName::DirectoryName(directory) => other("directory name", &name::text(directory)),
        GeneralName::RegisteredID(oid) => other("registered id", &oid.to_id_string()),
        GeneralName::OtherName(oid, _) => other("other name", &oid.to_id_string()),
        GeneralName::X400Address(_) => SubjectName::Other("X.400 address".into()),
        GeneralName::EDIPartyName(_) => SubjectName::Other("EDI party name".into()),
        GeneralName::Invalid(tag, bytes) => other(
            match tag.0 {
                1 => "invalid email",
                2 => "invalid DNS name",
                6 => "invalid URI",
                7 => "invalid IP address",
                _ => "invalid name",
            },
            &String::from_utf8_lossy(bytes),
        ),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn must_staple_is_feature_five() {
        assert!(demands_status(&[0x30, 3, 2, 1, 5]));
        assert!(demands_status(&[0x30, 6, 2, 1, 16, 2, 1, 17]));
        assert!(!demands_status(&[0x30, 3, 2, 1, 10]));
        assert!(!demands_status(&[0x30, 3, 2, 1]));
        assert!(!demands_status(&[]));
    }

    #[test]
    fn address_has_four_or_sixteen_bytes() {
        assert_eq!(address(&[192, 0, 2, 1]), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(address(&[0; 16]), Some(IpAddr::from([0u8; 16])));
        assert_eq!(address(&[0; 8]), None);
    }
}
