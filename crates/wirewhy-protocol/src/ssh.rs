//! SSH, of which only the identification string is recognised (RFC 4253 section 4.2).

use crate::protocol::{Protocol, Reading, begins_with};
use crate::types::{AppProtocol, Transport};

pub(crate) static SSH: Protocol = Protocol {
    id: AppProtocol::Ssh,
    name: "SSH",
    transports: &[Transport::Tcp],
    first: None,
    probe: |_, bytes| begins_with(bytes, b"SSH-"),
    reading: Reading::None,
};
