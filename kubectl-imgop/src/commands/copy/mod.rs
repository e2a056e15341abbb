//! `kubectl imgop copy`.

mod context;
mod destination;
mod dialog;
mod local;
mod plan;
mod questions;
mod search;
mod submit;
mod tls_questions;
mod typing;

use clap::{Args, ValueEnum};
use imgop_core::api::{ImageSpec, Side};
use imgop_core::copy::CopyRequest;

use crate::args::{ImageArgs, SubmitArgs, Words, image_spec};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{ConnectionArgs, TimeLimit};
use crate::kinds::object_name::parse_new_name;
use crate::output::Ui;
use crate::output::documents::CopyFormat;
use crate::output::text::shell_word;
use crate::prompts::can_ask;
use crate::registry::local_access::LocalAccessArgs;
use submit::submit;

/// Create or update an Image
///
/// Without SOURCE or DESTINATION it asks, on a terminal: for what is not given, with proposals, and shows what would
/// be copied before anything is submitted.
///
/// Running it again with the same arguments changes nothing. With other arguments every field is set again: a
/// flag that is omitted returns to its default, unless another manager, such as kubectl or Argo CD, owns the
/// field. What changes is printed, and so is what another manager keeps. An Image that was suspended by kubectl
/// imgop suspend stays suspended until it is resumed.
///
/// Without --name the Image is named after the source: quay.io/argoproj/argocd:v2.13.x becomes
/// argocd-v2-13-x. If that is longer than 63 characters, or if an Image with that name copies something
/// else, a hash of source and destination is appended; so it is by --dry-run=client, which does not know
/// what the cluster has.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  \
    Every v2.13 release of Argo CD, and those to come:\n    \
    kubectl imgop copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
    The three newest releases from 1.27 on:\n    \
    kubectl imgop copy nginx registry.example.com/web/nginx --versions '>=1.27' --latest 3\n  \
    One tag, under another name:\n    \
    kubectl imgop copy nginx:1.27 registry.example.com/web/nginx:stable\n  \
    To where images of the namespace go by default, if an administrator has set that:\n    \
    kubectl imgop copy quay.io/argoproj/argocd:v2.13.x\n  \
    At once and without a cluster, with the logins of this machine:\n    \
    kubectl imgop copy --local quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
    Only the manifest, for a repository that Argo CD or Flux watches:\n    \
    kubectl imgop copy nginx:1.27.x registry.example.com/web/nginx --dry-run=client -o yaml")]
pub struct CopyArgs {
    /// Source repository with a tag, a pattern or a digest
    #[arg(value_name = "SOURCE[:VERSION]")]
    source: Option<String>,

    /// Destination repository; without a version each tag keeps its name, {tag} in a version stands for it.
    /// Without a registry it is below the default destination of the namespace, if an administrator has set one
    #[arg(value_name = "DESTINATION[:VERSION]")]
    destination: Option<String>,

    /// Name of the Image
    #[arg(long, value_parser = parse_new_name)]
    name: Option<String>,

    #[command(flatten)]
    image: ImageArgs,

    /// Wait until every tag is at the destination
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m", requires = "wait")]
    timeout: TimeLimit,

    #[command(flatten)]
    submit: SubmitArgs,

    /// Copy from this machine, at once and without a cluster: no Image is created. An upload that breaks off goes on
    /// the next time
    #[arg(long, conflicts_with_all = ["name", "wait"])]
    local: bool,

    /// How many tags a pattern may match with --local; 500 without it, which is the agent's limit too
    #[arg(long, value_name = "NUMBER", requires = "local")]
    max_tags: Option<usize>,

    #[command(flatten)]
    access: LocalAccessArgs,

    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<CopyFormat>,
}

/// Creates or updates an Image.
pub async fn run(ui: Ui, args: &CopyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    if args.local {
        return Box::pin(local::run(ui, args)).await;
    }
    if let Some(flag) = args.access.first() {
        return Err(CliError::usage(format!("{flag} goes with --local; the agent uses Secrets")));
    }
    let asks = args.output.is_none() && can_ask(ui);
    let args = &destination::with_default(ui, args, connection, asks).await?;
    if args.is_complete() {
        return submit(ui, args, connection, None).await;
    }
    // A document is for a program to read, which cannot answer.
    if !asks {
        return Err(dialog::incomplete(ui, args)?);
    }
    dialog::ask(ui, args, connection).await
}

impl CopyArgs {
    /// Returns whether nothing has to be asked. Where both references are given, what is wrong with them is reported as
    /// such, a missing version too.
    fn is_complete(&self) -> bool {
        self.source.is_some() && self.destination.is_some()
    }

    /// Returns the reference of a side as it is given.
    fn reference(&self, side: Side) -> Option<&str> {
        match side {
            Side::Source => self.source.as_deref(),
            Side::Destination => self.destination.as_deref(),
        }
    }

    fn spec(&self) -> Result<(ImageSpec, CopyRequest), CliError> {
        let given = |argument: &Option<String>| argument.clone().unwrap_or_default();
        image_spec(&given(&self.source), &given(&self.destination), &self.image)
    }

    /// Returns a command that does the same without questions.
    fn command_line(&self) -> String {
        // How long is waited, and what is printed, changes nothing of the object.
        let Self {
            source,
            destination,
            name,
            image,
            wait,
            timeout: _,
            submit,
            local: _,
            max_tags: _,
            access: _,
            output: _,
        } = self;
        let mut words = Words::default();
        image.write(&mut words);
        words.value("--name", name.as_ref());
        words.switch("--wait", wait.then_some(true));
        words.switch("--force-conflicts", submit.force_conflicts.then_some(true));
        let dry_run = submit
            .dry_run
            .and_then(|dry| dry.to_possible_value())
            .map(|dry| format!("--dry-run={}", dry.get_name()));
        let references = source.iter().chain(destination).cloned();
        let words = references.chain(words.into_words()).chain(dry_run);
        let words: Vec<String> = words.map(|word| shell_word(&word)).collect();
        format!("kubectl imgop copy {}", words.join(" "))
    }
}
