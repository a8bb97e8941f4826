//! `ssh.no-shared-algorithms`: the offers of both sides have nothing in common in a list.

use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::{SshList, Unshared};

use crate::wording::socket;
use crate::{
    Cause, Confidence, Culprit, Detector, Facts, Finding, Group, Limits, Record, Reportable, Role,
    Rule, Severity, Signs,
};

pub(crate) const RECORD: Record = Record {
    code: "ssh.no-shared-algorithms",
    group: Group::Ssh,
    title: "SSH: no algorithm in common",
    severity: Severity::Error,
    means: "Client and server offered their algorithms, and in one of the lists (key exchange, host key, cipher, MAC, compression) no name \
            stands in both. No session can begin.",
    recognised: "Both SSH_MSG_KEXINIT in the clear, and by the rules of RFC 4253 section 7.1 no common name in a list. A MAC is not needed \
                 beside a cipher that protects its data itself (GCM, chacha20-poly1305), and names that only announce an extension \
                 (ext-info, kex-strict) do not count.",
    look_alikes: "A key exchange that succeeds and a login that is refused: that is encrypted and is not seen.",
    check_next: &[
        "ssh -vv HOST shows both offers; ssh -Q kex, ssh -Q key, ssh -Q cipher, ssh -Q mac what the client knows, sshd -T what the server offers.",
        "Old devices offer only what newer clients have switched off (diffie-hellman-group1-sha1, ssh-rsa, CBC): update them, or allow it \
         for that host alone (KexAlgorithms, HostKeyAlgorithms, Ciphers with a plus sign).",
    ],
    explained_by: &[Cause::IfAsSevere("ssh.not-ssh")],
    reportable: Reportable::Soon,
};

pub(crate) const DETECTOR: Detector = Detector {
    record: &RECORD,
    rule: Rule::Connection(Signs::SSH, detect),
};

fn detect(connection: &Connection, _limits: &Limits) -> Option<Finding> {
    let ssh = connection.app.as_deref()?.ssh.as_deref()?;
    let first = ssh.unshared.first()?;
    let (client, server) = (&ssh.client, &ssh.server);
    // Both went on to encrypt: what was read was no offer of this exchange.
    if client.new_keys.is_some() && server.new_keys.is_some() {
        return None;
    }
    let frames = [server.offered, client.offered].into_iter().flatten();
    let lists = ssh.unshared.iter().map(|unshared| unshared.list.name());
    let also = match ssh.unshared.len() {
        1 => String::new(),
        2 if pair(&ssh.unshared) => ", in both directions".to_owned(),
        many => format!(", nor in {} other lists", many - 1),
    };
    Some(Finding {
        code: RECORD.code,
        severity: Severity::Error,
        confidence: Confidence::Certain,
        culprit: culprit(connection, first),
        summary: format!(
            "{} and {} have no SSH {} in common{also}: the client offers {}, the server {}",
            connection.client.address,
            socket(&connection.server),
            word(first.list),
            brief(&first.client),
            brief(&first.server),
        ),
        frames: frames.map(|mark| mark.frame).collect(),
        facts: Facts::default()
            .with("lists", lists.collect::<Vec<_>>())
            .with("client_offers", &*first.client)
            .with("server_offers", &*first.server)
            .with("client_software", client.identification.as_deref())
            .with("server_software", server.identification.as_deref()),
        consequence_of: None,
    })
}

/// The side that offers nothing but what others have switched off is the likelier one to change; otherwise the one that offers
/// less, if either.
fn culprit(connection: &Connection, list: &Unshared) -> Culprit {
    let outdated = |names: &str| !names.is_empty() && names.split(',').all(is_outdated);
    let count = |names: &str| names.split(',').count();
    let (client, server) = (&*list.client, &*list.server);
    let (side, confidence) = match (outdated(client), outdated(server)) {
        (true, false) => (Side::Client, Confidence::Likely),
        (false, true) => (Side::Server, Confidence::Likely),
        _ if count(client) < count(server) => (Side::Client, Confidence::Possible),
        _ if count(client) > count(server) => (Side::Server, Confidence::Possible),
        _ => return Culprit::new(Role::Unknown, None),
    };
    crate::handshake::culprit(connection, side).at_most(confidence)
}

