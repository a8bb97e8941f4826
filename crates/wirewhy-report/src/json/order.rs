//! Connections in the order in which they began, as far as a bounded store reaches: they come as they end.

use std::collections::BTreeMap;

use wirewhy_flow::Connection;

/// Records of connections that wait for those that began earlier.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    /// By first frame and stream, then by arrival.
    records: BTreeMap<(u64, u32, u64), Vec<u8>>,
    added: u64,
    bytes: usize,
}

impl Ordered {
    /// How many records wait at most.
    const RECORDS: usize = 4_096;
    /// How many bytes they have at most.
    const BYTES: usize = 8 << 20;

    /// Takes in the record of a connection. Returns those whose turn has come: the earliest, while there are too many.
    pub(crate) fn add(&mut self, connection: &Connection, record: Vec<u8>) -> Vec<Vec<u8>> {
        self.bytes += record.len();
        self.added += 1;
        let key = (connection.first.frame, connection.stream, self.added);
        self.records.insert(key, record);
        let mut due = Vec::new();
        while self.records.len() > Self::RECORDS || self.bytes > Self::BYTES {
            let Some((_, record)) = self.records.pop_first() else {
                break;
            };
            self.bytes -= record.len();
            due.push(record);
        }
        due
    }

    /// All that are left.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.records).into_values()
    }
}
