//! Databases.

use super::{Meaning, Reason, has};

/// A SQLSTATE (PostgreSQL, appendix A). The words of poolers that answer in its protocol say more than their code.
pub(super) fn postgresql(code: &str, message: &str) -> Meaning {
    use Reason::{Account, Capacity, Credentials, Idle, Policy, Request, Service, Unknown};
    let (name, reason) = match code {
        "28000" => ("invalid_authorization_specification", Policy),
        "28P01" => ("invalid_password", Credentials),
        "3D000" => ("invalid_catalog_name", Request),
        "42501" => ("insufficient_privilege", Policy),
        "42704" => ("undefined_object", Request),
        "22023" => ("invalid_parameter_value", Request),
        "08P01" => ("protocol_violation", Request),
        "08004" => ("sqlserver_rejected_establishment_of_sqlconnection", Service),
        "0A000" => ("feature_not_supported", Request),
        "53000" => ("insufficient_resources", Capacity),
        "53100" => ("disk_full", Service),
        "53200" => ("out_of_memory", Service),
        "53300" => ("too_many_connections", Capacity),
        "55000" => ("object_not_in_prerequisite_state", Service),
        "57P01" => ("admin_shutdown", Service),
        "57P02" => ("crash_shutdown", Service),
        "57P03" => ("cannot_connect_now", Service),
        "57P04" => ("database_dropped", Service),
        "57P05" => ("idle_session_timeout", Idle),
        "25P03" => ("idle_in_transaction_session_timeout", Idle),
        "58000" => ("system_error", Service),
        "XX000" => ("internal_error", Service),
        _ => (
            "",
            match code.get(..2) {
                Some("28") => Policy,
                Some("53") => Capacity,
                Some("57" | "58" | "XX") => Service,
                Some("08" | "0A" | "22" | "3D" | "42") => Request,
                _ => Unknown,
            },
        ),
    };
    let reason = match reason {
        _ if has(
            message,
            &["no more connections", "too many clients", "max_client_conn"],
        ) =>
        {
            Capacity
        }
        _ if has(message, &["is not permitted to log in"]) => Account,
        reason => reason,
    };
    Meaning::new(name, reason)
}

/// An error number of MySQL and MariaDB (MySQL 8.4 Error Message Reference; MariaDB error codes).
pub(super) fn mysql(number: Option<u32>) -> Meaning {
    use Reason::{Account, Capacity, Credentials, Idle, Policy, Request, Service, Unknown};
    let (name, reason) = match number.unwrap_or(0) {
        1040 => ("ER_CON_COUNT_ERROR", Capacity),
        1042 => ("ER_BAD_HOST_ERROR", Service),
        1043 => ("ER_HANDSHAKE_ERROR", Request),
        1044 => ("ER_DBACCESS_DENIED_ERROR", Policy),
        1045 => ("ER_ACCESS_DENIED_ERROR", Credentials),
        1047 => ("ER_UNKNOWN_COM_ERROR", Request),
        1049 => ("ER_BAD_DB_ERROR", Request),
        1053 => ("ER_SERVER_SHUTDOWN", Service),
        1129 => ("ER_HOST_IS_BLOCKED", Policy),
        1130 => ("ER_HOST_NOT_PRIVILEGED", Policy),
        1135 => ("ER_CANT_CREATE_THREAD", Service),
        1152 => ("ER_ABORTING_CONNECTION", Service),
        1156 => ("ER_NET_PACKETS_OUT_OF_ORDER", Request),
        1158 => ("ER_NET_READ_ERROR", Unknown),
        1159 => ("ER_NET_READ_INTERRUPTED", Idle),
        1203 => ("ER_TOO_MANY_USER_CONNECTIONS", Capacity),
        1226 => ("ER_USER_LIMIT_REACHED", Capacity),
        1227 => ("ER_SPECIFIC_ACCESS_DENIED_ERROR", Policy),
        1251 => ("ER_NOT_SUPPORTED_AUTH_MODE", Request),
        1275 => ("ER_SERVER_IS_IN_SECURE_AUTH_MODE", Policy),
        1524 => ("ER_PLUGIN_IS_NOT_LOADED", Service),
        1698 => ("ER_ACCESS_DENIED_NO_PASSWORD_ERROR", Credentials),
        1820 => ("ER_MUST_CHANGE_PASSWORD", Account),
        1862 => ("ER_MUST_CHANGE_PASSWORD_LOGIN", Account),
        1927 => ("ER_CONNECTION_KILLED", Service),
        3032 => ("ER_SERVER_OFFLINE_MODE", Service),
        3118 | 4151 => ("ER_ACCOUNT_HAS_BEEN_LOCKED", Account),
        3159 => ("ER_SECURE_TRANSPORT_REQUIRED", Policy),
        3955 => (
            "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK",
            Account,
        ),
        4031 => ("ER_CLIENT_INTERACTION_TIMEOUT", Idle),
        _ => ("", Unknown),
    };
    Meaning::new(name, reason)
}

/// An error number of Microsoft SQL Server and Azure SQL Database ("Database Engine events and errors").
pub(super) fn tds(number: Option<u32>) -> Meaning {
    use Reason::{Account, Capacity, Credentials, Policy, Request, Service, Unknown};
    let (name, reason) = match number.unwrap_or(0) {
        4060 => ("cannot open database", Request),
        4064 => ("cannot open default database", Request),
        10928 | 10929 => ("resource limit reached", Capacity),
        17142 => ("service paused", Service),
        17809 => ("too many connections", Capacity),
        17829 | 17832 | 17836 => ("login packet is malformed", Request),
        17835 => ("encryption required", Policy),
        18401 => ("server in upgrade", Service),
        18450 | 18452 => ("untrusted domain", Credentials),
        18451 => ("server is shutting down", Service),
        18456 => ("login failed", Credentials),
        18461 => ("single user mode", Capacity),
        18470 => ("account disabled", Account),
        18486 => ("account locked", Account),
        18487 => ("password expired", Account),
        18488 => ("password must be changed", Account),
        40197 | 40613 => ("database not available", Service),
        40501 => ("service busy", Capacity),
        40532 => ("cannot open server", Request),
        40615 | 40914 => ("address not allowed by the firewall rules", Policy),
        _ => ("", Unknown),
    };
    Meaning::new(name, reason)
}
