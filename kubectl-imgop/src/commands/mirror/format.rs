//! `kubectl imgop mirror format`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::formats::{Format, FormatError, autoupdate, detect, images_list, lost_comments, rancher};
use imgop_core::sources::autoupdate as version_sources;

use super::file::InputFile;
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::text::count;

/// Put files into their canonical form
///
/// Of rancher's config.yaml, autoupdate.yaml and images-list: entries, tags and repositories are sorted as rancher's tools
/// sort them, and written byte for byte as they write them. A file that cannot be read is not changed, and none of the others
/// either. Of - the result is printed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror format config.yaml\n  \
    kubectl imgop mirror format --check config.yaml autoupdate.yaml images-list\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage. With --check: 0 all files are in their canonical form, 1 some are not, \
    2 failed.")]
pub struct FormatArgs {
    /// Files to format; - reads stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Change nothing; return exit code 1 if a file is not in its canonical form
    #[arg(long)]
    check: bool,
}

/// Formats files.
pub fn run(ui: Ui, args: &FormatArgs) -> Result<Outcome, CliError> {
    let result = formatted(ui, args);
    if args.check { result.map_err(CliError::of_comparison) } else { result }
}

fn formatted(ui: Ui, args: &FormatArgs) -> Result<Outcome, CliError> {
    let mut formatted = Vec::new();
    for path in &args.files {
        let file = InputFile::read(path)?;
        let (text, warnings) = canonical(&file)?;
        file.warn(ui, &warnings);
        formatted.push((file, text));
    }
    let changed = formatted.iter().filter(|(file, text)| file.text != *text).count();
    for (file, text) in &formatted {
        match args.check {
            false if file.is_stdin() => ui.data(text)?,
            _ if file.text == *text => {}
            true => ui.note(&format!("{} is not in its canonical form", file.name())),
            false => file.replace(text)?,
        }
    }
    if args.check && changed > 0 {
        ui.note(&format!("kubectl imgop mirror format changes {}", count(changed, "file")));
        return Ok(Outcome::Differences);
    }
    Ok(Outcome::Done)
}

/// Returns the canonical form of a file, and what is worth a look in it.
fn canonical(file: &InputFile) -> Result<(String, Vec<FormatError>), CliError> {
    let wrong = |error: FormatError| file.error(&error);
    if autoupdate::looks_like_one(&file.text) {
        // What is misspelt is no other form of the file.
        version_sources::read(&file.text).map_err(wrong)?;
        return Ok((autoupdate::formatted(&file.text).map_err(wrong)?, lost_comments(&file.text)));
    }
    match detect(&file.text).map_err(wrong)? {
        Format::ImagesList => {
            let list = images_list::read(&file.text).map_err(wrong)?;
            Ok((list.formatted(), list.lost().to_vec()))
        }
        Format::Rancher => {
            let rancher::Read { config, mut warnings } = rancher::read(&file.text).map_err(wrong)?;
            warnings.extend(lost_comments(&file.text));
            Ok((config.formatted(), warnings))
        }
        _ => Err(CliError::failed(format!(
            "{}: there is no canonical form of this file; there is one of config.yaml, autoupdate.yaml and images-list",
            file.name()
        ))),
    }
}
