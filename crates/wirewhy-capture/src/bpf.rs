//! The classic BPF machine (McCanne and Jacobson 1993), as libpcap's compiler writes programs for it.
//!
//! Our own, because libpcap's binding runs a program with the captured length as the length on the wire, and `greater`,
//! `less` and `len` would be wrong for every frame that the snap length cut.

/// One instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jump_true: u8,
    pub(crate) jump_false: u8,
    pub(crate) operand: u32,
}

const SCRATCH_WORDS: usize = 16;

/// Runs `program` over a frame and gives how many bytes of it to accept: 0 rejects.
///
/// A load outside the captured bytes, a division by zero, an unknown instruction or a jump out of the program rejects.
pub(crate) fn run(program: &[Instruction], data: &[u8], wire_len: u32) -> u32 {
    execute(program, data, wire_len).unwrap_or(0)
}

fn execute(program: &[Instruction], data: &[u8], wire_len: u32) -> Option<u32> {
    let mut a = 0_u32;
    let mut x = 0_u32;
    let mut scratch = [0_u32; SCRATCH_WORDS];
    let mut at = 0_usize;
    // Jumps only go forward, so this ends.
    loop {
        let instruction = *program.get(at)?;
        at = at.checked_add(1)?;
        let k = instruction.operand;
        match instruction.code & 0x07 {
            // BPF_LD
            0x00 => a = load(instruction, data, wire_len, x, &scratch)?,
            // BPF_LDX
            0x01 => {
                x = match instruction.code & 0xe0 {
                    // BPF_MSH: the header length in the low half of a byte, in words.
                    0xa0 => u32::from(byte(data, k)? & 0x0f) << 2,
                    _ => load(instruction, data, wire_len, 0, &scratch)?,
                };
            }
            // BPF_ST, BPF_STX
            0x02 => *scratch.get_mut(usize::try_from(k).ok()?)? = a,
            0x03 => *scratch.get_mut(usize::try_from(k).ok()?)? = x,
            // BPF_ALU, with the operand or with X
            0x04 => {
                let right = if instruction.code & 0x08 == 0 { k } else { x };
                a = arithmetic(instruction.code, a, right)?;
            }
            // BPF_JMP
            0x05 => {
                let right = if instruction.code & 0x08 == 0 { k } else { x };
                at = at.checked_add(jump(instruction, a, right)?)?;
            }
            // BPF_RET
            0x06 => {
                return Some(match instruction.code & 0x18 {
                    0x00 => k,
                    0x08 => x,
                    _ => a,
                });
            }
            // BPF_MISC: BPF_TAX and BPF_TXA
            _ if instruction.code & 0x80 == 0 => x = a,
            _ => a = x,
        }
    }
}

/// What a load instruction gives; an indexed one counts from `x`.
fn load(
    instruction: Instruction,
    data: &[u8],
    wire_len: u32,
    x: u32,
    scratch: &[u32; SCRATCH_WORDS],
) -> Option<u32> {
    let k = instruction.operand;
    let at = match instruction.code & 0xe0 {
        // BPF_IMM, BPF_MEM, BPF_LEN
        0x00 => return Some(k),
        0x60 => return scratch.get(usize::try_from(k).ok()?).copied(),
        0x80 => return Some(wire_len),
        // BPF_ABS, BPF_IND
        0x20 => k,
        0x40 => x.checked_add(k)?,
        _ => return None,
    };
    match instruction.code & 0x18 {
        // BPF_W, BPF_H, BPF_B
        0x00 => chunk(data, at).map(u32::from_be_bytes),
        0x08 => chunk(data, at).map(|half| u32::from(u16::from_be_bytes(half))),
        0x10 => byte(data, at).map(u32::from),
        _ => None,
    }
}

fn arithmetic(code: u16, a: u32, right: u32) -> Option<u32> {
    Some(match code & 0xf0 {
        0x00 => a.wrapping_add(right),
        0x10 => a.wrapping_sub(right),
        0x20 => a.wrapping_mul(right),
        0x30 => a.checked_div(right)?,
        0x40 => a | right,
        0x50 => a & right,
        // A shift by 32 or more leaves nothing.
        0x60 => a.checked_shl(right).unwrap_or(0),
        0x70 => a.checked_shr(right).unwrap_or(0),
        0x80 => a.wrapping_neg(),
        0x90 => a.checked_rem(right)?,
        0xa0 => a ^ right,
        _ => return None,
    })
}

