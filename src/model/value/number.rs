//! Numbers: the Rust type that holds a number exactly.

use super::{Digits, Value};

/// The largest whole number that every double up to it holds exactly: 2^53 − 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Whether a double holds this number and no neighboring integer has the same double.
pub(super) fn is_safe(n: i64) -> bool {
    (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&n)
}

impl Value {
    /// The number with this text: `Int` or `Float` where one of them holds it exactly, `Digits` otherwise. `None` where
    /// the text is not a number in JSON's grammar.
    ///
    /// ```
    /// use cidery::Value;
    ///
    /// assert_eq!(Value::number("12"), Some(Value::Int(12)));
    /// assert_eq!(Value::number("0.10"), Some(Value::Float(0.1)));
    /// assert!(matches!(Value::number("0.1234567890123456789"), Some(Value::Digits(_))));
    /// assert_eq!(Value::number("1_000"), None);
    /// ```
    #[must_use]
    pub fn number(text: &str) -> Option<Self> {
        let parts = NumberParts::of(text)?;
        if parts.is_whole() && text != "-0" {
            if let Ok(n) = text.parse() {
                return Some(Self::Int(n));
            }
        } else if let Ok(x) = text.parse::<f64>()
            && x.is_finite()
            && (parts.is_exact_as_double()
                || NumberParts::of(&format!("{x:e}"))?.decimal() == parts.decimal())
        {
            return Some(Self::Float(x));
        }
        Some(Self::Digits(Digits(text.to_owned())))
    }

    /// Whether a text is a number in JSON's grammar.
    pub(crate) fn is_number(text: &str) -> bool {
        NumberParts::of(text).is_some()
    }

    /// The number that a double stands for: an integer where that is exact.
    pub(crate) fn from_double(x: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "compared with the original"
        )]
        let n = x as i64;
        #[expect(
            clippy::cast_precision_loss,
            reason = "the result is used only where it is exact"
        )]
        let exact = n as f64 == x;
        if exact && is_safe(n) && !(n == 0 && x.is_sign_negative()) {
            Self::Int(n)
        } else {
            Self::Float(x)
        }
    }
}

/// The parts of a number in JSON's grammar.
struct NumberParts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: Option<&'a str>,
}

impl<'a> NumberParts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (rest, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let exponent_fits =
            exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
        let no_leading_zero = whole.len() == 1 || !whole.starts_with('0');
        (digits(whole) && no_leading_zero && exponent_fits).then_some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn is_whole(&self) -> bool {
        self.fraction.is_empty() && self.exponent.is_none()
    }

    /// Whether a double surely holds all its digits: 15 significant ones always come back ([`f64::DIGITS`]), unless the
    /// number is very large or very small.
    fn is_exact_as_double(&self) -> bool {
        let digits = self.whole.len() + self.fraction.len();
        self.exponent.is_none() && digits <= f64::DIGITS as usize
    }

    /// The canonical decimal: sign, significant digits without zeros at either end, and the power of ten of the last
    /// digit. `None` for an exponent beyond that of any double.
    fn decimal(&self) -> Option<(bool, String, i64)> {
        let exponent: i64 = match self.exponent {
            Some(text) => text.parse::<i32>().ok()?.into(),
            None => 0,
        };
        let digits = format!("{}{}", self.whole, self.fraction);
        let kept = digits.trim_end_matches('0');
        let dropped = i64::try_from(digits.len() - kept.len()).ok()?;
        let scale = i64::try_from(self.fraction.len()).ok()?;
        let significant = kept.trim_start_matches('0').to_owned();
        let power = if significant.is_empty() {
            0
        } else {
            exponent - scale + dropped
        };
        Some((self.negative, significant, power))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Value) {
        assert_eq!(Value::number(text), Some(expected), "{text}");
    }

    fn check_digits(text: &str) {
        check(text, Value::Digits(Digits(text.to_owned())));
    }

    #[test]
    fn a_number_becomes_the_type_that_holds_it_exactly() {
        check("0", Value::Int(0));
        check("-1", Value::Int(-1));
        check("9223372036854775807", Value::Int(i64::MAX));
        check("-9223372036854775808", Value::Int(i64::MIN));
        check("-0", Value::Float(-0.0));
        check("0.1", Value::Float(0.1));
        check("1.10", Value::Float(1.1));
        check("100e-2", Value::Float(1.0));
        check("1E+2", Value::Float(100.0));
        check("0.0", Value::Float(0.0));
        check("5e-324", Value::Float(5e-324));
        check("1.7976931348623157e308", Value::Float(f64::MAX));
    }

    #[test]
    fn other_numbers_keep_their_digits() {
        check_digits("9223372036854775808");
        check_digits("123456789012345678901234567890");
        check_digits("0.1234567890123456789");
        check_digits("1e400");
        check_digits("1e-400");
        check_digits("1e99999999999999999999");
    }

    #[test]
    fn text_outside_of_the_json_grammar_is_no_number() {
        for text in [
            "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "NaN", "inf", " 1", "1_0", "--1",
            "1.2.3",
        ] {
            assert_eq!(Value::number(text), None, "{text}");
        }
    }

    #[test]
    fn doubles_become_integers_only_where_that_is_exact() {
        assert_eq!(Value::from_double(3.0), Value::Int(3));
        assert_eq!(
            Value::from_double(9_007_199_254_740_992.0),
            Value::Float(9_007_199_254_740_992.0)
        );
        assert!(matches!(Value::from_double(-0.0), Value::Float(x) if x.is_sign_negative()));
        assert!(matches!(Value::from_double(f64::NAN), Value::Float(x) if x.is_nan()));
    }
}
