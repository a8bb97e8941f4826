//! Protocol numbers of TLS that keep what they do not know.
//!
//! Each number prints its registered name, and one that has none its value: in hex where it takes two bytes, in decimal
//! where it takes one.

use std::fmt;

use tls_parser::TlsCipherSuite;

/// Defines a number of the protocol as a newtype, with a constant and a name for every value listed.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($raw:ty) { $($constant:ident = $value:literal => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $raw);

        crate::compact!($name(number));

        impl $name {
            $(
                #[doc = concat!("`", $text, "`")]
                pub const $constant: $name = $name($value);
            )*

            /// The registered name, if it has one that is known here.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

/// `Display` and `is_grease` of the two-byte numbers.
macro_rules! wide {
    ($($name:ident)*) => {$(
        impl $name {
            /// Whether it is one of the values that mean nothing and keep peers tolerant (RFC 8701).
            #[must_use]
            pub fn is_grease(self) -> bool {
                is_grease(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None if self.is_grease() => write!(f, "GREASE (0x{:04x})", self.0),
                    None => write!(f, "0x{:04x}", self.0),
                }
            }
        }
    )*};
}

/// `Display` of the one-byte numbers.
macro_rules! narrow {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }
    )*};
}

wide! { CipherSuite NamedGroup SignatureScheme ExtensionType }
narrow! { AlertDescription ContentType HandshakeType }

impl ProtocolVersion {
    /// Whether it is one of the values that mean nothing and keep peers tolerant (RFC 8701).
    #[must_use]
    pub fn is_grease(self) -> bool {
        is_grease(self.0)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.0.to_be_bytes()) {
            (Some(name), _) => f.write_str(name),
            // The drafts of TLS 1.3 numbered themselves (draft-ietf-tls-tls13-28 section 4.2.1.1).
            (None, [0x7f, draft]) => write!(f, "TLS 1.3 draft {draft}"),
            (None, _) if self.is_grease() => write!(f, "GREASE (0x{:04x})", self.0),
            (None, _) => write!(f, "0x{:04x}", self.0),
        }
    }
}

/// Whether a value is one of `0x0a0a`, `0x1a1a` to `0xfafa` (RFC 8701 section 2).
fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

number! {
    /// A protocol version (RFC 8446 section 4.1.2), `0x0002` for SSL 2.0.
    ProtocolVersion(u16) {
        SSL2 = 0x0002 => "SSL 2.0",
        SSL3 = 0x0300 => "SSL 3.0",
        TLS1_0 = 0x0301 => "TLS 1.0",
        TLS1_1 = 0x0302 => "TLS 1.1",
        TLS1_2 = 0x0303 => "TLS 1.2",
        TLS1_3 = 0x0304 => "TLS 1.3",
        TLCP = 0x0101 => "TLCP",
        DTLS1_0 = 0xfeff => "DTLS 1.0",
        DTLS1_2 = 0xfefd => "DTLS 1.2",
        DTLS1_3 = 0xfefc => "DTLS 1.3",
    }
}

impl ProtocolVersion {
    /// Whether it is a draft of TLS 1.3 (RFC 8446 section 4.2.1.1 of the drafts), or an experiment with one.
    #[must_use]
    pub fn is_draft(self) -> bool {
        matches!(self.0 >> 8, 0x7e | 0x7f)
    }

    /// Whether it is TLS 1.3 or one of its drafts, which differ in nothing an observer sees.
    pub(super) fn is_1_3(self) -> bool {
        self == ProtocolVersion::TLS1_3 || matches!(self.0 >> 8, 0x7f | 0xfb)
    }
}

