//! Authorities and the certificates they issue, for tests. Traces begin on 2 January 2026.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    SerialNumber, date_time_ymd,
};

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A date.
pub(crate) type Date = (i32, u8, u8);

/// A year around the traces' time.
pub(crate) const VALID: (Date, Date) = ((2025, 7, 1), (2026, 7, 1));

fn params(name: &str, alternatives: &[&str], (from, until): (Date, Date)) -> CertificateParams {
    let alternatives: Vec<String> = alternatives.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(alternatives).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    params.serial_number = Some(SerialNumber::from_slice(&[7]));
    params
}

pub(super) fn authority_params(name: &str, validity: (Date, Date)) -> CertificateParams {
    let mut params = params(name, &[], validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    /// A root.
    pub(crate) fn root(name: &str) -> Authority {
        let params = authority_params(name, ((2020, 1, 1), (2040, 1, 1)));
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// An authority below this one.
    pub(crate) fn middle(&self, name: &str, validity: (Date, Date)) -> Authority {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name, validity);
        Authority(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    /// A server's certificate.
    pub(crate) fn issue(&self, names: &[&str], validity: (Date, Date)) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let name = names.first().copied().unwrap_or("no name");
        params(name, names, validity)
            .signed_by(&key, &self.0)
            .unwrap()
            .der()
            .to_vec()
    }

    /// A server's certificate that demands a stapled OCSP response (RFC 7633).
    pub(crate) fn issue_to_be_stapled(&self, name: &str) -> Vec<u8> {
        let mut params = params(name, &[name], VALID);
        // SEQUENCE of the INTEGER 5, status_request.
        let feature = CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 5, 5, 7, 1, 24],
            vec![0x30, 3, 2, 1, 5],
        );
        params.custom_extensions.push(feature);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.0).unwrap().der().to_vec()
    }

    /// A server's certificate that is marked as an authority's.
    pub(crate) fn issue_as_authority(&self, name: &str) -> Vec<u8> {
        let mut params = params(name, &[name], VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.0).unwrap().der().to_vec()
    }

    /// Its own certificate.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// The same, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
}

/// A server's certificate that is its own issuer.
pub(crate) fn self_signed(name: &str) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params(name, &[name], VALID)
        .self_signed(&key)
        .unwrap()
        .der()
        .to_vec()
}
