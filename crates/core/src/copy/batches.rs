//! Which copies one Job takes, and in which order.

use super::Copy;

/// Whether the first copy of a batch runs before the others, so that layers they share move once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The first, then all others at once.
    FirstAlone,
    /// All at once: one that fails must not hold up the others.
    Together,
}

/// Returns copies in the order in which batches take them: first tries before repeated ones.
pub fn in_order(copies: impl IntoIterator<Item = Copy>) -> Vec<Copy> {
    let mut copies: Vec<Copy> = copies.into_iter().collect();
    copies.sort_by_key(|copy| copy.attempt > 1);
    copies
}

/// Splits copies into batches of at most `size` containers. First tries share layers; repeated ones run
/// independently, because one of them may be what failed. A copy stays whole: its outcome is read from
/// one Job, so one with more parts than that has a batch of its own.
pub fn batches(copies: &[Copy], size: usize) -> Vec<(Order, Vec<Copy>)> {
    let (first, again): (Vec<&Copy>, Vec<&Copy>) = copies.iter().partition(|c| c.attempt == 1);
    let mut all: Vec<(Order, Vec<Copy>)> = Vec::new();
    for (order, copies) in [(Order::FirstAlone, first), (Order::Together, again)] {
        let mut batch: Vec<Copy> = Vec::new();
        for copy in copies {
            let containers: usize = batch.iter().map(|c| c.parts().len()).sum();
            if !batch.is_empty() && containers + copy.parts().len() > size {
                all.push((order, std::mem::take(&mut batch)));
            }
            batch.push(copy.clone());
        }
        if !batch.is_empty() {
            all.push((order, batch));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::fixtures::{copy, subset};

    #[test]
    fn first_tries_share_layers_and_repeated_ones_run_independently() {
        let copies: Vec<Copy> = (0..23).map(|n| copy(&format!("1.{n}"), if n < 3 { 2 } else { 1 })).collect();
        let batches = batches(&copies, 10);
        let shape: Vec<(Order, usize)> = batches.iter().map(|(order, b)| (*order, b.len())).collect();
        assert_eq!(shape, [(Order::FirstAlone, 10), (Order::FirstAlone, 10), (Order::Together, 3)]);
        let one_by_one: Vec<Copy> = batches.into_iter().flat_map(|(_, batch)| batch).collect();
        assert_eq!(one_by_one, in_order(copies));
    }

    #[test]
    fn an_index_counts_by_its_parts_and_is_never_split() {
        let shape = |copies: &[Copy], size| -> Vec<Vec<usize>> {
            let parts = |(_, batch): &(Order, Vec<Copy>)| batch.iter().map(|c| c.parts().len()).collect();
            batches(copies, size).iter().map(parts).collect()
        };
        let copies = [subset("a"), copy("b", 1), subset("c"), subset("d")];
        assert_eq!(shape(&copies, 4), [vec![2, 1], vec![2, 2]]);
        assert_eq!(shape(&copies, 1), [vec![2], vec![1], vec![2], vec![2]]);
        assert_eq!(shape(&[], 4), Vec::<Vec<usize>>::new());
    }
}