number! {
    /// A supported group (RFC 8446 section 4.2.7).
    NamedGroup(u16) {
        SECT163K1 = 1 => "sect163k1",
        SECT163R1 = 2 => "sect163r1",
        SECT163R2 = 3 => "sect163r2",
        SECT193R1 = 4 => "sect193r1",
        SECT193R2 = 5 => "sect193r2",
        SECT233K1 = 6 => "sect233k1",
        SECT233R1 = 7 => "sect233r1",
        SECT239K1 = 8 => "sect239k1",
        SECT283K1 = 9 => "sect283k1",
        SECT283R1 = 10 => "sect283r1",
        SECT409K1 = 11 => "sect409k1",
        SECT409R1 = 12 => "sect409r1",
        SECT571K1 = 13 => "sect571k1",
        SECT571R1 = 14 => "sect571r1",
        SECP160K1 = 15 => "secp160k1",
        SECP160R1 = 16 => "secp160r1",
        SECP160R2 = 17 => "secp160r2",
        SECP192K1 = 18 => "secp192k1",
        SECP192R1 = 19 => "secp192r1",
        SECP224K1 = 20 => "secp224k1",
        SECP224R1 = 21 => "secp224r1",
        SECP256K1 = 22 => "secp256k1",
        SECP256R1 = 23 => "secp256r1",
        SECP384R1 = 24 => "secp384r1",
        SECP521R1 = 25 => "secp521r1",
        BRAINPOOLP256R1 = 26 => "brainpoolP256r1",
        BRAINPOOLP384R1 = 27 => "brainpoolP384r1",
        BRAINPOOLP512R1 = 28 => "brainpoolP512r1",
        X25519 = 29 => "x25519",
        X448 = 30 => "x448",
        BRAINPOOLP256R1_TLS13 = 31 => "brainpoolP256r1tls13",
        BRAINPOOLP384R1_TLS13 = 32 => "brainpoolP384r1tls13",
        BRAINPOOLP512R1_TLS13 = 33 => "brainpoolP512r1tls13",
        GC256A = 34 => "GC256A",
        GC256B = 35 => "GC256B",
        GC256C = 36 => "GC256C",
        GC256D = 37 => "GC256D",
        GC512A = 38 => "GC512A",
        GC512B = 39 => "GC512B",
        GC512C = 40 => "GC512C",
        CURVE_SM2 = 41 => "curveSM2",
        FFDHE2048 = 0x0100 => "ffdhe2048",
        FFDHE3072 = 0x0101 => "ffdhe3072",
        FFDHE4096 = 0x0102 => "ffdhe4096",
        FFDHE6144 = 0x0103 => "ffdhe6144",
        FFDHE8192 = 0x0104 => "ffdhe8192",
        MLKEM512 = 0x0200 => "MLKEM512",
        MLKEM768 = 0x0201 => "MLKEM768",
        MLKEM1024 = 0x0202 => "MLKEM1024",
        SECP256R1_MLKEM768 = 0x11eb => "SecP256r1MLKEM768",
        X25519_MLKEM768 = 0x11ec => "X25519MLKEM768",
        SECP384R1_MLKEM1024 = 0x11ed => "SecP384r1MLKEM1024",
        CURVE_SM2_MLKEM768 = 0x11ee => "curveSM2MLKEM768",
        X25519_KYBER768_DRAFT00 = 0x6399 => "X25519Kyber768Draft00",
        SECP256R1_KYBER768_DRAFT00 = 0x639a => "SecP256r1Kyber768Draft00",
        ARBITRARY_EXPLICIT_PRIME_CURVES = 0xff01 => "arbitrary_explicit_prime_curves",
        ARBITRARY_EXPLICIT_CHAR2_CURVES = 0xff02 => "arbitrary_explicit_char2_curves",
    }
}

