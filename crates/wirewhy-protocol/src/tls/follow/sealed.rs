//! What is encrypted: opened where there are keys, else known by type, size and place.

use super::*;
use crate::tls::{CipherSuite, Opened, RecordTally};

impl Follow {
    /// Whether a record that begins is encrypted.
    pub(super) fn is_sealed(&self, role: Role, record: RecordHeader) -> bool {
        match record.kind {
            CHANGE_CIPHER_SPEC => record.length != 1,
            ALERT => record.length != ALERT_LENGTH,
            HANDSHAKE => !self.is_clear(role, record.length),
            HEARTBEAT => self.is_protected(role),
            _ => true,
        }
    }

    /// Whether there are keys for a side's next encrypted record.
    pub(super) fn has_keys(&mut self, role: Role, context: &CaptureContext) -> bool {
        let (Some(client), false) = (
            &self.facts.client_hello,
            self.client.late || self.server.late,
        ) else {
            return false;
        };
        let hellos = Hellos {
            client,
            server: self.facts.server_hello.as_deref(),
        };
        self.opener.has_keys(role, hellos, context.keys())
    }

    /// An encrypted record for which there are keys is whole.
    pub(super) fn open(
        &mut self,
        role: Role,
        record: RecordHeader,
        body: &[u8],
        mark: Mark,
        context: &mut CaptureContext,
    ) {
        let [major, minor] = record.version.to_be_bytes();
        let [high, low] = record.length.to_be_bytes();
        let header = [record.kind.0, major, minor, high, low];
        match self.opener.open(role, header, body) {
            Some(opened) => self.opened(role, record, opened, mark, context),
            None => {
                if self.opener.should_open(role) {
                    self.side(role).unauthentic.get_or_insert(mark);
                }
                if record.kind == APPLICATION_DATA && self.progress(role).plain > 0 {
                    self.miss_plain(role, record);
                }
                self.sealed(role, record, mark);
            }
        }
    }

    fn opened(
        &mut self,
        role: Role,
        record: RecordHeader,
        opened: Opened,
        mark: Mark,
        context: &mut CaptureContext,
    ) {
        let sealed = self.count(role, record, mark);
        let text = opened.plaintext.as_slice();
        match opened.kind {
            CHANGE_CIPHER_SPEC => {
                self.opener.change_cipher_spec(role);
                self.list(role, MessageKind::ChangeCipherSpec, record, mark);
            }
            ALERT => {
                if let &[level, description, ..] = text {
                    let description = AlertDescription(description);
                    self.alert(
                        role,
                        mark,
                        AlertSeen::Decrypted,
                        Some(level),
                        Some(description),
                    );
                }
            }
            HANDSHAKE => {
                self.sealed_handshake(role, mark);
                self.progress(role).transcript.record(record.version);
                self.handshake(role, text, mark, context);
            }
            APPLICATION_DATA => {
                // Early data come before the handshake is done.
                if self.side(role).finished.is_some() || self.opener.is_past_handshake(role) {
                    self.side(role).application_data.add(sealed);
                }
                self.list(role, MessageKind::ApplicationData, record, mark);
                self.keep_decrypted(role, opened.plaintext, mark);
            }
            HEARTBEAT => self.list(role, MessageKind::Heartbeat, record, mark),
            _ => self.list(role, MessageKind::Sealed(record.kind), record, mark),
        }
    }

    /// Bytes of an encrypted record for which there are keys will not be seen.
    pub(super) fn missed_sealed(&mut self, role: Role, record: RecordHeader, reason: Unreadable) {
        self.opener.pass_over(role);
        if self.side(role).finished.is_none() {
            self.progress(role).transcript.stop(Some(reason));
        }
        if record.kind == APPLICATION_DATA && self.progress(role).plain > 0 {
            self.miss_plain(role, record);
        }
    }

    /// Keeps application data that were decrypted, to be taken by the reader.
    pub(crate) fn keep_decrypted(&mut self, role: Role, bytes: Vec<u8>, mark: Mark) {
        let Ok(length) = u32::try_from(bytes.len()) else {
            return;
        };
        let end = &mut self.progress(role).plain;
        let at = *end;
        *end = at.saturating_add(u64::from(length));
        if length > 0 {
            self.decrypted.push(Decrypted {
                role,
                at,
                bytes,
                mark,
            });
        }
    }

    /// Leaves a gap, of about its length, for what was in a record.
    fn miss_plain(&mut self, role: Role, record: RecordHeader) {
        let place = &mut self.progress(role).plain;
        *place = place.saturating_add(u64::from(record.length));
    }