/// Whether a name is one that OpenSSH no longer offers by default, for its hash, its group or its mode is broken or weak
/// (RFC 9142 for key exchange; OpenSSH's release notes for the others).
fn is_outdated(name: &str) -> bool {
    let exact = [
        "diffie-hellman-group1-sha1",
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1",
        "rsa1024-sha1",
        "ssh-rsa",
        "ssh-dss",
        "none",
    ];
    exact.contains(&name)
        || name.ends_with("-cbc")
        || name.starts_with("arcfour")
        || name.starts_with("hmac-md5")
        || name.starts_with("hmac-sha1-96")
        || name.starts_with("hmac-ripemd160")
}

/// A list in a sentence.
fn word(list: SshList) -> &'static str {
    match list {
        SshList::KeyExchange => "key exchange",
        SshList::HostKey => "host key algorithm",
        SshList::CipherToServer | SshList::CipherToClient => "cipher",
        SshList::MacToServer | SshList::MacToClient => "MAC",
        SshList::CompressionToServer | SshList::CompressionToClient => "compression",
    }
}

/// Whether the lists are those of both directions.
fn pair(unshared: &[Unshared]) -> bool {
    let mut words = unshared.iter().map(|unshared| word(unshared.list));
    words.next() == words.next()
}

/// The first names of an offer.
fn brief(names: &str) -> String {
    const SHOWN: usize = 4;
    let all = names.split(',').count();
    let shown: Vec<&str> = names.split(',').take(SHOWN).collect();
    match all {
        _ if names.is_empty() => "nothing".to_owned(),
        ..=SHOWN => shown.join(", "),
        _ => format!("{} and {} more", shown.join(", "), all - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tls::traces::ConversationTrace;
    use crate::testing::{codes, only};
    use crate::{Confidence, Role};

    /// An offer with these host keys.
    pub(super) fn offer(host_keys: &str) -> Vec<u8> {
        let mut body = vec![20];
        body.extend([7; 16]);
        let (cipher, mac) = ("aes128-ctr", "hmac-sha2-256");
        for list in [
            "curve25519-sha256",
            host_keys,
            cipher,
            cipher,
            mac,
            mac,
            "none",
            "none",
            "",
            "",
        ] {
            body.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            body.extend(list.as_bytes());
        }
        body.extend([0; 5]);
        let length = u32::try_from(body.len() + 1 + 4).unwrap();
        [&length.to_be_bytes()[..], &[4], &body, &[0; 4]].concat()
    }

    fn conversation(client: &str, server: &str) -> ConversationTrace {
        ConversationTrace::open()
            .client(b"SSH-2.0-OpenSSH_9.2\r\n")
            .server(b"SSH-2.0-dropbear_2012.55\r\n")
            .client(&offer(client))
            .server(&offer(server))
    }

    #[test]
    fn no_host_key_in_common() {
        let found = only(
            &conversation("ssh-ed25519,rsa-sha2-512", "ssh-rsa,ssh-dss")
                .client_closes()
                .lines(),
        );
        assert_eq!(
            (found.code, found.confidence),
            ("ssh.no-shared-algorithms", Confidence::Certain)
        );
        // The server has nothing but what is switched off elsewhere.
        assert_eq!(
            (found.culprit.role, found.culprit.confidence),
            (Role::Server, Confidence::Likely)
        );
        let words = "no SSH host key algorithm in common: the client offers ssh-ed25519, rsa-sha2-512, the server ssh-rsa, ssh-dss";
        assert!(found.summary.contains(words), "{}", found.summary);
    }

    #[test]
    fn without_old_names_the_shorter_offer_is_possibly_at_fault() {
        let found = only(
            &conversation("ssh-ed25519", "rsa-sha2-512,rsa-sha2-256")
                .client_closes()
                .lines(),
        );
        assert_eq!(
            (found.culprit.role, found.culprit.confidence),
            (Role::Client, Confidence::Possible)
        );
    }

    #[test]
    fn one_in_common_suffices() {
        let conversation = conversation("ssh-ed25519,ssh-rsa", "ssh-rsa")
            .client(&[0, 0, 0, 12, 10, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(codes(&conversation.client_closes().lines()), [""; 0]);
    }
}
