//! The order in which go-yaml writes keys.

use std::cmp::Ordering;

/// The most keys that go-yaml sorts by insertion.
const FEW: usize = 12;

/// Puts keys into their order: few by insertion, as go-yaml does, and many by merging halves. Its order has circles, of which
/// Rust's own sort may panic.
pub(super) fn sorted<T>(mut items: Vec<T>, compare: &mut impl FnMut(&T, &T) -> Ordering) -> Vec<T> {
    if items.len() <= FEW {
        for end in 1..items.len() {
            let mut at = end;
            while at > 0 && compare(&items[at], &items[at - 1]).is_lt() {
                items.swap(at, at - 1);
                at -= 1;
            }
        }
        return items;
    }
    let mut merged = Vec::with_capacity(items.len());
    let right = items.split_off(items.len() / 2);
    let mut left = sorted(items, compare).into_iter().peekable();
    let mut right = sorted(right, compare).into_iter().peekable();
    loop {
        let takes_right = match (left.peek(), right.peek()) {
            (Some(left), Some(right)) => compare(right, left).is_lt(),
            (left, _) => left.is_none(),
        };
        let next = if takes_right { right.next() } else { left.next() };
        match next {
            Some(item) => merged.push(item),
            None => return merged,
        }
    }
}

/// The order of keys: letters by their bytes and behind everything else, runs of digits by their numbers.
pub(super) fn by_key(a: &str, b: &str) -> Ordering {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    let same = same.map(|(c, _)| c.len_utf8()).sum();
    let (rest_a, rest_b) = (&a[same..], &b[same..]);
    let (Some(first_a), Some(first_b)) = (rest_a.chars().next(), rest_b.chars().next()) else {
        return a.len().cmp(&b.len());
    };
    match (first_a.is_alphabetic(), first_b.is_alphabetic()) {
        (false, false) => {}
        (true, true) => return first_a.cmp(&first_b),
        (_, true) => return Ordering::Less,
        (true, false) => return Ordering::Greater,
    }
    // Zeros behind another digit belong to a number, others lead one.
    let digits_before = a[..same].chars().rev().take_while(char::is_ascii_digit);
    let has_zero = first_a == '0' || first_b == '0';
    let start = u128::from(has_zero && digits_before.into_iter().any(|c| c != '0'));
    let number = |text: &str| {
        let digits = text.chars().map_while(|c| c.to_digit(10));
        digits.fold((start, 0_usize), |(number, digits), digit| {
            (number.saturating_mul(10).saturating_add(digit.into()), digits + 1)
        })
    };
    number(rest_a).cmp(&number(rest_b)).then(first_a.cmp(&first_b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_put_in_order_by_few_comparisons() {
        for of in [|at: usize| 4095 - at, |at| at, |at| at * 1663 % 4096] {
            let mut comparisons = 0;
            let keys: Vec<String> = (0..4096).map(|at| format!("k{}", of(at))).collect();
            let sorted = sorted(keys, &mut |a, b| {
                comparisons += 1;
                by_key(a, b)
            });
            assert!(sorted.iter().enumerate().all(|(at, key)| *key == format!("k{at}")));
            assert!(comparisons < 4096 * 15, "{comparisons}");
        }
    }

    #[test]
    fn an_order_with_circles_loses_no_key() {
        let mut turn = 0;
        let sorted = sorted((0..1000).collect(), &mut |_, _| {
            turn += 1;
            [Ordering::Less, Ordering::Greater, Ordering::Equal][turn % 3]
        });
        let mut all: Vec<i32> = sorted;
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
    }
}
