//! What two pictures of one command have in common, whenever it ran.

/// Words that depend on the moment: units of what is left to do, and of progress that may be over before it is shown.
const PASSING: [&str; 5] = ["B", "KiB", "MiB", "GiB", "runs"];

/// Returns the words of a picture without what is another one each time: numbers, digests, times, names that are made.
#[must_use]
pub fn shape(svg: &str) -> String {
    let (mut text, mut is_tag) = (String::new(), false);
    for character in svg.chars() {
        match character {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            other if !is_tag => text.push(other),
            _ => {}
        }
    }
    let is_word =
        |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || "'-:.,;/".contains(c));
    let is_passing = |word: &&str| PASSING.contains(&word.trim_end_matches([';', ',', '.']));
    let mut words: Vec<&str> =
        text.split_whitespace().filter(is_word).filter(|word| !is_passing(word)).collect();
    // Lines that follow each other in another order, as containers log side by side, are the same picture.
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_digests_are_no_part_of_a_shape_and_words_are() {
        let svg = |age: &str, what: &str| format!("<svg><text x='1'>{what} {age} 9f2c1ab04e11</text></svg>");
        assert_eq!(shape(&svg("5s", "Ready")), shape(&svg("3m", "Ready")));
        assert_eq!(shape(&svg("5 KiB;", "Ready")), shape(&svg("3 B;", "Ready")));
        assert_ne!(shape(&svg("5s", "Ready")), shape(&svg("5s", "Stalled")));
    }
}
