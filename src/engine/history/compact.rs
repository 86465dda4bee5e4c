//! Numbers in two bytes, for charts: exact up to 2 047, then with more than three digits.

/// How many of the sixteen bits are digits; the others are the exponent.
const DIGITS: u32 = 11;
const MAX_DIGITS: u64 = (1 << DIGITS) - 1;

/// A number, rounded down to eleven binary digits. Zero takes the bits of zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compact(u16);

impl Compact {
    /// Rounds a number. Those above 4 · 10¹² are the largest that is kept.
    pub(super) fn new(number: u64) -> Self {
        let bits = u64::BITS - number.leading_zeros();
        let exponent = bits.saturating_sub(DIGITS);
        let most = u32::from(u16::MAX >> DIGITS);
        if exponent > most {
            return Self(u16::MAX);
        }
        let digits = (number >> exponent) & MAX_DIGITS;
        // Both fit: five bits and eleven.
        Self(((exponent as u16) << DIGITS) | digits as u16)
    }

    /// The number that is kept.
    pub(super) fn get(self) -> u64 {
        let digits = u64::from(self.0) & MAX_DIGITS;
        digits << (self.0 >> DIGITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_exact_and_large_ones_nearly() {
        for number in [0, 1, 2, 1_000, 2_046, 2_047] {
            assert_eq!(Compact::new(number).get(), number);
        }
        for number in [
            2_048,
            4_097,
            65_535,
            1_234_567,
            999_999_999,
            4_000_000_000_000,
        ] {
            let kept = Compact::new(number).get();
            assert!(
                kept <= number && number - kept <= number / 1_024,
                "{number} {kept}"
            );
        }
        let largest = Compact::new(u64::MAX).get();
        assert_eq!(largest, 2_047 << 31);
    }

    #[test]
    fn the_order_of_numbers_is_kept() {
        let numbers: Vec<u64> = (0..63).flat_map(|n| [1 << n, (1 << n) + 1]).collect();
        let kept: Vec<u64> = numbers.iter().map(|n| Compact::new(*n).get()).collect();
        assert!(kept.is_sorted(), "{kept:?}");
    }
}
