//! `harness::quic` under libFuzzer.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../harness.rs"]
#[allow(dead_code, reason = "the other targets")]
mod harness;

fuzz_target!(|data: &[u8]| harness::quic(data));
