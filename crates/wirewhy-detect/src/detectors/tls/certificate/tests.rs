//! Certificates presented in TLS 1.2, diagnosed with every way a client can take them.

use super::super::traces::{
    ConversationTrace, certificate_request, certificates, change_cipher_spec, client_hello,
    client_hello_asking, fatal, no_certificate, sealed, server_hello, server_hello_done,
};
use crate::certificates::testing::{Authority, Date, VALID, self_signed};
use crate::testing::findings_with;
use crate::{Confidence, Finding, Role, Severity, TrustStore};

const EXPIRED: (Date, Date) = ((2024, 1, 1), (2025, 12, 30));
const NAME: &str = "shop.test";

/// A private authority with an issuer below it, and the store that trusts it.
struct Lab {
    root: Authority,
    middle: Authority,
}

impl Lab {
    fn new() -> Lab {
        let root = Authority::root("Lab Root");
        let middle = root.middle("Lab Issuer", VALID);
        Lab { root, middle }
    }

    fn trust(&self) -> TrustStore {
        TrustStore::from_pem(self.root.pem().as_bytes()).0
    }

    /// Leaf and issuer.
    fn chain(&self, names: &[&str], validity: (Date, Date)) -> Vec<Vec<u8>> {
        vec![self.middle.issue(names, validity), self.middle.der()]
    }
}

/// Up to the server's flight.
fn flight(name: &str, chain: &[Vec<u8>]) -> ConversationTrace {
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    ConversationTrace::open()
        .client(&client_hello(name, &[], 0))
        .server(
            &[
                server_hello(0x0303, 0xc02f),
                certificates(&chain),
                server_hello_done(),
            ]
            .concat(),
        )
}

/// The rest of the handshake.
fn finished(conversation: ConversationTrace) -> ConversationTrace {
    conversation
        .client(&[change_cipher_spec(), sealed(22, 40)].concat())
        .server(&[change_cipher_spec(), sealed(22, 40)].concat())
}

/// The client refuses with an alert.
fn refused(conversation: ConversationTrace, alert: u8) -> String {
    conversation.client(&fatal(alert)).client_closes().lines()
}

/// The client uses the connection.
fn used(conversation: ConversationTrace) -> String {
    finished(conversation)
        .client(&sealed(23, 200))
        .server(&sealed(23, 900))
        .client(&sealed(21, 26))
        .client_closes()
        .lines()
}

/// The client leaves right after the handshake.
fn unused(conversation: ConversationTrace) -> String {
    finished(conversation).client_closes().lines()
}

fn summary(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
    findings
        .iter()
        .filter(|finding| finding.code != "tls.no-close-notify")
        .map(|finding| (finding.code, finding.severity))
        .collect()
}

fn only(lines: &str, trust: &TrustStore) -> Finding {
    let mut found = findings_with(lines, trust);
    found.retain(|finding| finding.code != "tls.no-close-notify");
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_good_chain_is_silent() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME, "*.shop.test"], VALID);
    for name in [NAME, "a.shop.test", "A.SHOP.TEST", ""] {
        let lines = used(flight(name, &chain));
        assert_eq!(findings_with(&lines, &lab.trust()), [], "{name}");
    }
}

#[test]
fn a_private_chain_that_a_client_takes_is_no_fault_without_roots() {
    let lab = Lab::new();
    let direct = vec![lab.root.issue(&[NAME], VALID)];
    let mozilla = TrustStore::mozilla();
    for chain in [lab.chain(&[NAME], VALID), direct] {
        assert_eq!(findings_with(&used(flight(NAME, &chain)), &mozilla), []);
        // Health checks leave so, too.
        let left = only(&unused(flight(NAME, &chain)), &mozilla);
        assert_eq!(
            (left.severity, left.confidence),
            (Severity::Note, Confidence::Possible)
        );
    }
}

#[test]
fn a_leaf_marked_as_an_authority_is_not_untrusted() {
    // The library that verifies chains refuses such a leaf, most clients do not.
    let lab = Lab::new();
    let chain = vec![lab.middle.issue_as_authority(NAME), lab.middle.der()];
    assert_eq!(findings_with(&used(flight(NAME, &chain)), &lab.trust()), []);
}

#[test]
fn every_fault_of_a_chain_is_told() {
    // The library names the first only.
    let lab = Lab::new();
    let chain = vec![lab.middle.issue(&["www.shop.test"], EXPIRED)];
    let found = findings_with(&refused(flight(NAME, &chain), 42), &lab.trust());
    assert_eq!(
        summary(&found)
            .into_iter()
            .map(|(code, _)| code)
            .filter(|code| code.starts_with("tls.cert-"))
            .collect::<Vec<_>>(),
        [
            "tls.cert-expired",
            "tls.cert-name-mismatch",
            "tls.cert-chain-incomplete"
        ]
    );
}

