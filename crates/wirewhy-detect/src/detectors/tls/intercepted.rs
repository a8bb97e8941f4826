//! `tls.intercepted`: a certificate of a public name that a private authority signed.

use wirewhy_flow::Side;

use super::certificate::finding;
use crate::certificates::{Fault, NameMatch, PathEnd, Presented, is_public, match_name};
use crate::{
    Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role, Rule,
    Severity,
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
                 likely where the issuer names a product that intercepts, else possible. A note; the cause where the client then refuses \
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

/// The intercepting product that signed the leaf of a public name, by what its issuer calls itself.
pub(super) fn product(presented: &Presented<'_>) -> Option<&'static str> {
    is_private_for_public(presented).then_some(())?;
    let issuer = presented.leaf.issuer.to_lowercase();
    let top = match &presented.public_path.end {
        PathEnd::UnknownRoot(name) | PathEnd::UnknownIssuer(name) => name.to_lowercase(),
        _ => String::new(),
    };
    PRODUCTS
        .iter()
        .find(|(word, _)| issuer.contains(word) || top.contains(word))
        .map(|(_, product)| *product)
}

fn is_private_for_public(presented: &Presented<'_>) -> bool {
    let private = matches!(
        presented.public_path.end,
        PathEnd::LeafIssuerMissing | PathEnd::UnknownRoot(_) | PathEnd::UnknownIssuer(_)
    );
    let fetched = !presented.leaf.issuer_urls.is_empty();
    private
        && !fetched
        && presented.name.as_deref().is_some_and(|name| {
            is_public(name) && match_name(presented.leaf, name) == NameMatch::Matches
        })
}

fn detect(presented: &Presented<'_>, _limits: &Limits) -> Option<Finding> {
    if !is_private_for_public(presented) {
        return None;
    }
    let product = product(presented);
    let (severity, confidence) = match product {
        Some(_) => {
            let (severity, _) = presented.weight(Fault::Trust);
            let refused = severity == Severity::Error;
            let severity = if refused { severity } else { Severity::Note };
            (severity, Confidence::Likely)
        }
        None => (Severity::Note, Confidence::Possible),
    };
    let by = product.map_or("a private authority".to_owned(), |product| {
        format!("{product}, which intercepts TLS")
    });
    let what = format!(
        "presented a certificate for that public name signed by {by} ({})",
        presented.leaf.issuer
    );
    let server = presented.handshake.connection.side(Side::Server).address;
    Some(Finding {
        culprit: Culprit::from(Role::Path),
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