number! {
    /// A signature algorithm (RFC 8446 section 4.2.3). The values of TLS 1.2, a hash and an algorithm of a byte each, carry
    /// the name of the scheme that took their number, or one made in the same way.
    SignatureScheme(u16) {
        RSA_PKCS1_MD5 = 0x0101 => "rsa_pkcs1_md5",
        RSA_PKCS1_SHA1 = 0x0201 => "rsa_pkcs1_sha1",
        DSA_SHA1 = 0x0202 => "dsa_sha1",
        ECDSA_SHA1 = 0x0203 => "ecdsa_sha1",
        RSA_PKCS1_SHA224 = 0x0301 => "rsa_pkcs1_sha224",
        DSA_SHA224 = 0x0302 => "dsa_sha224",
        ECDSA_SHA224 = 0x0303 => "ecdsa_sha224",
        RSA_PKCS1_SHA256 = 0x0401 => "rsa_pkcs1_sha256",
        DSA_SHA256 = 0x0402 => "dsa_sha256",
        ECDSA_SECP256R1_SHA256 = 0x0403 => "ecdsa_secp256r1_sha256",
        RSA_PKCS1_SHA256_LEGACY = 0x0420 => "rsa_pkcs1_sha256_legacy",
        RSA_PKCS1_SHA384 = 0x0501 => "rsa_pkcs1_sha384",
        DSA_SHA384 = 0x0502 => "dsa_sha384",
        ECDSA_SECP384R1_SHA384 = 0x0503 => "ecdsa_secp384r1_sha384",
        RSA_PKCS1_SHA384_LEGACY = 0x0520 => "rsa_pkcs1_sha384_legacy",
        RSA_PKCS1_SHA512 = 0x0601 => "rsa_pkcs1_sha512",
        DSA_SHA512 = 0x0602 => "dsa_sha512",
        ECDSA_SECP521R1_SHA512 = 0x0603 => "ecdsa_secp521r1_sha512",
        RSA_PKCS1_SHA512_LEGACY = 0x0620 => "rsa_pkcs1_sha512_legacy",
        SM2SIG_SM3 = 0x0708 => "sm2sig_sm3",
        GOSTR34102012_256A = 0x0709 => "gostr34102012_256a",
        GOSTR34102012_256B = 0x070a => "gostr34102012_256b",
        GOSTR34102012_256C = 0x070b => "gostr34102012_256c",
        GOSTR34102012_256D = 0x070c => "gostr34102012_256d",
        GOSTR34102012_512A = 0x070d => "gostr34102012_512a",
        GOSTR34102012_512B = 0x070e => "gostr34102012_512b",
        GOSTR34102012_512C = 0x070f => "gostr34102012_512c",
        RSA_PSS_RSAE_SHA256 = 0x0804 => "rsa_pss_rsae_sha256",
        RSA_PSS_RSAE_SHA384 = 0x0805 => "rsa_pss_rsae_sha384",
        RSA_PSS_RSAE_SHA512 = 0x0806 => "rsa_pss_rsae_sha512",
        ED25519 = 0x0807 => "ed25519",
        ED448 = 0x0808 => "ed448",
        RSA_PSS_PSS_SHA256 = 0x0809 => "rsa_pss_pss_sha256",
        RSA_PSS_PSS_SHA384 = 0x080a => "rsa_pss_pss_sha384",
        RSA_PSS_PSS_SHA512 = 0x080b => "rsa_pss_pss_sha512",
        ECDSA_BRAINPOOLP256R1_TLS13_SHA256 = 0x081a => "ecdsa_brainpoolP256r1tls13_sha256",
        ECDSA_BRAINPOOLP384R1_TLS13_SHA384 = 0x081b => "ecdsa_brainpoolP384r1tls13_sha384",
        ECDSA_BRAINPOOLP512R1_TLS13_SHA512 = 0x081c => "ecdsa_brainpoolP512r1tls13_sha512",
        MLDSA44 = 0x0904 => "mldsa44",
        MLDSA65 = 0x0905 => "mldsa65",
        MLDSA87 = 0x0906 => "mldsa87",
    }
}

