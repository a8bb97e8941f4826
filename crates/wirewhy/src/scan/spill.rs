//! Results that wait for their turn: small ones in memory, the rest in blocks of one temporary file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::order::locked;

/// The unit in which the file is handed out.
const BLOCK: usize = 16 << 10;

/// How much of one result is kept in memory while it grows.
const GROWING: usize = 16 * BLOCK;

/// How much all finished results that wait may take of the memory together.
const WAITING: usize = 16 << 20;

/// The temporary file. It has no name, so that nothing is left behind however the program ends.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    blocks: Mutex<Blocks>,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Blocks {
    file: Option<File>,
    free: Vec<u64>,
    next: u64,
}

impl Spill {
    fn store(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut blocks = locked(&self.blocks);
        let block = match blocks.free.pop() {
            Some(block) => block,
            None => {
                blocks.next += 1;
                blocks.next - 1
            }
        };
        let file = match &mut blocks.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().map_err(temporary)?),
        };
        file.seek(SeekFrom::Start(block * BLOCK as u64))
            .and_then(|_| file.write_all(bytes))
            .map_err(temporary)?;
        Ok(block)
    }

    /// Reads a block back and gives it free.
    fn fetch(&self, block: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut blocks = locked(&self.blocks);
        if let Some(file) = &mut blocks.file {
            file.seek(SeekFrom::Start(block * BLOCK as u64))
                .and_then(|_| file.read_exact(bytes))
                .map_err(temporary)?;
        }
        blocks.free.push(block);
        Ok(())
    }
}

/// Says which file failed: the user only knows of others.
fn temporary(error: io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("temporary file: {}", crate::exit::in_words(&error)),
    )
}

/// A result that is being written.
#[derive(Debug)]
pub(crate) struct Spool<'a> {
    spill: &'a Spill,
    blocks: Vec<u64>,
    tail: Vec<u8>,
    len: u64,
}

impl<'a> Spool<'a> {
    pub(crate) fn new(spill: &'a Spill) -> Spool<'a> {
        Spool {
            spill,
            blocks: Vec::new(),
            tail: Vec::new(),
            len: 0,
        }
    }

    /// How much was written.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The whole result, which may wait now.
    pub(crate) fn finish(mut self) -> io::Result<Spooled<'a>> {
        let all = self
            .spill
            .waiting
            .fetch_add(self.tail.len(), Ordering::Relaxed);
        let mut counted = self.tail.len();
        let mut last = None;
        if all + self.tail.len() > WAITING && !self.tail.is_empty() {
            self.store_blocks(BLOCK)?;
            if !self.tail.is_empty() {
                last = Some((self.spill.store(&self.tail)?, self.tail.len()));
            }
            self.spill.waiting.fetch_sub(counted, Ordering::Relaxed);
            counted = 0;
            self.tail = Vec::new();
        }
        Ok(Spooled {
            spill: self.spill,
            blocks: self.blocks,
            last,
            tail: self.tail.into_boxed_slice(),
            counted,
        })
    }

    /// Stores whole blocks until less than `keep` is left.
    fn store_blocks(&mut self, keep: usize) -> io::Result<()> {
        let mut stored = 0;
        while self.tail.len() - stored >= keep.max(BLOCK) {
            let block = self.tail.get(stored..stored + BLOCK).unwrap_or_default();
            self.blocks.push(self.spill.store(block)?);
            stored += BLOCK;
        }
        self.tail.drain(..stored);
        Ok(())
    }
}

impl Write for Spool<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len() as u64;
        if self.tail.len() >= GROWING {
            self.store_blocks(BLOCK)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A finished result.
#[derive(Debug)]
pub(crate) struct Spooled<'a> {
    spill: &'a Spill,
    blocks: Vec<u64>,
    /// A block that is not full.
    last: Option<(u64, usize)>,
    tail: Box<[u8]>,
    /// What it takes of the memory for results that wait.
    counted: usize,
}

impl Spooled<'_> {
    /// Hands the result over, piece by piece.
    pub(crate) fn drain(self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0; BLOCK];
        for block in &self.blocks {
            self.spill.fetch(*block, &mut buffer)?;
            take(&buffer)?;
        }
        if let Some((block, len)) = self.last {
            let part = buffer.get_mut(..len).unwrap_or_default();
            self.spill.fetch(block, part)?;
            take(part)?;
        }
        take(&self.tail)
    }
}

impl Drop for Spooled<'_> {
    fn drop(&mut self) {
        self.spill
            .waiting
            .fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(seed: usize, len: usize) -> Vec<u8> {
        (0..len)
            .map(|at| ((at * 31 + seed) % 251).to_le_bytes()[0])
            .collect()
    }

    fn drained(spooled: Spooled<'_>) -> Vec<u8> {
        let mut all = Vec::new();
        spooled
            .drain(&mut |piece| {
                all.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn what_went_in_comes_out_whatever_its_size() {
        let spill = Spill::default();
        for len in [
            0,
            1,
            BLOCK,
            GROWING - 1,
            GROWING,
            GROWING + 1,
            3 * GROWING + 77,
        ] {
            let expected = bytes(len, len);
            let mut spool = Spool::new(&spill);
            for piece in expected.chunks(1000) {
                spool.write_all(piece).unwrap();
            }
            assert_eq!(spool.len(), len as u64);
            assert!(drained(spool.finish().unwrap()) == expected, "{len}");
        }
        assert_eq!(spill.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn many_that_wait_take_bounded_memory_and_their_blocks_are_used_again() {
        let spill = Spill::default();
        let one = 40_000;
        let number = 2 * WAITING / one;
        for round in 0..3 {
            let waiting: Vec<Spooled<'_>> = (0..number)
                .map(|seed| {
                    let mut spool = Spool::new(&spill);
                    spool.write_all(&bytes(seed + round, one)).unwrap();
                    spool.finish().unwrap()
                })
                .collect();
            let held: usize = waiting.iter().map(|spooled| spooled.tail.len()).sum();
            assert!(held <= WAITING, "{held}");
            for (seed, spooled) in waiting.into_iter().enumerate() {
                assert!(drained(spooled) == bytes(seed + round, one));
            }
        }
        let blocks = locked(&spill.blocks).next;
        assert!(
            blocks <= (2 * number * one / BLOCK) as u64,
            "{blocks} blocks"
        );
    }
}
