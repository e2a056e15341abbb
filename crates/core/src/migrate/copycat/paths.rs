//! `pathMap`: a prefix ends with a part of a path here, and did not there.

use regex::Regex;
use serde_json::{Value, json};

use super::Made;
use super::settings::Settings;

/// Returns the rules of a destination, and says what they mean otherwise.
pub(super) fn path_map(settings: &Settings<'_>, made: &mut Made) -> Vec<Value> {
    let rules: Vec<&Value> = settings.elements("pathMap").collect();
    let mut all = Vec::new();
    for (number, rule) in rules.into_iter().enumerate() {
        let field = format!("pathMap[{number}]");
        let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (from, to) = (text("from"), text("to"));
        if from.is_empty() {
            made.not_carried(&field, "from is empty, and fits nothing");
            continue;
        }
        if rule.get("regex").and_then(Value::as_bool) == Some(true) {
            match Regex::new(&from) {
                Ok(_) => {
                    all.push(json!({ "from": from, "to": to, "regex": true }));
                    made.kept(&field, "it is a regular expression of destination.pathMap");
                }
                Err(_) => made.unusable(
                    &field,
                    format!("{from:?} is no regular expression; copycat left the rule out in silence"),
                ),
            }
            continue;
        }
        let (plain, to) = (from.trim_end_matches('/').to_owned(), to.trim_end_matches('/').to_owned());
        if from.ends_with('/') {
            let reason = format!("it is in destination.pathMap, where it fits {plain} itself too");
            made.kept(&field, reason);
        } else {
            made.changed(
                &field,
                examples(&from, rule.get("to").and_then(Value::as_str).unwrap_or_default(), &to),
            );
        }
        all.push(json!({ "from": plain, "to": to }));
    }
    all
}

/// Returns what becomes of three paths, before and now.
fn examples(from: &str, written: &str, to: &str) -> String {
    let shown = [format!("{from}/app"), format!("{from}s/app"), from.to_owned()].map(|path| {
        let (before, now) = (before(&path, from, written), now(&path, from, to));
        format!("{path}: {before} there, {now} here")
    });
    format!(
        "{from:?} ends with a part of the path here, and fitted the beginning of a longer one there; {}",
        shown.join("; ")
    )
}

/// Returns what copycat made of a path.
fn before(path: &str, from: &str, to: &str) -> String {
    let rest = path.strip_prefix(from).unwrap_or_default();
    if to.is_empty() { rest.to_owned() } else { format!("{}/{rest}", to.trim_end_matches('/')) }
}

/// Returns what becomes of a path here.
fn now(path: &str, from: &str, to: &str) -> String {
    match path.strip_prefix(from) {
        Some("") => to.to_owned(),
        Some(rest) if rest.starts_with('/') => format!("{to}{rest}").trim_start_matches('/').to_owned(),
        _ => path.to_owned(),
    }
}
