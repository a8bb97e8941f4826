//! The latest of many things, the first of which need no memory of its own: most keys of a table are met once.

use std::collections::VecDeque;

/// Some of the latest items that were added, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Latest<T> {
    oldest: Option<T>,
    /// Those behind it.
    others: VecDeque<T>,
}

impl<T> Default for Latest<T> {
    fn default() -> Latest<T> {
        Latest {
            oldest: None,
            others: VecDeque::new(),
        }
    }
}

impl<T> Latest<T> {
    /// Adds one. Of more than `kept` the oldest goes.
    pub(crate) fn add(&mut self, item: T, kept: usize) {
        if self.oldest.is_none() {
            self.oldest = Some(item);
            return;
        }
        self.others.push_back(item);
        if self.others.len() >= kept {
            self.oldest = self.others.pop_front();
        }
    }

    /// Those kept, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.oldest.iter().chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes() {
        let mut latest = Latest::default();
        let mut seen = Vec::new();
        for number in 1..=5 {
            latest.add(number, 3);
            seen.push(latest.iter().copied().collect::<Vec<i32>>());
        }
        let expected: [&[i32]; 5] = [&[1], &[1, 2], &[1, 2, 3], &[2, 3, 4], &[3, 4, 5]];
        assert_eq!(seen, expected);
    }
}
