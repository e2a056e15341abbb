//! Amounts as Kubernetes writes them (`k8s.io/apimachinery/pkg/api/resource`).

/// Parts of one: the smallest amount that Kubernetes keeps is a billionth.
const PARTS: i128 = 1_000_000_000;

/// An amount, in billionths. What is larger than any computer counts as the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(i128);

/// Why a text is no amount that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuantityError {
    #[error("{0:?} is no amount; write a number with or without a unit, such as 500m, 2, 512Mi or 8Gi")]
    Unreadable(String),
    #[error("{0:?} is nothing or less; give an amount above 0, or leave it out")]
    NotPositive(String),
}

/// Reads an amount that is more than nothing.
pub(crate) fn positive(text: &str) -> Result<Quantity, QuantityError> {
    let shown = || text.chars().take(40).collect();
    match read(text) {
        None => Err(QuantityError::Unreadable(shown())),
        Some(Quantity(amount)) if amount <= 0 => Err(QuantityError::NotPositive(shown())),
        Some(amount) => Ok(amount),
    }
}

fn read(text: &str) -> Option<Quantity> {
    let (is_negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let unit = unit(suffix)?;
    // Rounded up, as Kubernetes does: what is asked for is never nothing.
    let mut amount = div_up(digits(whole).saturating_mul(unit.times).saturating_mul(PARTS), unit.parts);
    for (place, digit) in fraction.bytes().take(18).enumerate() {
        let tens = 10_i128.saturating_pow(u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1));
        let part = i128::from(digit - b'0').saturating_mul(unit.times).saturating_mul(PARTS);
        amount = amount.saturating_add(div_up(part, tens.saturating_mul(unit.parts)));
    }
    Some(Quantity(if is_negative { -amount } else { amount }))
}

fn digits(text: &str) -> i128 {
    text.bytes().fold(0, |sum: i128, digit| sum.saturating_mul(10).saturating_add(i128::from(digit - b'0')))
}

fn div_up(number: i128, by: i128) -> i128 {
    (number / by).saturating_add(i128::from(number % by != 0))
}

/// What a number is multiplied with and divided by.
struct Unit {
    times: i128,
    parts: i128,
}

fn unit(suffix: &str) -> Option<Unit> {
    let times = |times: i128| Some(Unit { times, parts: 1 });
    let parts = |parts: i128| Some(Unit { times: 1, parts });
    match suffix {
        "" => times(1),
        "n" => parts(PARTS),
        "u" => parts(1_000_000),
        "m" => parts(1_000),
        "k" => times(10_i128.pow(3)),
        "M" => times(10_i128.pow(6)),
        "G" => times(10_i128.pow(9)),
        "T" => times(10_i128.pow(12)),
        "P" => times(10_i128.pow(15)),
        "E" => times(10_i128.pow(18)),
        "Ki" => times(1 << 10),
        "Mi" => times(1 << 20),
        "Gi" => times(1 << 30),
        "Ti" => times(1 << 40),
        "Pi" => times(1 << 50),
        "Ei" => times(1 << 60),
        _ => exponent(suffix),
    }
}

/// `e3`, `E-3`: a power of ten.
fn exponent(suffix: &str) -> Option<Unit> {
    let power = suffix.strip_prefix(['e', 'E'])?;
    let (is_negative, power) = match power.strip_prefix('-') {
        Some(power) => (true, power),
        None => (false, power.strip_prefix('+').unwrap_or(power)),
    };
    if power.is_empty() || !power.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let power = 10_i128.saturating_pow(power.parse().unwrap_or(u32::MAX).min(30));
    Some(if is_negative { Unit { times: 1, parts: power } } else { Unit { times: power, parts: 1 } })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        for (text, same) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("12e-1", "1.2"),
            ("1n", "0.000000001"),
            ("0.1n", "1n"),
            ("1e-10", "1n"),
            ("+2", "2"),
        ] {
            assert_eq!(positive(text).unwrap(), positive(same).unwrap(), "{text}");
        }
        assert!(positive("8Gi").unwrap() > positive("8G").unwrap());
        for huge in ["1e999", "9e999999999999", &format!("{}Ei", "9".repeat(60))] {
            assert!(positive(huge).unwrap() > positive("1E").unwrap(), "{huge}");
        }
        assert!(positive("1").unwrap() > positive("999m").unwrap());
    }

    #[test]
    fn what_is_no_amount_or_nothing_is_refused() {
        for bad in ["", "Gi", "8GB", "8 Gi", "8gi", "1e", "1e1.5", "1.2.3", "--1", "0x1", "1Kii", "é"] {
            assert!(matches!(positive(bad), Err(QuantityError::Unreadable(_))), "{bad}");
        }
        for nothing in ["0", "0Gi", "0.0", "-1", "0m", "-8Gi"] {
            assert!(matches!(positive(nothing), Err(QuantityError::NotPositive(_))), "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_amount_or_refused_without_a_panic(text in "[-+]?[0-9.]{0,40}[eEkMGTPKimnu]{0,3}[-+0-9]{0,4}|.{0,12}") {
            let _ = positive(&text);
        }
    }
}
