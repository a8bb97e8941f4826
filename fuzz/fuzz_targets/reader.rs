//! Any bytes read as a capture: no panic, no endless loop, numbers and counts that agree.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use wirewhy_capture::Reader;

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = Reader::new(Box::new(Cursor::new(data.to_vec())), "fuzz".to_owned())
    else {
        return;
    };
    let plain = reader.info().compression.is_none();
    let mut last = 0;
    let mut frames = 0_u64;
    while let Some(frame) = reader.next() {
        assert!(frame.number > last);
        assert!(frame.original_len as usize >= frame.data.len());
        last = frame.number;
        frames += 1;
        if plain {
            assert!(frames <= data.len() as u64 / 12);
        }
    }
    assert_eq!(reader.info().packets, frames);
    assert!(reader.next().is_none());
    if let Some(problem) = reader.problem() {
        assert!(!problem.to_string().is_empty());
    }
});
