use super::*;
use crate::AppFacts;
use crate::testing::{Turn, client, facts_of, open_facts, segments, server};

const KEX: &str = "curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com";

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (body.len() + 10) % 8) % 8;
    let length = u32::try_from(body.len() + 2 + padding).unwrap();
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.push(kind);
    packet.extend(body);
    packet.extend(vec![0; padding]);
    packet
}

/// An offer: key exchange, host key, cipher and MAC of both directions.
fn offer([key_exchange, host_key, cipher, mac]: [&str; 4]) -> Vec<u8> {
    let mut body = vec![7; 16];
    let none = "none";
    for list in [
        key_exchange,
        host_key,
        cipher,
        cipher,
        mac,
        mac,
        none,
        none,
        "",
        "",
    ] {
        body.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
        body.extend(list.as_bytes());
    }
    body.extend([0; 5]);
    packet(KEXINIT, &body)
}

fn conversation(client_offer: [&str; 4], server_offer: [&str; 4]) -> Vec<Turn> {
    vec![
        client("SSH-2.0-one\r\n"),
        server("SSH-2.0-two\r\n"),
        client(offer(client_offer)),
        server(offer(server_offer)),
    ]
}

fn lists(facts: &AppFacts) -> Vec<SshList> {
    let unshared = &facts.ssh.as_ref().unwrap().unshared;
    unshared.iter().map(|unshared| unshared.list).collect()
}

#[test]
fn offers_without_a_common_name() {
    let fine = [KEX, "ssh-ed25519", "aes128-ctr", "hmac-sha2-256"];
    let host_key = [KEX, "ssh-rsa", "aes128-ctr", "hmac-sha2-256"];
    let cipher = [KEX, "ssh-ed25519", "aes256-cbc", "hmac-sha2-256"];
    let mac = [KEX, "ssh-ed25519", "aes128-ctr", "hmac-md5"];
    for (one, two, expected) in [
        (fine, fine, vec![]),
        (host_key, fine, vec![SshList::HostKey]),
        (
            fine,
            cipher,
            vec![SshList::CipherToServer, SshList::CipherToClient],
        ),
        (fine, mac, vec![SshList::MacToServer, SshList::MacToClient]),
    ] {
        let turns = conversation(one, two);
        for size in [1, 7, 4096] {
            let facts = facts_of(&segments(&turns, size), &turns);
            assert_eq!(lists(&facts), expected, "segments of {size}");
            let ssh = facts.ssh.unwrap();
            assert_eq!(ssh.client.identification.as_deref(), Some("SSH-2.0-one"));
            assert!(ssh.server.offered.is_some());
        }
    }
    let facts = open_facts(&conversation(host_key, fine));
    let unshared = &facts.ssh.unwrap().unshared[0];
    assert_eq!(
        (&*unshared.client, &*unshared.server),
        ("ssh-rsa", "ssh-ed25519")
    );
}

#[test]
fn an_authenticated_cipher_needs_no_mac() {
    let one = [KEX, "ssh-ed25519", "aes128-gcm@openssh.com", "hmac-md5"];
    let two = [
        KEX,
        "ssh-ed25519",
        "aes128-gcm@openssh.com",
        "hmac-sha2-256",
    ];
    assert_eq!(lists(&open_facts(&conversation(one, two))), []);
}

#[test]
fn what_a_side_can_do_is_no_method() {
    let one = ["ext-info-c,kex-strict-c-v00@openssh.com,a", "k", "c", "m"];
    let two = ["b,ext-info-c,kex-strict-s-v00@openssh.com", "k", "c", "m"];
    let facts = open_facts(&conversation(one, two));
    assert_eq!(lists(&facts), [SshList::KeyExchange]);
    assert_eq!(&*facts.ssh.unwrap().unshared[0].client, "a");
}

#[test]
fn one_offer_shows_nothing() {
    let turns = conversation([KEX, "a", "b", "c"], [KEX, "d", "e", "f"]);
    assert_eq!(lists(&open_facts(&turns[..3])), []);
}

#[test]
fn a_server_disconnects() {
    let mut body = 2_u32.to_be_bytes().to_vec();
    body.extend(b"\0\0\0\x10Too many retries\0\0\0\0");
    let facts = open_facts(&[
        client("SSH-2.0-one\r\n"),
        server("SSH-2.0-two\r\n"),
        server(packet(DISCONNECT, &body)),
    ]);
    let refusal = facts.refusal.unwrap();
    assert_eq!(
        (&*refusal.code, refusal.message.as_deref()),
        ("2", Some("Too many retries"))
    );
    let facts = open_facts(&[client("SSH-2.0-one\r\n"), client(packet(DISCONNECT, &body))]);
    assert_eq!(facts.refusal, None);
    assert!(facts.ssh.unwrap().client.disconnect.is_some());
}

#[test]
fn what_is_encrypted_is_not_read() {
    let mut body = 11_u32.to_be_bytes().to_vec();
    body.extend(b"\0\0\0\0");
    let facts = open_facts(&[
        server("SSH-2.0-two\r\n"),
        server(packet(31, b"whatever")),
        server(packet(NEWKEYS, b"")),
        server(packet(DISCONNECT, &body)),
    ]);
    assert_eq!(facts.refusal, None);
    assert!(facts.ssh.unwrap().server.new_keys.is_some());
}

#[test]
fn a_server_without_room_for_clients() {
    let facts = open_facts(&[
        client("SSH-2.0-one\r\n"),
        server("Exceeded MaxStartups\r\n"),
    ]);
    let refusal = facts.refusal.unwrap();
    assert_eq!(refusal.message.as_deref(), Some("Exceeded MaxStartups"));
    assert_eq!(facts.server.protocol, Some(AppProtocol::Ssh));
    // Another service may begin likewise.
    let other = open_facts(&[server("Exceeded quota\r\n")]);
    assert_eq!(other.server.protocol, Some(AppProtocol::Unknown));
}

#[test]
fn version_one_is_not_read() {
    let facts = open_facts(&[server("SSH-1.5-old\n"), server([0, 0, 0, 200, 1, 1])]);
    let ssh = facts.ssh.unwrap();
    assert_eq!(ssh.server.identification.as_deref(), Some("SSH-1.5-old"));
    assert_eq!(facts.refusal, None);
}