number! {
    /// What an alert says (RFC 8446 section 6).
    AlertDescription(u8) {
        CLOSE_NOTIFY = 0 => "close_notify",
        UNEXPECTED_MESSAGE = 10 => "unexpected_message",
        BAD_RECORD_MAC = 20 => "bad_record_mac",
        DECRYPTION_FAILED = 21 => "decryption_failed",
        RECORD_OVERFLOW = 22 => "record_overflow",
        DECOMPRESSION_FAILURE = 30 => "decompression_failure",
        HANDSHAKE_FAILURE = 40 => "handshake_failure",
        NO_CERTIFICATE = 41 => "no_certificate",
        BAD_CERTIFICATE = 42 => "bad_certificate",
        UNSUPPORTED_CERTIFICATE = 43 => "unsupported_certificate",
        CERTIFICATE_REVOKED = 44 => "certificate_revoked",
        CERTIFICATE_EXPIRED = 45 => "certificate_expired",
        CERTIFICATE_UNKNOWN = 46 => "certificate_unknown",
        ILLEGAL_PARAMETER = 47 => "illegal_parameter",
        UNKNOWN_CA = 48 => "unknown_ca",
        ACCESS_DENIED = 49 => "access_denied",
        DECODE_ERROR = 50 => "decode_error",
        DECRYPT_ERROR = 51 => "decrypt_error",
        TOO_MANY_CIDS_REQUESTED = 52 => "too_many_cids_requested",
        EXPORT_RESTRICTION = 60 => "export_restriction",
        PROTOCOL_VERSION = 70 => "protocol_version",
        INSUFFICIENT_SECURITY = 71 => "insufficient_security",
        INTERNAL_ERROR = 80 => "internal_error",
        INAPPROPRIATE_FALLBACK = 86 => "inappropriate_fallback",
        USER_CANCELED = 90 => "user_canceled",
        NO_RENEGOTIATION = 100 => "no_renegotiation",
        MISSING_EXTENSION = 109 => "missing_extension",
        UNSUPPORTED_EXTENSION = 110 => "unsupported_extension",
        CERTIFICATE_UNOBTAINABLE = 111 => "certificate_unobtainable",
        UNRECOGNIZED_NAME = 112 => "unrecognized_name",
        BAD_CERTIFICATE_STATUS_RESPONSE = 113 => "bad_certificate_status_response",
        BAD_CERTIFICATE_HASH_VALUE = 114 => "bad_certificate_hash_value",
        UNKNOWN_PSK_IDENTITY = 115 => "unknown_psk_identity",
        CERTIFICATE_REQUIRED = 116 => "certificate_required",
        GENERAL_ERROR = 117 => "general_error",
        NO_APPLICATION_PROTOCOL = 120 => "no_application_protocol",
        ECH_REQUIRED = 121 => "ech_required",
    }
}

number! {
    /// A record's type (RFC 8446 section 5.1).
    ContentType(u8) {
        CHANGE_CIPHER_SPEC = 20 => "change_cipher_spec",
        ALERT = 21 => "alert",
        HANDSHAKE = 22 => "handshake",
        APPLICATION_DATA = 23 => "application_data",
        HEARTBEAT = 24 => "heartbeat",
        TLS12_CID = 25 => "tls12_cid",
    }
}

number! {
    /// A handshake message's type (RFC 8446 section 4).
    HandshakeType(u8) {
        HELLO_REQUEST = 0 => "hello_request",
        CLIENT_HELLO = 1 => "client_hello",
        SERVER_HELLO = 2 => "server_hello",
        HELLO_VERIFY_REQUEST = 3 => "hello_verify_request",
        NEW_SESSION_TICKET = 4 => "new_session_ticket",
        END_OF_EARLY_DATA = 5 => "end_of_early_data",
        HELLO_RETRY_REQUEST = 6 => "hello_retry_request",
        ENCRYPTED_EXTENSIONS = 8 => "encrypted_extensions",
        REQUEST_CONNECTION_ID = 9 => "request_connection_id",
        NEW_CONNECTION_ID = 10 => "new_connection_id",
        CERTIFICATE = 11 => "certificate",
        SERVER_KEY_EXCHANGE = 12 => "server_key_exchange",
        CERTIFICATE_REQUEST = 13 => "certificate_request",
        SERVER_HELLO_DONE = 14 => "server_hello_done",
        CERTIFICATE_VERIFY = 15 => "certificate_verify",
        CLIENT_KEY_EXCHANGE = 16 => "client_key_exchange",
        CLIENT_CERTIFICATE_REQUEST = 17 => "client_certificate_request",
        FINISHED = 20 => "finished",
        CERTIFICATE_URL = 21 => "certificate_url",
        CERTIFICATE_STATUS = 22 => "certificate_status",
        SUPPLEMENTAL_DATA = 23 => "supplemental_data",
        KEY_UPDATE = 24 => "key_update",
        COMPRESSED_CERTIFICATE = 25 => "compressed_certificate",
        EKT_KEY = 26 => "ekt_key",
        NEXT_PROTOCOL = 67 => "next_protocol",
        MESSAGE_HASH = 254 => "message_hash",
    }
}

