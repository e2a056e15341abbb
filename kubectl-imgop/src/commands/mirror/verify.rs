//! `kubectl imgop mirror verify`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::formats::Format;
use jiff::Timestamp;

use super::comparison::{ComparedTag, Comparison, ComparisonFormat, State};
use super::plan::separator;
use super::registries::Mirrored;
use super::subject::Subject;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::output::Ui;
use crate::preview::sides::sides;
use crate::registry::errors::explain;
use crate::registry::one_repository::OneRepositoryArgs;
use crate::verification::{Depth, Verdict, Verification, VerifiedTag, verify};

/// Check that the targets of an inventory have what the sources have
///
/// Both sides are asked for the digest of every tag, the target also for the manifests of each platform, and with --layers for
/// every layer. Tags that are not as at their source are printed. An ImageMirror of the cluster (imagemirror/NAME, or NAME where
/// no file is called so) is read with the ConfigMaps that it names and with the tags that its version sources have added.
#[derive(Debug, Args)]
#[command(
    visible_alias = "diff",
    after_help = "Examples:\n  \
    kubectl imgop mirror verify config.yaml\n  \
    kubectl imgop mirror verify mirror.yaml --layers -o json\n  \
    kubectl imgop mirror verify imagemirror/acme -n mirrors\n\n\
    Signs: + missing, ~ differs, ! incomplete, not at the source, or a conflict, ? could not be checked.\n\n\
    Exit codes: 0 every tag is as at its source, 1 a tag is missing, incomplete, not at its source or in conflict, 2 failed, or \
    a tag could not be checked, 3 a target has other content than the source."
)]
pub struct VerifyArgs {
    /// File to read: an ImageMirror, or the file of another tool; - reads stdin. Or the name of an ImageMirror of the cluster
    #[arg(value_name = "FILE|NAME")]
    file: PathBuf,

    /// Its format, where the file does not tell
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    verification: VerificationArgs,
}

/// How both sides of Images are compared, and how that is shown.
#[derive(Debug, Args)]
pub struct VerificationArgs {
    /// Ask the destination for every configuration and layer
    #[arg(long)]
    layers: bool,

    /// Output format
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: ComparisonFormat,

    #[command(flatten)]
    pub access: OneRepositoryArgs,
}

/// Verifies an inventory.
pub async fn run(ui: Ui, args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    Box::pin(of_file(ui, args, connection)).await.map_err(CliError::of_comparison)
}

async fn of_file(ui: Ui, args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let now = Timestamp::now();
    let subject = Subject::find(&args.file, args.format, connection).await?;
    subject.warn(ui);
    let mirrored = Mirrored::read(&subject, &args.verification.access, connection, now).await?;
    args.verification.run(ui, &mirrored, now).await
}

impl VerificationArgs {
    /// Compares both sides of Images, and prints what is not the same.
    pub async fn run(&self, ui: Ui, mirrored: &Mirrored, now: Timestamp) -> Result<Outcome, CliError> {
        let comparison = self.compare(ui, mirrored, now).await;
        comparison.print(ui, self.output)?;
        comparison.outcome()
    }

    async fn compare(&self, ui: Ui, mirrored: &Mirrored, now: Timestamp) -> Comparison {
        let depth = if self.layers { Depth::Layers } else { Depth::Manifests };
        let tls = (self.access.tls(), self.access.tls());
        let compared = mirrored.compared(|target| async move {
            let (sides, context) = sides(&mirrored.registries, &mirrored.sources(ui), target, tls).await?;
            let verified = verify(&sides, &target.request, mirrored.limits, depth, now).await;
            verified.map(|verified| rows(&verified)).map_err(|error| explain(&error, &context))
        });
        compared.await
    }
}

fn rows(verification: &Verification) -> Vec<ComparedTag> {
    let row = |tag: &VerifiedTag| ComparedTag {
        source: format!("{}{}{}", verification.source, separator(&tag.tag), tag.tag),
        destination: format!("{}:{}", verification.destination, tag.destination_tag),
        state: state(tag.result),
        source_digest: tag.source_digest.clone(),
        destination_digest: tag.destination_digest.clone(),
        reason: tag.reason.clone(),
    };
    verification.tags.iter().map(row).collect()
}

fn state(verdict: Verdict) -> State {
    match verdict {
        Verdict::Verified => State::UpToDate,
        Verdict::Differs => State::Differs,
        Verdict::Missing => State::Missing,
        Verdict::Incomplete => State::Incomplete,
        Verdict::NotAtSource => State::NotAtSource,
        Verdict::NotChecked => State::NotChecked,
    }
}
