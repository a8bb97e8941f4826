//! `tls.intercepted`: a certificate of a public name that a private authority signed.

use wirewhy_flow::Side;

use super::certificate::finding;
use crate::certificates::{
    Fault, NameMatch, PathEnd, Presented, Reaction, is_owners, is_public, match_name,
};
use crate::{
    Confidence, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule, Severity,
};

pub(crate) const RECORD: Record = Record {
    code: "tls.intercepted",
    group: Group::Tls,
    title: "A proxy seems to terminate TLS",
    severity: Severity::Error,
    means: "The certificate is for the public name that was asked for, and no public authority signed it: what answers is most likely a \
            proxy that opens TLS on the way (an inspecting firewall, an antivirus program, a debugging proxy). Clients without its \
            authority's root refuse it.",
    recognised: "The leaf matches a server name of the public name space, and its chain ends in an authority that Mozilla does not trust; \
                 likely where the issuer names a product that intercepts, or says that it inspects, else possible. A note; the cause where the client then refuses \
                 the certificate and the issuer names such a product.",
    look_alikes: "An organisation's own server under its public domain with a certificate of its private authority.",
    check_next: &[
        "Fetch the same name from another network: does the issuer differ?",
        "Install the proxy's root on the client (programs, containers and Java keep stores of their own), or except the name from inspection.",
    ],
    explained_by: &[],
    reportable: Reportable::ClientReaction,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Certificate(detect),
};

/// What the issuers of products that intercept TLS call themselves, in lower case.
const PRODUCTS: &[(&str, &str)] = &[
    ("zscaler", "Zscaler"),
    ("netskope", "Netskope"),
    ("goskope", "Netskope"),
    ("fortinet", "Fortinet FortiGate"),
    ("fortigate", "Fortinet FortiGate"),
    ("palo alto networks", "Palo Alto Networks"),
    ("blue coat", "Blue Coat"),
    ("bluecoat", "Blue Coat"),
    ("forcepoint", "Forcepoint"),
    ("websense", "Forcepoint"),
    ("sophos", "Sophos"),
    ("barracuda", "Barracuda"),
    ("watchguard", "WatchGuard"),
    ("sonicwall", "SonicWall"),
    ("check point", "Check Point"),
    ("cisco umbrella", "Cisco Umbrella"),
    ("mcafee web gateway", "Skyhigh web gateway"),
    ("skyhigh", "Skyhigh web gateway"),
    ("menlo security", "Menlo Security"),
    ("iboss", "iboss"),
    ("cloudflare gateway", "Cloudflare Gateway"),
    ("kaspersky", "Kaspersky"),
    ("avast", "Avast"),
    ("avg technologies", "AVG"),
    ("bitdefender", "Bitdefender"),
    ("eset ssl filter", "ESET"),
    ("adguard", "AdGuard"),
    ("mitmproxy", "mitmproxy"),
    ("portswigger", "Burp Suite"),
    ("charles proxy", "Charles"),
    ("fiddler", "Fiddler"),
    ("squid", "Squid"),
    ("owasp zed", "ZAP"),
    ("proxyman", "Proxyman"),
];

/// What an authority calls itself that inspects TLS, any product, in lower case.
const INSPECTS: &[&str] = &[
    "inspection",
    "ssl inspect",
    "tls inspect",
    "intercept",
    "mitm",
    "decrypt",
    "ssl proxy",
    "tls proxy",
    "https proxy",
    "proxy ca",
    "web gateway",
    "web filter",
    "webfilter",
    "content filter",
];

/// Who signed the leaf of a public name, by what the issuer calls itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Signer {
    /// A product that intercepts TLS.
    Product(&'static str),
    /// An authority whose name says that it inspects TLS.
    Inspector,
}

/// The signer of a certificate that by its issuer's name comes from a device that intercepts TLS.
pub(super) fn signer(presented: &Presented<'_>) -> Option<Signer> {
    let name = presented.name.as_deref()?;
    is_private(presented, name).then(|| signer_of(presented, name))?
}

/// The same of a certificate that a private authority signed.
fn signer_of(presented: &Presented<'_>, name: &str) -> Option<Signer> {
    let issuer = presented.leaf.issuer.to_lowercase();
    let top = match &presented.public_path.end {
        PathEnd::UnknownRoot(name) | PathEnd::UnknownIssuer(name) => name.to_lowercase(),
        _ => String::new(),
    };
    let is_named = |word: &str| issuer.contains(word) || top.contains(word);
    // A private authority's own words are enough for a name that is reserved for documentation, too.
    let elsewhere = name.contains('.') && !is_of_this_network(name);
    if elsewhere && INSPECTS.iter().any(|word| is_named(word)) {
        return Some(Signer::Inspector);
    }
    is_for_public(presented, name).then_some(())?;
    let (_, product) = PRODUCTS.iter().find(|(word, _)| is_named(word))?;
    Some(Signer::Product(product))
}

/// Whether a name belongs to a private network, where a private authority is at home.
fn is_of_this_network(name: &str) -> bool {
    let last = name.trim_end_matches('.').rsplit('.').next();
    matches!(
        last,
        Some("local" | "internal" | "lan" | "home" | "corp" | "intranet" | "localdomain" | "test")
    )
}

/// Whether a private authority signed the certificate of the name asked for.
fn is_private(presented: &Presented<'_>, name: &str) -> bool {
    let private = matches!(
        presented.public_path.end,
        PathEnd::LeafIssuerMissing | PathEnd::UnknownRoot(_) | PathEnd::UnknownIssuer(_)
    );
    private
        && presented.leaf.issuer_urls.is_empty()
        && match_name(presented.leaf, name) == NameMatch::Matches
}

/// Whether the name that a private authority signed for is of the public name space, the owner's own authority and public ones
/// of the past left out.
fn is_for_public(presented: &Presented<'_>, name: &str) -> bool {
    is_public(name)
        && !is_owners(&presented.leaf.issuer, name)
        && !presented.is_of_public_authority()
}

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    let name = presented.name.as_deref()?;
    if !is_private(presented, name) {
        return None;
    }
    let signer = signer_of(presented, name);
    let unnamed = || is_for_public(presented, name) && !presented.may_have_been_public();
    if signer.is_none() && !unnamed() {
        return None;
    }
    let (severity, confidence) = match signer {
        Some(_) => match presented.weight(Fault::Trust) {
            (Severity::Error, _) => (Severity::Error, Confidence::Likely),
            // Who left unused what such a device had signed most likely expected another certificate.
            _ if matches!(presented.reaction, Reaction::Unused { .. }) => {
                (Severity::Error, Confidence::Possible)
            }
            _ => (Severity::Note, Confidence::Likely),
        },
        None => (Severity::Note, Confidence::Possible),
    };
    let by = match signer {
        Some(Signer::Product(product)) => format!("{product}, which intercepts TLS"),
        Some(Signer::Inspector) => "an authority whose name says that it inspects TLS".to_owned(),
        None => "a private authority".to_owned(),
    };
    let product = match signer {
        Some(Signer::Product(product)) => Some(product),
        _ => None,
    };
    let what = format!(
        "presented a certificate for that name signed by {by} ({})",
        presented.leaf.issuer
    );
    let server = presented.handshake.connection.side(Side::Server).address;
    Some(Finding {
        culprit: Role::Path.into(),
        ..finding(
            &RECORD,
            presented,
            (severity, confidence),
            &what,
            Facts::default()
                .with("product", product)
                .with("answered_by", server),
        )
    })
}