number! {
    /// An extension's type (RFC 8446 section 4.2).
    ExtensionType(u16) {
        SERVER_NAME = 0 => "server_name",
        MAX_FRAGMENT_LENGTH = 1 => "max_fragment_length",
        CLIENT_CERTIFICATE_URL = 2 => "client_certificate_url",
        TRUSTED_CA_KEYS = 3 => "trusted_ca_keys",
        TRUNCATED_HMAC = 4 => "truncated_hmac",
        STATUS_REQUEST = 5 => "status_request",
        USER_MAPPING = 6 => "user_mapping",
        CLIENT_AUTHZ = 7 => "client_authz",
        SERVER_AUTHZ = 8 => "server_authz",
        CERT_TYPE = 9 => "cert_type",
        SUPPORTED_GROUPS = 10 => "supported_groups",
        EC_POINT_FORMATS = 11 => "ec_point_formats",
        SRP = 12 => "srp",
        SIGNATURE_ALGORITHMS = 13 => "signature_algorithms",
        USE_SRTP = 14 => "use_srtp",
        HEARTBEAT = 15 => "heartbeat",
        ALPN = 16 => "application_layer_protocol_negotiation",
        STATUS_REQUEST_V2 = 17 => "status_request_v2",
        SIGNED_CERTIFICATE_TIMESTAMP = 18 => "signed_certificate_timestamp",
        CLIENT_CERTIFICATE_TYPE = 19 => "client_certificate_type",
        SERVER_CERTIFICATE_TYPE = 20 => "server_certificate_type",
        PADDING = 21 => "padding",
        ENCRYPT_THEN_MAC = 22 => "encrypt_then_mac",
        EXTENDED_MASTER_SECRET = 23 => "extended_master_secret",
        TOKEN_BINDING = 24 => "token_binding",
        CACHED_INFO = 25 => "cached_info",
        COMPRESS_CERTIFICATE = 27 => "compress_certificate",
        RECORD_SIZE_LIMIT = 28 => "record_size_limit",
        PWD_PROTECT = 29 => "pwd_protect",
        PWD_CLEAR = 30 => "pwd_clear",
        PASSWORD_SALT = 31 => "password_salt",
        TICKET_PINNING = 32 => "ticket_pinning",
        TLS_CERT_WITH_EXTERN_PSK = 33 => "tls_cert_with_extern_psk",
        DELEGATED_CREDENTIAL = 34 => "delegated_credential",
        SESSION_TICKET = 35 => "session_ticket",
        TLMSP = 36 => "TLMSP",
        TLMSP_PROXYING = 37 => "TLMSP_proxying",
        TLMSP_DELEGATE = 38 => "TLMSP_delegate",
        SUPPORTED_EKT_CIPHERS = 39 => "supported_ekt_ciphers",
        PRE_SHARED_KEY = 41 => "pre_shared_key",
        EARLY_DATA = 42 => "early_data",
        SUPPORTED_VERSIONS = 43 => "supported_versions",
        COOKIE = 44 => "cookie",
        PSK_KEY_EXCHANGE_MODES = 45 => "psk_key_exchange_modes",
        CERTIFICATE_AUTHORITIES = 47 => "certificate_authorities",
        OID_FILTERS = 48 => "oid_filters",
        POST_HANDSHAKE_AUTH = 49 => "post_handshake_auth",
        SIGNATURE_ALGORITHMS_CERT = 50 => "signature_algorithms_cert",
        KEY_SHARE = 51 => "key_share",
        TRANSPARENCY_INFO = 52 => "transparency_info",
        CONNECTION_ID_DEPRECATED = 53 => "connection_id_deprecated",
        CONNECTION_ID = 54 => "connection_id",
        EXTERNAL_ID_HASH = 55 => "external_id_hash",
        EXTERNAL_SESSION_ID = 56 => "external_session_id",
        QUIC_TRANSPORT_PARAMETERS = 57 => "quic_transport_parameters",
        TICKET_REQUEST = 58 => "ticket_request",
        DNSSEC_CHAIN = 59 => "dnssec_chain",
        NEXT_PROTOCOL_NEGOTIATION = 13172 => "next_protocol_negotiation",
        APPLICATION_SETTINGS_OLD = 17513 => "application_settings_old",
        APPLICATION_SETTINGS = 17613 => "application_settings",
        ECH_OUTER_EXTENSIONS = 0xfd00 => "ech_outer_extensions",
        ENCRYPTED_CLIENT_HELLO = 0xfe0d => "encrypted_client_hello",
        ENCRYPTED_SERVER_NAME = 0xffce => "encrypted_server_name",
        RENEGOTIATION_INFO = 0xff01 => "renegotiation_info",
    }
}