#[test]
fn an_expired_certificate_is_the_cause_where_the_client_left_over_it() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], EXPIRED);
    for (lines, severity, confidence) in [
        (
            refused(flight(NAME, &chain), 45),
            Severity::Error,
            Confidence::Certain,
        ),
        (
            refused(flight(NAME, &chain), 42),
            Severity::Error,
            Confidence::Certain,
        ),
        (
            unused(flight(NAME, &chain)),
            Severity::Error,
            Confidence::Likely,
        ),
        (
            used(flight(NAME, &chain)),
            Severity::Warning,
            Confidence::Certain,
        ),
    ] {
        let found = only(&lines, &lab.trust());
        assert_eq!(found.code, "tls.cert-expired");
        assert_eq!((found.severity, found.confidence), (severity, confidence));
    }
}

#[test]
fn an_expired_issuer_counts_and_a_needless_one_does_not() {
    let root = Authority::root("Lab Root");
    let trust = TrustStore::from_pem(root.pem().as_bytes()).0;
    let old = root.middle("Old Issuer", EXPIRED);
    let needed = vec![old.issue(&[NAME], VALID), old.der()];
    let found = only(&refused(flight(NAME, &needed), 45), &trust);
    assert_eq!(found.code, "tls.cert-expired");
    assert!(found.summary.contains("Old Issuer"), "{}", found.summary);

    let fresh = root.middle("New Issuer", VALID);
    let needless = vec![fresh.issue(&[NAME], VALID), fresh.der(), old.der()];
    assert_eq!(findings_with(&used(flight(NAME, &needless)), &trust), []);
}

#[test]
fn a_young_certificate_is_not_yet_valid() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], ((2026, 1, 4), (2027, 1, 1)));
    let found = only(&refused(flight(NAME, &chain), 42), &lab.trust());
    assert_eq!(
        (found.code, found.severity),
        ("tls.cert-not-yet-valid", Severity::Error)
    );
}

#[test]
fn another_name_is_a_mismatch() {
    let lab = Lab::new();
    let chain = lab.chain(&["www.shop.test"], VALID);
    let found = only(&unused(flight(NAME, &chain)), &lab.trust());
    assert_eq!(found.code, "tls.cert-name-mismatch");
    assert_eq!(found.severity, Severity::Error);
    assert!(found.summary.contains("www.shop.test"), "{}", found.summary);
    let accepted = only(&used(flight(NAME, &chain)), &lab.trust());
    assert_eq!(accepted.severity, Severity::Warning);
}

#[test]
fn a_self_signed_certificate_is_trusted_only_if_given() {
    let own = self_signed(NAME);
    let found = only(
        &refused(flight(NAME, std::slice::from_ref(&own)), 48),
        &TrustStore::mozilla(),
    );
    assert_eq!(found.code, "tls.cert-self-signed");
    assert_eq!(found.severity, Severity::Error);
}

#[test]
fn a_missing_issuer_and_an_unknown_root_are_told_apart() {
    let lab = Lab::new();
    let whole = lab.chain(&[NAME], VALID);
    let leaf_only = &whole[..1];
    let found = only(&refused(flight(NAME, leaf_only), 48), &lab.trust());
    assert_eq!(found.code, "tls.cert-chain-incomplete");
    assert_eq!(found.confidence, Confidence::Certain);

    let other = TrustStore::from_pem(Authority::root("Other Root").pem().as_bytes()).0;
    let with_root = [whole.clone(), vec![lab.root.der()]].concat();
    for chain in [&whole, &with_root] {
        let found = only(&refused(flight(NAME, chain), 48), &other);
        assert_eq!(found.code, "tls.cert-untrusted");
        assert_eq!(found.severity, Severity::Error);
    }
    let accepted = only(&used(flight(NAME, &whole)), &other);
    assert_eq!(accepted.severity, Severity::Warning);
}

#[test]
fn a_root_of_the_same_name_with_another_key_is_not_it() {
    let lab = Lab::new();
    let namesake = TrustStore::from_pem(Authority::root("Lab Root").pem().as_bytes()).0;
    let chain = lab.chain(&[NAME], VALID);
    let found = only(&refused(flight(NAME, &chain), 48), &namesake);
    assert_eq!(found.code, "tls.cert-untrusted");
}

#[test]
fn a_chain_in_another_order_is_whole() {
    let lab = Lab::new();
    let deep = lab.middle.middle("Lower Issuer", VALID);
    let chain = vec![deep.issue(&[NAME], VALID), lab.middle.der(), deep.der()];
    assert_eq!(findings_with(&used(flight(NAME, &chain)), &lab.trust()), []);
}

