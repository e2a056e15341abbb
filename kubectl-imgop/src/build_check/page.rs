//! A check as a page.

use imgop_core::build::BuildRequest;
use imgop_core::build::dockerfile::{Position, Severity};
use imgop_registry::oci::PlatformSelector;

use super::bases::{Base, BaseState};
use super::lint::Lint;
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::table::Table;
use crate::output::text::count;
use crate::output::wording::Wording;

/// Prints what is wrong with a Dockerfile, a line each that editors can jump to, and how much that is.
pub fn print_problems(ui: Ui, name: &str, lint: &Lint, wording: Wording) -> Result<(), CliError> {
    for problem in &lint.problems {
        let Position { line, column } = problem.position;
        let word = match problem.severity {
            Severity::Warning => "warning",
            Severity::Invalid => "error",
            Severity::Unsupported { .. } => "unsupported",
        };
        let needs = match problem.severity {
            Severity::Unsupported { needs: Some(version) } => format!(" (needs Buildah {version} or newer)"),
            _ => String::new(),
        };
        let fix =
            if problem.fix.is_empty() { String::new() } else { format!("; {}", wording.of(&problem.fix)) };
        ui.data(&format!("{name}:{line}:{column}: {word}: {}{needs}{fix}", problem.message))?;
    }
    Ok(())
}

/// Returns the table of base images.
pub fn bases_table(bases: &[Base]) -> Table {
    let mut table = Table::new(["BASE-IMAGE", "PLATFORM", "LINE", "DIGEST", "STATE"]);
    for Base { needed, state } in bases {
        let lines: Vec<String> = needed.positions.iter().map(|position| position.line.to_string()).collect();
        let (word, digest) = match state {
            BaseState::Present(digest) => ("present".to_owned(), digest.to_string()),
            BaseState::PlatformNotAsked(digest) => {
                ("present (asking for platforms would count as a pull)".to_owned(), digest.to_string())
            }
            BaseState::Missing => ("not found".to_owned(), "<none>".to_owned()),
            BaseState::OtherPlatforms(there) => {
                (format!("only for {}", there.join(", ")), "<none>".to_owned())
            }
            BaseState::Unknown(error) => (error.message.clone(), "<unknown>".to_owned()),
        };
        table.row([needed.image.to_string(), needed.platform.to_string(), lines.join(","), digest, word]);
    }
    table
}

/// Returns what is pushed where.
pub fn destination(request: &BuildRequest) -> String {
    let tags: Vec<String> =
        request.destination.tags.iter().map(|(repository, tag)| format!("{repository}:{tag}")).collect();
    let platforms: Vec<String> = request.platforms.iter().map(PlatformSelector::to_string).collect();
    let what = match platforms.as_slice() {
        [only] => format!("an image for {only}"),
        several => {
            format!("an index of {}", count(several.len(), "platform"))
                + &format!(" ({})", several.join(", "))
        }
    };
    format!("{what} as {}", tags.join(", "))
}
