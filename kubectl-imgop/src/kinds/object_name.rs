//! Names as the Kubernetes API takes them, checked before they stand in a path or a query.

/// The longest name of a new object: it ends up in labels.
pub const MAX_NAME_LENGTH: usize = 63;

/// Checks the name of an object: it stands in paths of the API.
pub fn parse_name(name: &str) -> Result<String, String> {
    let is_word = |word: &str| {
        let plain = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        !word.is_empty() && plain && !word.starts_with('-') && !word.ends_with('-')
    };
    if name.len() <= 253 && name.split('.').all(is_word) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{:?} is not a valid name; names consist of lower-case letters, digits, '-' and '.'",
        name.chars().take(100).collect::<String>()
    ))
}

/// Checks a label selector. The API server takes an empty one for everything, and an empty one is often
/// a shell variable that is not set.
pub fn parse_selector(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty, and would select every object".to_owned()),
        selector => Ok(selector.to_owned()),
    }
}

/// Checks the name of a namespace.
pub fn parse_namespace(name: &str) -> Result<String, String> {
    if name.len() <= 63 && !name.contains('.') && parse_name(name).is_ok() {
        return Ok(name.to_owned());
    }
    Err("the name of a namespace consists of at most 63 lower-case letters, digits and '-'".to_owned())
}

/// Checks the name of a new object.
pub fn parse_new_name(name: &str) -> Result<String, String> {
    if name.len() > MAX_NAME_LENGTH {
        return Err(format!("it has {} characters; at most {MAX_NAME_LENGTH} are allowed", name.len()));
    }
    parse_name(name)
}

/// Edits that make a name of another one, at most, for the two to be near.
const MAX_EDITS: usize = 2;

/// Returns the name that was probably meant by one that does not exist: with a letter or two another, or the only one that
/// begins like it.
pub fn nearest_name<'a>(typed: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(name, typed);
    let is_near = |name: &&str| distance(name) <= MAX_EDITS && distance(name) * 2 < typed.len();
    let nearest = names.clone().filter(is_near).min_by_key(distance);
    nearest.or_else(|| {
        let mut longer = names.filter(|name| name.starts_with(typed));
        longer.next().filter(|_| longer.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_has_a_letter_or_two_another_or_is_the_only_one_that_begins_so() {
        let names = ["argocd", "argo-rollouts", "nginx", "nginx-1-27", "nginx-1-28", "redis-7-4", "x"];
        for (typed, meant) in [
            ("argocs", Some("argocd")),
            ("agrocd", Some("argocd")),
            ("nginy", Some("nginx")),
            ("redis", Some("redis-7-4")),
            ("nginx-1", Some("nginx")),
            ("nginx-1-2", Some("nginx-1-27")),
            ("y", None),
            ("argo", None),
            ("ar", None),
            ("postgres", None),
        ] {
            assert_eq!(nearest_name(typed, names.into_iter()), meant, "{typed}");
        }
    }

    #[test]
    fn an_empty_selector_does_not_mean_everything() {
        assert_eq!(parse_selector(" team=web "), Ok("team=web".to_owned()));
        assert!(parse_selector("").is_err() && parse_selector(" ").is_err());
    }

    #[test]
    fn names_that_would_lead_elsewhere_in_the_api_are_refused() {
        for bad in [
            "",
            "..",
            "a/b",
            "../secrets/x",
            "A",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "a%2fb",
            "a b",
            &"a".repeat(254),
        ] {
            assert!(parse_name(bad).is_err(), "{bad}");
            assert!(parse_namespace(bad).is_err(), "{bad}");
        }
        for good in ["argocd-v2-13-x", "a.b", "1"] {
            assert!(parse_name(good).is_ok(), "{good}");
        }
        assert!(parse_namespace("a.b").is_err());
    }
}