#[test]
fn an_alert_about_something_else_keeps_its_own_finding() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], EXPIRED);
    let found = findings_with(&refused(flight(NAME, &chain), 47), &lab.trust());
    assert_eq!(
        summary(&found),
        [
            ("tls.cert-expired", Severity::Warning),
            ("tls.alert", Severity::Error)
        ]
    );
}

#[test]
fn a_client_without_a_certificate_is_not_the_servers_fault() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], EXPIRED);
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let lines = ConversationTrace::open()
        .client(&client_hello(NAME, &[], 0))
        .server(
            &[
                server_hello(0x0303, 0xc02f),
                certificates(&chain),
                certificate_request(),
                server_hello_done(),
            ]
            .concat(),
        )
        .client(&no_certificate())
        .server(&fatal(40))
        .server_closes()
        .lines();
    let found = findings_with(&lines, &lab.trust());
    assert_eq!(
        summary(&found),
        [
            ("tls.cert-expired", Severity::Warning),
            ("tls.client-cert-missing", Severity::Error)
        ]
    );
}

#[test]
fn a_reset_after_a_bad_certificate_follows_from_it() {
    let lab = Lab::new();
    let lines = flight(NAME, &lab.chain(&[NAME], EXPIRED))
        .client_resets()
        .lines();
    let found = findings_with(&lines, &lab.trust());
    assert_eq!(found[0].code, "tls.cert-expired");
    assert_eq!(found[0].severity, Severity::Error);
    let reset = found
        .iter()
        .find(|finding| finding.code == "tls.handshake-reset")
        .unwrap();
    assert_eq!(reset.consequence_of, Some("tls.cert-expired"));
}

#[test]
fn a_certificate_near_its_end_is_a_note() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], ((2025, 7, 1), (2026, 1, 10)));
    let found = only(&used(flight(NAME, &chain)), &lab.trust());
    assert_eq!(
        (found.code, found.severity),
        ("tls.cert-expiring", Severity::Note)
    );
}

#[test]
fn a_private_authority_for_a_public_name_is_noted() {
    let proxy = Authority::root("Zscaler Intermediate Root CA");
    let chain = vec![proxy.issue(&["www.rust-lang.org"], VALID)];
    let mozilla = TrustStore::mozilla();
    let accepted = only(&used(flight("www.rust-lang.org", &chain)), &mozilla);
    assert_eq!(
        (accepted.code, accepted.severity, accepted.confidence),
        ("tls.intercepted", Severity::Note, Confidence::Likely)
    );
    let refused = findings_with(&refused(flight("www.rust-lang.org", &chain), 48), &mozilla);
    assert_eq!(refused[0].code, "tls.intercepted");
    assert_eq!(refused[0].severity, Severity::Error);

    let own = Authority::root("Some Company CA");
    let chain = vec![own.issue(&["www.rust-lang.org"], VALID)];
    let private = only(&used(flight("www.rust-lang.org", &chain)), &mozilla);
    assert_eq!(private.confidence, Confidence::Possible);
}

#[test]
fn a_client_that_leaves_before_it_has_the_certificates_refuses_nothing() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], EXPIRED);
    let lines = flight(NAME, &chain).client_resets().lines();
    let crossing: String = lines
        .lines()
        .map(|line| {
            // The last acknowledgement before the reset, and the reset's own, are those of the hello only.
            let early = line.contains("> A ") && line.contains(" ack ") && !line.contains("ack 1");
            match (early, line.contains("> RA")) {
                (true, _) => String::new(),
                (_, true) => format!("{} ack 1", line.split(" ack ").next().unwrap()),
                _ => line.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join("\n");
    let found = findings_with(&crossing, &lab.trust());
    let expired = found.iter().find(|found| found.code == "tls.cert-expired");
    assert_eq!(expired.map(|found| found.severity), Some(Severity::Warning));
}

#[test]
fn a_client_that_answered_the_certificates_has_taken_them() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], EXPIRED);
    let lines = flight(NAME, &chain)
        .client(&[change_cipher_spec(), sealed(22, 40)].concat())
        .client_resets()
        .lines();
    let found = findings_with(&lines, &lab.trust());
    assert_eq!(found[0].code, "tls.cert-expired");
    assert_eq!(found[0].severity, Severity::Warning);
}

#[test]
fn without_a_server_name_the_address_must_be_in_the_certificate() {
    let lab = Lab::new();
    let other = lab.chain(&["www.shop.test"], VALID);
    let refused = only(&refused(flight("", &other), 42), &lab.trust());
    assert_eq!(
        (refused.code, refused.severity, refused.confidence),
        (
            "tls.cert-name-mismatch",
            Severity::Error,
            Confidence::Likely
        )
    );
    let left = only(&unused(flight("", &other)), &lab.trust());
    assert_eq!(
        (left.code, left.severity, left.confidence),
        (
            "tls.cert-name-mismatch",
            Severity::Error,
            Confidence::Possible
        )
    );
    let own = lab.chain(&["198.51.100.1"], VALID);
    assert_eq!(findings_with(&used(flight("", &other)), &lab.trust()), []);
    assert_eq!(
        summary(&findings_with(&unused(flight("", &own)), &lab.trust())),
        []
    );
}

