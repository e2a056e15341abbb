//! `kubectl imgop migrate rancher|regsync|skopeo-sync|dregsy`: files that say which image goes where.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use imgop_core::api::{Credentials, Frequency, ImageMirror};
use imgop_core::formats::{Format, read};
use imgop_core::migrate::{follow_daily, mirror_update};
use imgop_core::sources::autoupdate;

use crate::cli_error::{CliError, Outcome};
use crate::commands::mirror::file::InputFile;
use crate::commands::mirror::import::{ImportOptions, document, outcome_of};
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::output::text::shell_word;

/// As often as rancher's workflows run by themselves; a change of the inventory is mirrored at once.
const DAILY: &str = "1d";

const EXIT_CODES: &str =
    "Exit codes: 0 every entry is carried, 1 failed, or an entry or a tag is not carried.";

/// The files of rancher by their names in its repository; regsync.yaml is made of the first.
const CONFIG_FILE: &str = "config.yaml";
const DAILY_FILE: &str = "regsync-daily.yaml";
const AUTOUPDATE_FILE: &str = "autoupdate.yaml";

/// A file, and what becomes of it.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// File to read; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    made: MadeArgs,
}

/// What becomes of files.
#[derive(Debug, Args)]
struct MadeArgs {
    #[command(flatten)]
    options: ImportOptions,

    /// Output format
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: DocumentFormat,
}

/// From rancher's artifact-mirror or image-mirror
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop migrate rancher artifact-mirror > mirror.yaml\n  \
    kubectl imgop migrate rancher config.yaml --daily regsync-daily.yaml --autoupdate autoupdate.yaml > mirror.yaml\n\n\
    Exit codes: 0 every entry is carried, 1 failed, or an entry or a tag is not carried.")]
pub struct RancherArgs {
    /// File config.yaml, or the folder that has it; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    made: MadeArgs,

    /// File of regsync whose tags are copied again when they move: they become spec.follow; by default regsync-daily.yaml of
    /// the folder
    #[arg(long, value_name = "FILE")]
    daily: Option<PathBuf>,

    /// File of version sources: they become spec.updates; by default autoupdate.yaml of the folder
    #[arg(long, value_name = "FILE")]
    autoupdate: Option<PathBuf>,
}

/// From regsync
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RegsyncArgs {
    #[command(flatten)]
    pub of: FileArgs,
}

/// From a file of skopeo sync
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct SkopeoSyncArgs {
    #[command(flatten)]
    pub of: FileArgs,
}

/// From dregsy
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct DregsyArgs {
    #[command(flatten)]
    pub of: FileArgs,
}

/// Prints the ImageMirror of a file.
pub fn run(ui: Ui, args: &FileArgs, format: Format) -> Result<Outcome, CliError> {
    let (mirror, outcome) = args.made.options.import(ui, &args.file, Some(format))?;
    print(ui, &args.made, mirror)?;
    Ok(outcome)
}

/// The files that rancher's ImageMirror is made of.
struct RancherFiles {
    config: PathBuf,
    daily: Option<PathBuf>,
    autoupdate: Option<PathBuf>,
}

impl RancherFiles {
    /// Returns the files that are named, and of a folder those that it has.
    fn of(args: &RancherArgs) -> Self {
        let folder = Some(&args.file).filter(|path| path.is_dir());
        let in_folder = |name: &str| folder.map(|folder| folder.join(name)).filter(|path| path.is_file());
        Self {
            config: folder.map_or_else(|| args.file.clone(), |folder| folder.join(CONFIG_FILE)),
            daily: args.daily.clone().or_else(|| in_folder(DAILY_FILE)),
            autoupdate: args.autoupdate.clone().or_else(|| in_folder(AUTOUPDATE_FILE)),
        }
    }
}

/// Prints the ImageMirror of rancher's files.
pub fn rancher(ui: Ui, args: &RancherArgs) -> Result<Outcome, CliError> {
    let files = RancherFiles::of(args);
    let (mut mirror, mut outcome) = args.made.options.import(ui, &files.config, Some(Format::Rancher))?;
    if mirror.spec.frequency == Frequency::DEFAULT_TEXT {
        DAILY.clone_into(&mut mirror.spec.frequency);
    }
    if let Some(path) = &files.daily {
        let file = InputFile::read(path)?;
        let content = read(&file.text, Format::Regsync).map_err(|error| file.error(&error))?;
        let daily = follow_daily(&mut mirror.spec, content);
        file.warn(ui, &daily.notes);
        outcome = outcome.and(outcome_of(&daily.notes));
        for reference in daily.also_followed {
            ui.warning(&format!(
                "{reference}: changed: follow names tags of all entries, so it follows its source too"
            ));
        }
    }
    if let Some(path) = &files.autoupdate {
        let file = InputFile::read(path)?;
        let entries = autoupdate::read(&file.text).map_err(|error| file.error(&error))?.entries;
        for entry in &entries {
            match mirror_update(&entry.update) {
                Ok(update) => mirror.spec.updates.push(update),
                Err(why) => {
                    let (name, line) = (&entry.update.name, entry.line);
                    ui.warning(&format!("{}:{line}: {name}: not carried: {why}", file.name()));
                    outcome = Outcome::NotReady;
                }
            }
        }
        if entries.iter().any(|entry| !entry.update.reviewers.is_empty()) {
            ui.warning(&format!(
                "{}: reviewers: not carried: updates of an ImageMirror have no pull requests",
                file.name()
            ));
        }
    }
    print(ui, &args.made, mirror)?;
    Ok(outcome)
}

/// Names a Secret for each registry that is written to, prints the mirror, and says how the Secrets are made.
fn print(ui: Ui, args: &MadeArgs, mut mirror: ImageMirror) -> Result<(), CliError> {
    let mut registries = BTreeSet::new();
    for target in &mut mirror.spec.targets {
        let registry = target.repository.split('/').next().unwrap_or_default();
        target.credentials = Some(Credentials { secret_name: secret_name(registry) });
        registries.insert(registry.to_owned());
    }
    args.output.print(ui, &document(&mirror)?)?;
    for registry in registries {
        let (secret, login) = (secret_name(&registry), shell_word(&registry));
        // A folder of its own: the usual file has the logins of all registries.
        ui.hint(&format!(
            "to push to {registry}, give the namespace a login that is for there only:\n  \
             export DOCKER_CONFIG=$(mktemp -d); docker login {login}\n  \
             kubectl create secret generic {secret} --type=kubernetes.io/dockerconfigjson \
             --from-file=.dockerconfigjson=$DOCKER_CONFIG/config.json\n  \
             rm -r \"$DOCKER_CONFIG\"; unset DOCKER_CONFIG"
        ));
    }
    Ok(())
}

fn secret_name(registry: &str) -> String {
    format!(
        "registry-{}",
        registry.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-").to_lowercase()
    )
}
