//! A verification for people: a sign and a word for each tag, and one sentence that sums it up.

use anstyle::{AnsiColor, Style};
use imgop_registry::reference::Digest;

use super::{Verdict, Verification, VerifiedTag};
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::table::Table;
use crate::output::text::count;

/// Prints a verification.
pub fn print(ui: Ui, verification: &Verification, headers: bool) -> Result<(), CliError> {
    if headers {
        ui.table(&heading(verification), false)?;
        ui.data("\n")?;
    }
    if !verification.tags.is_empty() {
        ui.table(&tags(verification), headers)?;
        ui.data(if headers { "\n" } else { "" })?;
    }
    ui.data(&if headers { summary(verification) } else { String::new() })
}

fn heading(verification: &Verification) -> Table {
    let mut table = Table::new([]);
    table.row(["SOURCE".to_owned(), verification.source.clone()]);
    table.row(["VERSION".to_owned(), verification.version.clone()]);
    table.row(["DESTINATION".to_owned(), verification.destination.clone()]);
    table
}

fn tags(verification: &Verification) -> Table {
    let mut table =
        Table::new(["", "TAG", "RESULT", "PLATFORMS", "DIGEST", "DESTINATION-DIGEST", "REFERS-TO", "REASON"]);
    let short =
        |digest: Option<&Digest>| digest.map_or_else(|| "<none>".to_owned(), |d| d.short().to_owned());
    for tag in &verification.tags {
        let (sign, colour) = sign(tag.result);
        let subject = tag.referrer_of.as_ref().map(|subject| subject.short().to_owned()).unwrap_or_default();
        let cells = [
            sign.to_owned(),
            tag.tag.clone(),
            word(tag.result).to_owned(),
            platforms(tag),
            short(tag.source_digest.as_ref()),
            short(tag.destination_digest.as_ref()),
            subject,
            reason(tag),
        ];
        table.styled_row(colour.map_or_else(Style::new, AnsiColor::on_default), cells);
    }
    table
}

fn sign(result: Verdict) -> (&'static str, Option<AnsiColor>) {
    match result {
        Verdict::Verified => ("=", None),
        Verdict::Differs => ("~", Some(AnsiColor::Yellow)),
        Verdict::Missing => ("+", Some(AnsiColor::Green)),
        Verdict::Incomplete | Verdict::NotAtSource => ("!", Some(AnsiColor::Red)),
        Verdict::NotChecked => ("?", Some(AnsiColor::Red)),
    }
}

fn word(result: Verdict) -> &'static str {
    match result {
        Verdict::Verified => "verified",
        Verdict::Differs => "differs",
        Verdict::Missing => "missing",
        Verdict::Incomplete => "incomplete",
        Verdict::NotAtSource => "not-at-source",
        Verdict::NotChecked => "not-checked",
    }
}

/// Returns how many of the platforms are whole, such as `4/4`; nothing for a single image.
fn platforms(tag: &VerifiedTag) -> String {
    if tag.platforms.is_empty() {
        return String::new();
    }
    let whole = tag.platforms.iter().filter(|platform| platform.lacks.is_none()).count();
    format!("{whole}/{}", tag.platforms.len())
}

fn reason(tag: &VerifiedTag) -> String {
    match (tag.result, &tag.reason) {
        (Verdict::Incomplete, Some(lacks)) => format!("the destination lacks {lacks}"),
        (_, reason) => reason.clone().unwrap_or_default(),
    }
}

fn summary(verification: &Verification) -> String {
    let total = verification.tags.len();
    if total == 0 {
        return "0 tags.".to_owned();
    }
    let all = [
        Verdict::Verified,
        Verdict::Missing,
        Verdict::Differs,
        Verdict::Incomplete,
        Verdict::NotAtSource,
        Verdict::NotChecked,
    ];
    let parts: Vec<String> = all
        .into_iter()
        .map(|result| (verification.number(result), word(result)))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let layers: Vec<usize> = verification.tags.iter().filter_map(|tag| tag.layers).collect();
    let layers = match layers.as_slice() {
        [] => String::new(),
        of_tags => format!(" {} configurations and layers checked.", of_tags.iter().sum::<usize>()),
    };
    format!("{}: {}.{layers}", count(total, "tag"), parts.join(", "))
}
