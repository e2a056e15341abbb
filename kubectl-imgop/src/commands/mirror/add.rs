//! `kubectl imgop mirror add`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::formats::{AddError, Format, FormatError, NewEntry, Wanted, detect, images_list, rancher};
use imgop_registry::reference::{ManifestRef, Reference, ReferenceError, Repository, Tag};

use super::checks::{Checks, Depth, Found};
use super::file::InputFile;
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::registry::one_repository::OneRepositoryArgs;

/// Add tags to the entries of a file
///
/// Of rancher's config.yaml or images-list. A source that goes to several names gets the tags under the one that begins with
/// mirrored-. Each tag that is not there yet is looked for at its source first; if one does not exist, or anything else is wrong,
/// the file stays as it is. It is written in its canonical form. Of - the result is printed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror add config.yaml quay.io/argoproj/argocd:v2.13.1 docker.io/library/redis:7.4\n  \
    kubectl imgop mirror add config.yaml --images quay.io/calico/cni,quay.io/calico/node --tags v3.29.0,v3.29.1\n  \
    kubectl imgop mirror add config.yaml --create --target-name argocd quay.io/argoproj/argocd:v2.13.1")]
pub struct AddArgs {
    /// File to change; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Images with their tags
    #[arg(value_name = "IMAGE:TAG", required_unless_present = "images", conflicts_with_all = ["images", "tags"])]
    full_images: Vec<String>,

    /// Sources, each of which gets all --tags
    #[arg(long, value_name = "IMAGE", value_delimiter = ',', requires = "tags")]
    images: Vec<String>,

    /// Tags for all --images
    #[arg(long, value_name = "TAG", value_delimiter = ',', requires = "images")]
    tags: Vec<String>,

    /// Make an entry for a source that has none
    #[arg(long)]
    create: bool,

    /// Name at the targets of an entry that is made; in an images-list its whole repository
    #[arg(long, value_name = "NAME", requires = "create")]
    target_name: Option<String>,

    /// Ask no registry whether the tags exist
    #[arg(long)]
    no_check: bool,

    #[command(flatten)]
    access: OneRepositoryArgs,
}

/// A file that tags are added to.
enum Target {
    Config(Box<rancher::Config>),
    List(images_list::ImagesList),
}

impl Target {
    fn read(file: &InputFile, ui: Ui) -> Result<Self, CliError> {
        let wrong = |error: FormatError| file.error(&error);
        match detect(&file.text).map_err(wrong)? {
            Format::Rancher => {
                let read = rancher::read(&file.text).map_err(wrong)?;
                file.warn(ui, &read.warnings);
                Ok(Self::Config(Box::new(read.config)))
            }
            Format::ImagesList => images_list::read(&file.text).map(Self::List).map_err(wrong),
            _ => Err(CliError::failed(format!(
                "{}: tags are added to config.yaml and images-list only",
                file.name()
            ))),
        }
    }

    fn add(&mut self, wanted: &Wanted, new: Option<&NewEntry>) -> Result<Vec<String>, AddError> {
        match self {
            Self::Config(config) => config.add(wanted, new),
            Self::List(list) => list.add(wanted, new),
        }
    }

    fn formatted(&self) -> String {
        match self {
            Self::Config(config) => config.formatted(),
            Self::List(list) => list.formatted(),
        }
    }
}

/// Adds tags to a file.
pub async fn run(ui: Ui, args: &AddArgs) -> Result<Outcome, CliError> {
    let file = InputFile::read(&args.file)?;
    let mut target = Target::read(&file, ui)?;
    let new = args.create.then(|| NewEntry { target_name: args.target_name.clone() });
    let mut added = Vec::new();
    for wanted in args.wanted()? {
        let tags = target.add(&wanted, new.as_ref());
        let tags = tags.map_err(|error| CliError::failed(format!("{}: {error}", file.name())))?;
        for tag in wanted.tags.iter().filter(|tag| !tags.contains(tag)) {
            ui.note(&format!("{}:{tag} is there already", wanted.source));
        }
        added.extend(tags.into_iter().map(|tag| (wanted.source.clone(), tag)));
    }
    if !args.no_check {
        args.check(ui, &added).await?;
    }
    if file.is_stdin() {
        ui.data(&target.formatted())?;
    } else if !added.is_empty() {
        file.replace(&target.formatted())?;
    }
    for (source, tag) in &added {
        ui.note(&format!("{source}:{tag} is added"));
    }
    Ok(Outcome::Done)
}

impl AddArgs {
    /// Returns what is to be added, source by source.
    fn wanted(&self) -> Result<Vec<Wanted>, CliError> {
        let of_images =
            self.images.iter().map(|source| Wanted { source: source.clone(), tags: self.tags.clone() });
        let mut all: Vec<Wanted> = of_images.collect();
        for text in &self.full_images {
            let usage = |why: String| CliError::usage(format!("{text}: {why}"));
            let reference: Reference =
                text.parse().map_err(|error: ReferenceError| usage(error.to_string()))?;
            let tag = reference.version.ok_or_else(|| usage("add its tag, as in IMAGE:TAG".to_owned()))?;
            let source = text[..text.len() - tag.len() - 1].to_owned();
            all.push(Wanted { source, tags: vec![tag] });
        }
        for Wanted { source, tags } in &all {
            let usage = |error: ReferenceError| CliError::usage(format!("{source}: {error}"));
            source.parse::<Repository>().map_err(usage)?;
            tags.iter().try_for_each(|tag| tag.parse::<Tag>().map(drop)).map_err(usage)?;
        }
        Ok(all)
    }

    /// Looks for the tags at their sources.
    async fn check(&self, ui: Ui, added: &[(String, String)]) -> Result<(), CliError> {
        let image = |(source, tag): &(String, String)| {
            Some((source.parse::<Repository>().ok()?, ManifestRef::Tag(tag.parse().ok()?)))
        };
        let images: Vec<_> = added.iter().filter_map(image).collect();
        let found = Checks::new(ui, &self.access)?.images(&images, Depth::Manifest).await?;
        let missing = added.iter().zip(found).filter_map(|((source, tag), found)| match found {
            Found::There => None,
            Found::Missing(why) => Some(format!("{source}:{tag}: {why}")),
            Found::NotChecked(why) => Some(format!("{source}:{tag} could not be checked: {why}")),
        });
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CliError::failed(missing.join("\n")).hinted("nothing is written; --no-check asks no registry"))
    }
}
