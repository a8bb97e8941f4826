//! A short list in ascending order that needs no memory of its own.

/// The least of the values that it was given, at most `N`, in ascending order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Few<T, const N: usize>([Option<T>; N]);

impl<T: Copy, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Few([None; N])
    }
}

impl<T: Copy + Ord, const N: usize> Few<T, N> {
    /// Adds a value, and returns the one for which there is no room.
    pub(crate) fn add(&mut self, value: T) -> Option<T> {
        if self.has_no_room_for(&value) {
            return Some(value);
        }
        let mut left = value;
        for place in &mut self.0 {
            match place {
                Some(kept) if *kept <= left => {}
                Some(kept) => std::mem::swap(kept, &mut left),
                None => {
                    *place = Some(left);
                    return None;
                }
            }
        }
        Some(left)
    }

    /// Whether there are so many that are no larger.
    #[inline]
    pub(crate) fn has_no_room_for(&self, value: &T) -> bool {
        matches!(self.0.last(), Some(Some(largest)) if largest <= value)
    }

    /// Takes out the first value that is wanted.
    pub(crate) fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.iter().position(|value| wanted(&value))?;
        let rest = self.0.get_mut(at..)?;
        let taken = rest.first_mut()?.take();
        rest.rotate_left(1);
        taken
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.0.iter().copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_are_kept_in_order() {
        let mut few: Few<u32, 3> = Few::default();
        let left: Vec<u32> = [5, 1, 9, 3, 7]
            .into_iter()
            .filter_map(|value| few.add(value))
            .collect();
        assert_eq!(few.iter().collect::<Vec<_>>(), [1, 3, 5]);
        assert!(few.has_no_room_for(&5) && !few.has_no_room_for(&4));
        assert_eq!(left, [9, 7]);
        assert_eq!(few.take(|value| *value == 3), Some(3));
        assert_eq!(few.take(|value| *value == 3), None);
        assert!(!few.has_no_room_for(&6));
        assert_eq!(few.add(2), None);
        assert_eq!(few.iter().collect::<Vec<_>>(), [1, 2, 5]);
    }
}