/// How many instructions to pass over.
fn jump(instruction: Instruction, a: u32, right: u32) -> Option<usize> {
    let taken = match instruction.code & 0xf0 {
        // BPF_JA, BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET
        0x00 => return usize::try_from(instruction.operand).ok(),
        0x10 => a == right,
        0x20 => a > right,
        0x30 => a >= right,
        0x40 => a & right != 0,
        _ => return None,
    };
    Some(usize::from(if taken {
        instruction.jump_true
    } else {
        instruction.jump_false
    }))
}

fn chunk<const N: usize>(data: &[u8], at: u32) -> Option<[u8; N]> {
    data.get(usize::try_from(at).ok()?..)?
        .first_chunk()
        .copied()
}

fn byte(data: &[u8], at: u32) -> Option<u8> {
    data.get(usize::try_from(at).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(code: u16, jumps: (u8, u8), operand: u32) -> Instruction {
        Instruction {
            code,
            jump_true: jumps.0,
            jump_false: jumps.1,
            operand,
        }
    }

    /// Loads `operand`, does `code` with `right` as operand, and returns the accumulator.
    fn compute(code: u16, left: u32, right: u32) -> u32 {
        let program = [
            instruction(0x00, (0, 0), left),
            instruction(code, (0, 0), right),
            instruction(0x16, (0, 0), 0),
        ];
        run(&program, &[], 0)
    }

    #[test]
    fn arithmetic_wraps_and_refuses_to_divide_by_zero() {
        assert_eq!(compute(0x04, u32::MAX, 3), 2);
        assert_eq!(compute(0x14, 2, 3), u32::MAX);
        assert_eq!(compute(0x24, 1 << 31, 3), 1 << 31);
        assert_eq!(compute(0x34, 17, 5), 3);
        assert_eq!(compute(0x34, 17, 0), 0);
        assert_eq!(compute(0x94, 17, 5), 2);
        assert_eq!(compute(0x94, 17, 0), 0);
        assert_eq!(compute(0xa4, 6, 5), 3);
        assert_eq!(compute(0x64, 1, 31), 1 << 31);
        assert_eq!(compute(0x64, 1, 32), 0);
        assert_eq!(compute(0x74, 1 << 31, 40), 0);
        assert_eq!(compute(0x84, 1, 0), u32::MAX);
    }

    #[test]
    fn loads_stay_inside_the_captured_bytes() {
        let data = [1, 2, 3, 0x45, 5];
        let load = |code, at| {
            run(
                &[instruction(code, (0, 0), at), instruction(0x16, (0, 0), 0)],
                &data,
                99,
            )
        };
        assert_eq!(load(0x20, 0), 0x0102_0345);
        assert_eq!(load(0x20, 2), 0);
        assert_eq!(load(0x28, 3), 0x4505);
        assert_eq!(load(0x28, 4), 0);
        assert_eq!(load(0x30, 4), 5);
        assert_eq!(load(0x30, u32::MAX), 0);
        assert_eq!(load(0x80, 0), 99);
        let header_len = [
            instruction(0xb1, (0, 0), 3),
            instruction(0x87, (0, 0), 0),
            instruction(0x16, (0, 0), 0),
        ];
        assert_eq!(run(&header_len, &data, 99), 20);
    }

    #[test]
    fn a_program_that_runs_off_its_end_rejects() {
        assert_eq!(run(&[], b"abc", 3), 0);
        assert_eq!(run(&[instruction(0x05, (0, 0), 7)], b"abc", 3), 0);
        assert_eq!(run(&[instruction(0x02, (0, 0), 16)], b"abc", 3), 0);
        assert_eq!(run(&[instruction(0x05, (0, 0), u32::MAX); 2], b"abc", 3), 0);
    }
}
