//! What the names of authorities tell where the store does not know them: public ones of the past, products that intercept TLS,
//! and an owner's own authority.

use wirewhy_packet::Timestamp;

/// The organisations behind roots that browsers trusted at one time or another, in lower case, as the names of their roots and
/// issuers have them (CCADB, removed roots included).
const PUBLIC: &[&str] = &[
    "actalis",
    "addtrust",
    "affirmtrust",
    "baltimore cybertrust",
    "buypass",
    "camerfirma",
    "certigna",
    "certinomis",
    "certplus",
    "certsign",
    "certum",
    "chunghwa telecom",
    "cnnic",
    "comodo",
    "cybertrust",
    "d-trust",
    "deutsche telekom",
    "digicert",
    "digital signature trust",
    "diginotar",
    "dst root",
    "e-tugra",
    "entrust",
    "equifax",
    "geotrust",
    "globalsign",
    "go daddy",
    "godaddy",
    "google internet authority",
    "google trust services",
    "gte cybertrust",
    "gte corporation",
    "harica",
    "hellenic academic",
    "hongkong post",
    "identrust",
    "internet security research group",
    "izenpe",
    "let's encrypt",
    "microsec",
    "microsoft azure tls",
    "microsoft internet authority",
    "microsoft it",
    "microsoft rsa tls",
    "netlock",
    "network solutions",
    "quovadis",
    "rapidssl",
    "rsa data security",
    "secom trust",
    "sectigo",
    "securetrust",
    "secure server certification authority",
    "ssl.com",
    "startcom",
    "starfield",
    "swisscom",
    "swisssign",
    "symantec",
    "t-systems",
    "t-telesec",
    "teliasonera",
    "thawte",
    "trust italia",
    "trustcor",
    "trustwave",
    "twca",
    "unizeto",
    "usertrust",
    "utn-userfirst",
    "valicert",
    "verisign",
    "visa",
    "wells fargo",
    "wosign",
    "xramp",
];

/// Whether a name is that of a public authority, of today or of the past.
pub(crate) fn is_public_authority(name: &str) -> bool {
    let name = name.to_lowercase();
    PUBLIC.iter().any(|word| name.contains(word))
}

/// The time from which the built-in roots are, less what they change little in: 1 January 2025. A capture made before may show
/// roots that were trusted then.
const STORE_FROM: Timestamp = Timestamp(1_735_689_600 * 1_000_000_000);

/// Whether a capture is older than the built-in roots.
pub(crate) fn is_older_than_store(time: Timestamp) -> bool {
    time < STORE_FROM
}

/// Whether an authority that goes by this name may be that of the owner of a domain: the label below the public suffix is
/// among the words of its name.
pub(crate) fn is_owners(issuer: &str, domain: &str) -> bool {
    let labels: Vec<&str> = domain.trim_end_matches('.').split('.').collect();
    let (Some(top), Some(own)) = (
        labels.len().checked_sub(2).and_then(|at| labels.get(at)),
        labels.len().checked_sub(3).and_then(|at| labels.get(at)),
    ) else {
        let own = labels.len().checked_sub(2).and_then(|at| labels.get(at));
        return own.is_some_and(|label| contains_word(issuer, label));
    };
    // Below a suffix of two labels (co.uk) the third counts.
    let label = if top.len() <= 3 { own } else { top };
    contains_word(issuer, label)
}

fn contains_word(issuer: &str, label: &str) -> bool {
    label.len() >= 4 && issuer.to_lowercase().contains(&label.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_of_the_past() {
        for name in [
            "CN=VeriSign Class 3 Public Primary Certification Authority - G5,O=VeriSign\\, Inc.,C=US",
            "CN=GeoTrust Global CA,O=GeoTrust Inc.,C=US",
            "CN=DigiCert SHA2 High Assurance Server CA",
        ] {
            assert!(is_public_authority(name), "{name}");
        }
        assert!(!is_public_authority("CN=Example Corp Inspection CA"));
        assert!(!is_public_authority("CN=FortiGate CA"));
    }

    #[test]
    fn the_owner_of_a_domain() {
        assert!(is_owners("CN=Zscaler Root CA", "gateway.zscaler.net"));
        assert!(is_owners(
            "CN=Apple Corporate Root",
            "courier.push.apple.com"
        ));
        assert!(is_owners("CN=Acme Root", "shop.acme.co.uk"));
        assert!(!is_owners("CN=Zscaler Root CA", "www.wikipedia.org"));
        assert!(!is_owners("CN=Com Root", "com"));
    }
}