    /// An encrypted record that is not opened.
    pub(super) fn sealed(&mut self, role: Role, record: RecordHeader, mark: Mark) {
        let sealed = self.count(role, record, mark);
        self.list(role, MessageKind::Sealed(record.kind), record, mark);
        match record.kind {
            ALERT => self.alert(role, mark, AlertSeen::Encrypted, None, None),
            HANDSHAKE => self.sealed_handshake(role, mark),
            APPLICATION_DATA if self.is_1_3 == Some(true) => {
                self.sealed_1_3(role, sealed);
            }
            APPLICATION_DATA => {
                let late = self.progress(role).late;
                let side = self.side(role);
                if side.finished.is_some() || late {
                    side.application_data.add(sealed);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, role: Role, record: RecordHeader, mark: Mark) -> Sealed {
        let sealed = Sealed {
            kind: record.kind,
            length: record.length,
            mark,
        };
        let side = self.side(role);
        side.sealed_count += 1;
        side.last_sealed = Some(sealed);
        if side.sealed.len() < TlsSide::MAX_SEALED {
            if side.sealed.is_empty() {
                side.sealed.reserve_exact(TlsSide::MAX_SEALED);
            }
            side.sealed.push(sealed);
        }
        sealed
    }

    /// An encrypted handshake record of TLS 1.2 or before: the first is the Finished, since nothing else follows a
    /// ChangeCipherSpec, and any later one belongs to another handshake.
    fn sealed_handshake(&mut self, role: Role, mark: Mark) {
        if self.is_1_3 == Some(true) {
            return;
        }
        let TlsSide { finished, .. } = self.side(role);
        if finished.is_none() && !self.progress(role).late {
            self.side(role).finished = Some(mark);
            return;
        }
        let facts = &mut self.facts;
        let both = facts.client.finished.is_some() && facts.server.finished.is_some();
        let carried = facts.client.application_data.count + facts.server.application_data.count;
        if both || carried > 0 {
            facts.renegotiation.get_or_insert(mark);
        }
    }

    /// An encrypted record of TLS 1.3 that is not opened. Where there are keys it is early data that a server refused.
    fn sealed_1_3(&mut self, role: Role, sealed: Sealed) {
        if self.opener.holds_keys(role) {
            return;
        }
        let sizes = self.sizes;
        if role == Role::Client && self.takes_for_flight(sealed, sizes) {
            return;
        }
        let client = &self.facts.client;
        let finished = client.likely_finished.is_some() || client.finished.is_some();
        if finished && sealed.length != sizes.alert {
            self.side(role).application_data.add(sealed);
        }
    }

    /// Whether a record belongs to the client's flight, as far as sizes tell; see [`TlsSide::likely_finished`].
    fn takes_for_flight(&mut self, sealed: Sealed, sizes: Sizes) -> bool {
        let early = self
            .facts
            .client_hello
            .as_ref()
            .is_some_and(|hello| hello.offers_early_data());
        let exact = sealed.length == sizes.finished;
        let client = &mut self.facts.client;
        match client.likely_finished {
            None if exact || sealed.length > sizes.finished && !early => {
                self.since_finished = if exact { MAX_FLIGHT } else { 0 };
                client.likely_finished = Some(sealed);
                true
            }
            // Early data, its end, or an alert in place of a Finished.
            None => true,
            Some(_) if exact && self.since_finished < MAX_FLIGHT => {
                self.since_finished = MAX_FLIGHT;
                client.likely_finished = Some(sealed);
                client.application_data = RecordTally::default();
                true
            }
            Some(_) => {
                self.since_finished = self.since_finished.saturating_add(1);
                false
            }
        }
    }
}

/// What sizes mean in TLS 1.3 with a cipher suite: a record adds its inner type and a tag (RFC 8446 section 5.2).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Sizes {
    finished: u16,
    alert: u16,
}

crate::compact!(Sizes { finished, alert });

impl Sizes {
    pub(super) fn of(suite: CipherSuite) -> Sizes {
        let tag = match suite.0 {
            // TLS_AES_128_CCM_8_SHA256
            0x1305 => 8,
            _ => 16,
        };
        let hash = match suite.0 {
            // TLS_AES_256_GCM_SHA384
            0x1302 => 48,
            _ => 32,
        };
        Sizes {
            finished: 4 + hash + 1 + tag,
            alert: ALERT_LENGTH + 1 + tag,
        }
    }
}
