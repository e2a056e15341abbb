//! `kubectl imgop mirror import`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use imgop_core::api::{Image, ImageMirror, ImageMirrorSpec, MirrorNaming, MirrorSync, MirrorTarget};
use imgop_core::formats::{Content, Format, FormatError, Problem, rancher};
use imgop_core::inventory::{Child, Expansion, Inventory, InventoryError};
use imgop_core::selection::Version;
use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::subject::{RANCHER, Source, Subject, of_content};
use crate::cli_error::{CliError, Outcome};
use crate::kinds::object_name::parse_new_name;
use crate::output::Ui;
use crate::output::documents::DocumentFormat;

/// Make an ImageMirror of another tool's file
///
/// It is printed, and applied by kubectl. With --images it is the Images that such an ImageMirror would become, of the same
/// names: for those who want to change single ones. Nothing removes them when the file changes. Each thing that the file says and an ImageMirror does not is named on stderr with
/// its line and field. Credentials are never carried: they belong into Secrets. Where an entry or a tag is not carried, all
/// else is printed, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror import config.yaml --name rancher > mirror.yaml\n  \
    kubectl imgop mirror import regsync.yaml | kubectl apply -f -\n  \
    kubectl imgop mirror import images-list --images > images.yaml\n  \
    kubectl imgop mirror import sync.yml --target registry.example.com/mirror --keep-paths\n\n\
    Exit codes: 0 every entry is carried, 1 failed, or an entry or a tag is not carried.")]
pub struct ImportArgs {
    /// File to read; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Its format, where the file does not tell
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Make Images, one for each pair of repositories, instead of an ImageMirror
    #[arg(long)]
    images: bool,

    #[command(flatten)]
    options: ImportOptions,

    /// Output format
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: DocumentFormat,
}

/// What an ImageMirror has that its file does not say.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// Name of the ImageMirror, with which names of Images begin; by default that of the file
    #[arg(long, value_parser = parse_new_name)]
    name: Option<String>,

    /// Where images go to, in place of what the file says; the file of skopeo sync does not say it
    #[arg(long, value_name = "REPOSITORY")]
    target: Vec<String>,

    /// Keep registry and path of a source as the name at the target, as skopeo sync --scoped does; otherwise the last part
    /// of the path is the name. Of the file of skopeo sync only
    #[arg(long)]
    keep_paths: bool,
}

/// Prints an ImageMirror.
pub fn run(ui: Ui, args: &ImportArgs) -> Result<Outcome, CliError> {
    let (mirror, imported) = args.options.import(ui, &args.file, args.format)?;
    let (printed, carried) =
        if args.images { images(ui, &mirror)? } else { (document(&mirror)?, Outcome::Done) };
    args.output.print(ui, &printed)?;
    Ok(imported.and(carried))
}

/// Returns a list of the Images that a mirror becomes, and whether they copy all of it. Tags that two sources would become
/// are named, and left out.
fn images(ui: Ui, mirror: &ImageMirror) -> Result<(Value, Outcome), CliError> {
    let failed = |error: InventoryError| CliError::failed(error.to_string());
    let inventory = Inventory::read(&mirror.spec, &[]).map_err(failed)?;
    let Expansion { children, conflicts } = inventory.expand().map_err(failed)?;
    for conflict in &conflicts {
        ui.warning(&format!("not carried: {conflict}"));
    }
    let name = mirror.name_any();
    let image =
        |child: &Child| document(&Image::new(&child.name(&name), inventory.image_spec(child, &mirror.spec)));
    let items: Vec<Value> = children.iter().map(image).collect::<Result<_, _>>()?;
    let carried = if conflicts.is_empty() { Outcome::Done } else { Outcome::NotReady };
    Ok((json!({ "apiVersion": "v1", "kind": "List", "items": items }), carried))
}

