//! What the recording itself could not carry. These lower the confidence of what they touch.

pub(crate) mod cut_short;
pub(crate) mod duplicate_packets;
pub(crate) mod offload;
pub(crate) mod one_direction;
pub(crate) mod packets_missing;
pub(crate) mod time_backwards;
pub(crate) mod truncated_packets;
