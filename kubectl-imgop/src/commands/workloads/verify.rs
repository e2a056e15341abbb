//! `kubectl imgop workloads verify`.

use clap::Args;
use jiff::Timestamp;

use super::{MirrorsArgs, warn};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::commands::mirror::{Mirrored, ReadFrom, VerificationArgs};
use crate::output::Ui;
use crate::output::text::first_few;
use crate::workloads::seen::MAX_NAMED;

/// Check that the destination has what workloads use, as the sources have it
///
/// Both sides are asked for the digest of every tag, the destination also for the manifests of each platform, and with
/// --layers for every layer. Tags that are not as at their source are printed.
#[derive(Debug, Args)]
#[command(
    after_help = "Signs: + missing, ~ differs, ! incomplete, or not at the source, ? could not be checked.\n\n\
    Exit codes: 0 every tag is as at its source, 1 a tag is missing, incomplete or not at its source, 2 failed, \
    or something could not be looked at, 3 a destination has other content than the source."
)]
pub struct VerifyArgs {
    #[command(flatten)]
    mirrors: MirrorsArgs,

    #[command(flatten)]
    verification: VerificationArgs,
}

/// Verifies what workloads use.
pub async fn run(ui: Ui, args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    Box::pin(all(ui, args, connection)).await.map_err(CliError::of_comparison)
}

async fn all(ui: Ui, args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let now = Timestamp::now();
    let cluster = connection.connect().await?;
    let (mut images, mut names, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
    for mirror in args.mirrors.read(ui, &cluster).await? {
        warn(ui, &mirror, &mirror.plan());
        images.extend(mirror.images());
        names.push(mirror.name);
        unseen.extend(mirror.seen.unseen);
    }
    if names.is_empty() {
        return Err(CliError::failed("nothing was compared: there is no WorkloadMirror"));
    }
    let from = ReadFrom::Cluster(&cluster);
    let (names, access) = (names.join(", "), &args.verification.access);
    let mirrored = Mirrored::of_images(names, images, Vec::new(), access, from, now).await?;
    let outcome = args.verification.run(ui, &mirrored, now).await?;
    // What is not known is never as it is to be.
    if unseen.is_empty() {
        return Ok(outcome);
    }
    let unseen = first_few(&unseen, MAX_NAMED, 0);
    Err(CliError::failed(format!("not all was compared: you may not list {unseen}")))
}