#[test]
fn a_good_chain_that_is_refused_is_the_clients() {
    let lab = Lab::new();
    let chain = lab.chain(&[NAME], VALID);
    for alert in [45, 46, 48] {
        let found = only(&refused(flight(NAME, &chain), alert), &lab.trust());
        assert_eq!(found.code, "tls.cert-rejected");
        assert_eq!(found.culprit.role, Role::Client);
        assert_eq!(found.culprit_confidence(), Some(Confidence::Possible));
    }
    // Whether the authority is known to the client does not matter to its clock.
    let expired = only(&refused(flight(NAME, &chain), 45), &TrustStore::mozilla());
    assert_eq!(expired.code, "tls.cert-rejected");
    let unknown = only(&refused(flight(NAME, &chain), 48), &TrustStore::mozilla());
    assert_eq!(unknown.code, "tls.cert-untrusted");
}

#[test]
fn a_leaf_that_demands_a_staple_and_has_none() {
    let lab = Lab::new();
    let chain = vec![lab.middle.issue_to_be_stapled(NAME), lab.middle.der()];
    let asking = |chain: &[Vec<u8>]| {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        ConversationTrace::open()
            .client(&client_hello_asking(NAME))
            .server(
                &[
                    server_hello(0x0303, 0xc02f),
                    certificates(&chain),
                    server_hello_done(),
                ]
                .concat(),
            )
    };
    let found = only(&refused(asking(&chain), 113), &lab.trust());
    assert_eq!(
        (found.code, found.severity),
        ("tls.staple-missing", Severity::Error)
    );
    // A client that did not ask, one that does not care, and a leaf that demands none.
    let unasked = only(&refused(flight(NAME, &chain), 42), &lab.trust());
    assert_eq!(unasked.code, "tls.cert-rejected");
    assert_eq!(findings_with(&used(asking(&chain)), &lab.trust()), []);
    let plain = lab.chain(&[NAME], VALID);
    let other = only(&refused(asking(&plain), 42), &lab.trust());
    assert_eq!(other.code, "tls.cert-rejected");
}

#[test]
fn a_clock_that_no_certificate_fits_is_the_recordings() {
    let root = Authority::root("Lab Root");
    let trust = TrustStore::from_pem(root.pem().as_bytes()).0;
    let young = ((2027, 1, 1), (2028, 1, 1));
    let middle = root.middle("Young Issuer", young);
    let chain = vec![middle.issue(&[NAME], young), middle.der()];
    let found = only(&used(flight(NAME, &chain)), &trust);
    assert_eq!(
        (found.code, found.severity, found.culprit.role),
        ("tls.cert-not-yet-valid", Severity::Note, Role::Capture)
    );
    let found = only(&refused(flight(NAME, &chain), 42), &trust);
    assert_eq!(
        (found.severity, found.culprit.role),
        (Severity::Error, Role::Client)
    );
}

#[test]
fn a_public_authority_of_the_past_intercepts_nothing() {
    let past = Authority::root("VeriSign Class 3 Public Primary Certification Authority");
    let box_in_the_path = Authority::root("FortiGate CA");
    let inspector = Authority::root("Corp Inspection CA");
    let mozilla = TrustStore::mozilla();
    let name = "www.wikipedia.org";
    let of = |root: &Authority, name: &str| vec![root.issue(&[name], VALID), root.der()];
    assert_eq!(
        findings_with(&used(flight(name, &of(&past, name))), &mozilla),
        []
    );
    let found = only(&refused(flight(name, &of(&past, name)), 48), &mozilla);
    assert_eq!(
        (found.code, found.confidence),
        ("tls.cert-untrusted", Confidence::Possible)
    );
    for root in [&box_in_the_path, &inspector] {
        let found = only(&used(flight(name, &of(root, name))), &mozilla);
        assert_eq!(
            (found.code, found.severity, found.confidence),
            ("tls.intercepted", Severity::Note, Confidence::Likely)
        );
        let left = findings_with(&unused(flight(name, &of(root, name))), &mozilla);
        assert_eq!(summary(&left)[0], ("tls.intercepted", Severity::Error));
    }
    // An owner's own authority on its own name.
    let own = of(&box_in_the_path, "support.fortigate.com");
    assert_eq!(
        findings_with(&used(flight("support.fortigate.com", &own)), &mozilla),
        []
    );
}