/// A cipher suite.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CipherSuite(pub u16);

crate::compact!(CipherSuite(number));

impl CipherSuite {
    /// Not a suite: the client can renegotiate safely (RFC 5746 section 3.3).
    pub const EMPTY_RENEGOTIATION_INFO_SCSV: CipherSuite = CipherSuite(0x00ff);
    /// Not a suite: the client tried a higher version before (RFC 7507).
    pub const FALLBACK_SCSV: CipherSuite = CipherSuite(0x5600);

    /// The registered name, if it has one that is known here.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            CipherSuite::EMPTY_RENEGOTIATION_INFO_SCSV => Some("TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
            CipherSuite::FALLBACK_SCSV => Some("TLS_FALLBACK_SCSV"),
            CipherSuite(id) => TlsCipherSuite::from_id(id).map(|suite| suite.name),
        }
    }

    /// Whether it signals something and can never be chosen.
    #[must_use]
    pub fn is_signalling(self) -> bool {
        matches!(
            self,
            CipherSuite::EMPTY_RENEGOTIATION_INFO_SCSV | CipherSuite::FALLBACK_SCSV
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_registered_ones() {
        assert_eq!(CipherSuite(0x1301).to_string(), "TLS_AES_128_GCM_SHA256");
        assert_eq!(
            CipherSuite(0xc02f).to_string(),
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        );
        assert_eq!(CipherSuite(0x5600).to_string(), "TLS_FALLBACK_SCSV");
        assert_eq!(NamedGroup(0x11ec).to_string(), "X25519MLKEM768");
        assert_eq!(NamedGroup(0x6399).to_string(), "X25519Kyber768Draft00");
        assert_eq!(SignatureScheme(0x0804).to_string(), "rsa_pss_rsae_sha256");
        assert_eq!(AlertDescription(117).to_string(), "general_error");
        assert_eq!(HandshakeType(254).to_string(), "message_hash");
        assert_eq!(ContentType(21).to_string(), "alert");
        assert_eq!(ExtensionType(43).to_string(), "supported_versions");
        assert_eq!(ProtocolVersion(0x0304).to_string(), "TLS 1.3");
        assert_eq!(ProtocolVersion(0x7f1c).to_string(), "TLS 1.3 draft 28");
        assert_eq!(ProtocolVersion(0x0a0a).to_string(), "GREASE (0x0a0a)");
        assert_eq!(ProtocolVersion(0xfb17).to_string(), "0xfb17");
    }

    #[test]
    fn what_has_no_name_prints_its_value() {
        assert_eq!(CipherSuite(0xeeee).to_string(), "0xeeee");
        assert_eq!(NamedGroup(0x2a2a).to_string(), "GREASE (0x2a2a)");
        assert_eq!(AlertDescription(255).to_string(), "255");
        assert_eq!(HandshakeType(99).to_string(), "99");
    }

    #[test]
    fn sixteen_values_are_grease() {
        let all: Vec<u16> = (0..=u16::MAX)
            .filter(|value| ExtensionType(*value).is_grease())
            .collect();
        assert_eq!(all.len(), 16);
        assert_eq!(all.first(), Some(&0x0a0a));
        assert_eq!(all.last(), Some(&0xfafa));
    }

    #[test]
    fn every_suite_tls_1_3_defines_is_named() {
        for id in 0x1301..=0x1305 {
            assert!(CipherSuite(id).name().is_some(), "{id:#06x}");
        }
    }
}