impl ImportOptions {
    /// Returns the ImageMirror that a file becomes and whether it copies all of it, and says what of the file it is not.
    pub fn import(
        &self,
        ui: Ui,
        file: &Path,
        format: Option<Format>,
    ) -> Result<(ImageMirror, Outcome), CliError> {
        let subject = Subject::read(file, format)?;
        // First of all, as it may be why the rest cannot be used.
        subject.warn(ui);
        let (mirror, notes) = match &subject.source {
            Source::Mirror(..) => {
                return Err(CliError::failed(format!("{} is an ImageMirror already", subject.file.name())));
            }
            Source::File(format, content) => self.mirror(&subject, *format, content)?,
        };
        subject.file.warn(ui, &notes);
        Ok((mirror, outcome_of(subject.notes())))
    }

    fn mirror(
        &self,
        subject: &Subject,
        format: Format,
        content: &Content,
    ) -> Result<(ImageMirror, Vec<FormatError>), CliError> {
        if self.keep_paths && format != Format::SkopeoSync {
            return Err(CliError::usage("--keep-paths is for the file of skopeo sync alone; leave it out"));
        }
        // Targets come with entries: without any, --target would be asked for although the file says where images go to.
        if content.entries.is_empty() && outcome_of(subject.notes()) != Outcome::Done {
            return Err(CliError::failed(format!("{}: no entry could be carried", subject.file.name())));
        }
        let mut notes = Vec::new();
        let mut spec = ImageMirrorSpec {
            targets: content.targets.clone(),
            entries: content.entries.iter().map(|entry| entry.entry.clone()).collect(),
            ..of_content(content)
        };
        if !self.target.is_empty() {
            spec.targets = self.target.iter().map(|repository| target(repository)).collect();
            spec.entries.iter_mut().for_each(|entry| entry.targets.clear());
        }
        if spec.targets.is_empty() {
            return Err(CliError::usage(
                "the file does not say where images go to: give --target, such as registry.example.com/mirror",
            ));
        }
        // These tools replace what moved; rancher's only fill up.
        if !matches!(format, Format::Rancher | Format::ImagesList) {
            spec.sync = MirrorSync::Follow;
        }
        if format == Format::SkopeoSync {
            let template = if self.keep_paths { "{registry}/{path}" } else { "{name}" };
            spec.naming = MirrorNaming { template: Some(template.to_owned()), ..MirrorNaming::default() };
        }
        Inventory::read(&spec, &[]).map_err(|error| subject.unusable(&error))?;
        notes.extend(patterns(content));
        let name = self.name.clone().unwrap_or_else(|| subject.name());
        let mut mirror = ImageMirror::new(&name, spec);
        if format == Format::Rancher {
            let config =
                rancher::read(&subject.file.text).map_err(|error| subject.file.error(&error))?.config;
            notes.extend(config.not_carried());
            let config = config.without_entries();
            mirror.metadata.annotations = Some(BTreeMap::from([(RANCHER.to_owned(), config.formatted())]));
        }
        Ok((mirror, notes))
    }
}

/// Returns how a verb ends that had to say this: what is not copied is a failure.
pub fn outcome_of(notes: &[FormatError]) -> Outcome {
    let is_left_out = notes.iter().any(|note| note.problem.is_left_out());
    if is_left_out { Outcome::NotReady } else { Outcome::Done }
}

/// Returns an object as it is printed.
pub fn document(object: &impl Serialize) -> Result<Value, CliError> {
    let mut document = serde_json::to_value(object)
        .map_err(|error| CliError::failed(format!("cannot write the object: {error}")))?;
    document.as_object_mut().map(|fields| fields.remove("status"));
    Ok(document)
}

fn target(repository: &str) -> MirrorTarget {
    MirrorTarget { repository: repository.to_owned(), default: true, ..MirrorTarget::default() }
}

/// Returns that tags are patterns in an `ImageMirror`, where the file's own tool takes them for what they are.
fn patterns(content: &Content) -> Vec<FormatError> {
    let mut notes = Vec::new();
    for entry in &content.entries {
        for tag in &entry.entry.tags {
            let is_tag = tag.parse::<imgop_registry::reference::Tag>().is_ok();
            if is_tag && !matches!(tag.parse(), Ok(Version::Exact(_))) {
                let problem = Problem::Changed(format!(
                    "{tag} is a pattern in an ImageMirror, and selects more than that tag"
                ));
                notes.push(FormatError { line: entry.line, field: entry.entry.source.clone(), problem });
            }
        }
    }
    notes
}
