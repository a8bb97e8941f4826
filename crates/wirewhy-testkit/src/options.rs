//! TCP options: the text between `<` and `>` and its bytes.

use crate::words::hex;

/// A TCP option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Opt {
    Eol,
    Nop,
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    /// Relative to the numbers of the side that is acknowledged.
    Sack(Vec<(i64, i64)>),
    Timestamps(u32, u32),
    /// Kind and contents; the length byte is added.
    Other(u8, Vec<u8>),
    /// Bytes as they are, right or wrong.
    Raw(Vec<u8>),
}

pub(crate) fn parse(list: &str) -> Result<Vec<Opt>, String> {
    list.split(',').map(|item| option(item.trim())).collect()
}

/// `left:right`, several joined by `+`.
pub(crate) fn sack(blocks: &str) -> Result<Opt, String> {
    let block = |text: &str| {
        let (left, right) = text.split_once(':')?;
        Some((left.parse().ok()?, right.parse().ok()?))
    };
    let blocks: Option<Vec<(i64, i64)>> = blocks.split('+').map(block).collect();
    let blocks = blocks.ok_or("sack needs blocks such as 1461:2921+4381:5841")?;
    Ok(Opt::Sack(blocks))
}

fn option(item: &str) -> Result<Opt, String> {
    let wrong = || format!("<{item}> is no option");
    let mut words = item.split_whitespace();
    let name = words.next().ok_or_else(wrong)?;
    let arguments: Vec<&str> = words.collect();
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    Ok(match (name, arguments.as_slice()) {
        ("eol", []) => Opt::Eol,
        ("nop", []) => Opt::Nop,
        ("mss", [mss]) => Opt::Mss(mss.parse().map_err(|_| wrong())?),
        ("wscale", [shift]) => Opt::WindowScale(shift.parse().map_err(|_| wrong())?),
        ("sackOK", []) => Opt::SackPermitted,
        ("sack", [blocks]) => sack(blocks)?,
        ("ts", [value, echo]) => Opt::Timestamps(number(value)?, number(echo)?),
        ("tfo", []) => Opt::Other(34, Vec::new()),
        ("tfo", [cookie]) => Opt::Other(34, hex(cookie)?),
        ("mptcp", [contents]) => Opt::Other(30, hex(contents)?),
        ("md5", []) => Opt::Other(19, vec![0; 16]),
        ("kind", [kind]) => Opt::Other(kind.parse().map_err(|_| wrong())?, Vec::new()),
        ("kind", [kind, contents]) => {
            Opt::Other(kind.parse().map_err(|_| wrong())?, hex(contents)?)
        }
        ("raw", [bytes]) => Opt::Raw(hex(bytes)?),
        _ => return Err(wrong()),
    })
}

/// The option bytes, padded to whole words; `number` makes relative sequence numbers absolute.
pub(crate) fn bytes(options: &[Opt], number: impl Fn(i64) -> u32) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for option in options {
        match option {
            Opt::Eol => bytes.push(0),
            Opt::Nop => bytes.push(1),
            Opt::Mss(mss) => push(&mut bytes, 2, &mss.to_be_bytes())?,
            Opt::WindowScale(shift) => push(&mut bytes, 3, &[*shift])?,
            Opt::SackPermitted => push(&mut bytes, 4, &[])?,
            Opt::Sack(blocks) => {
                let contents: Vec<u8> = blocks
                    .iter()
                    .flat_map(|&(left, right)| [number(left), number(right)])
                    .flat_map(u32::to_be_bytes)
                    .collect();
                push(&mut bytes, 5, &contents)?;
            }
            Opt::Timestamps(value, echo) => {
                let contents = [value.to_be_bytes(), echo.to_be_bytes()].concat();
                push(&mut bytes, 8, &contents)?;
            }
            Opt::Other(kind, contents) => push(&mut bytes, *kind, contents)?,
            Opt::Raw(raw) => bytes.extend_from_slice(raw),
        }
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    if bytes.len() > 40 {
        return Err(format!("{} bytes of options, 40 fit", bytes.len()));
    }
    Ok(bytes)
}

fn push(bytes: &mut Vec<u8>, kind: u8, contents: &[u8]) -> Result<(), String> {
    let len = u8::try_from(contents.len() + 2).map_err(|_| "option too long")?;
    bytes.extend_from_slice(&[kind, len]);
    bytes.extend_from_slice(contents);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_the_bytes_of_their_rfcs() {
        let options = parse("mss 1460, nop, wscale 7, nop,nop,ts 100 50,sackOK").expect("options");
        let expected = [
            2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 8, 10, 0, 0, 0, 100, 0, 0, 0, 50, 4, 2, 0, 0,
        ];
        assert_eq!(bytes(&options, |_| 0).expect("bytes"), expected);
    }

    #[test]
    fn sack_blocks_are_made_absolute() {
        let options = parse("nop,nop,sack 1:3+5:9").expect("options");
        let made = bytes(&options, |relative| {
            u32::try_from(relative).expect("small") + 100
        });
        let expected = [
            1, 1, 5, 18, 0, 0, 0, 101, 0, 0, 0, 103, 0, 0, 0, 105, 0, 0, 0, 109,
        ];
        assert_eq!(made.expect("bytes"), expected);
    }

    #[test]
    fn unknown_and_overlong_lists_are_refused() {
        for list in ["", "mss", "mss 70000", "sack 1", "speed 9", "ts 1", "raw 0"] {
            assert!(parse(list).is_err(), "{list}");
        }
        let long = parse("md5,md5,md5").expect("options");
        assert!(bytes(&long, |_| 0).is_err());
    }
}
