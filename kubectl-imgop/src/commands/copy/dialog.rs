//! `copy` without arguments: it asks, shows the plan, and submits what is confirmed.

use imgop_core::api::Side;

use super::CopyArgs;
use super::context::Context;
use super::questions::{Draft, QUESTIONS};
use super::submit::{connect, image_ref, manifest, submit};
use super::tls_questions::probe;
use crate::args::DryRun;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::image::derive;
use crate::output::Ui;
use crate::output::documents::yaml;
use crate::prompts::Terminal;
use crate::prompts::dialog::{ask_all, missing};

/// Asks for what is missing, submits it unless that is refused, and shows the same without questions.
pub async fn ask(ui: Ui, args: &CopyArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = if args.submit.dry_run == Some(DryRun::Client) {
        Err("a dry run of the client asks no cluster".to_owned())
    } else {
        // A program that logs in may ask first.
        Ok(connect(connection).await?)
    };
    let place = cluster.as_ref().map(Cluster::place).unwrap_or_default();
    let namespace = cluster.as_ref().ok().map(|cluster| cluster.namespace.clone());
    let mut draft = Draft::new(args.clone(), Context::new(ui, cluster.clone())?.with_proposals().await);
    let terminal = Terminal::open()?;
    for side in [Side::Source, Side::Destination] {
        probe(&draft, &terminal, side).await?;
    }
    ask_all(&QUESTIONS, &mut draft, &terminal).await?;
    drop(terminal);
    let (args, planned_name) = (draft.args, draft.planned_name);
    let outcome = if draft.is_confirmed == Some(true) {
        submit(ui, &args, connection, cluster.ok()).await
    } else {
        ui.note("Nothing was submitted.");
        Ok(Outcome::NotReady)
    };
    let (spec, request) = args.spec()?;
    let name = args.name.clone().or(planned_name);
    let image = image_ref(name.unwrap_or_else(|| derive(&request).hashed));
    let same = yaml(&manifest(&args, namespace.as_deref(), &image, &spec)?)?;
    ui.note(&format!(
        "\nThe same without questions:\n  {}{place}\nand as a manifest:\n{same}",
        args.command_line()
    ));
    outcome
}

/// Returns what is missing where nothing can be asked.
pub fn incomplete(ui: Ui, args: &CopyArgs) -> Result<CliError, CliError> {
    let draft = Draft::new(args.clone(), Context::new(ui, Err("nothing is asked".to_owned()))?);
    let missing = missing(&QUESTIONS, &draft).join(", ");
    let mut error = CliError::usage(format!("missing: {missing}"));
    if missing == "DESTINATION" {
        error = error.hinted(
            "without DESTINATION it goes to the default destination of the namespace, if an administrator has set one \
             that you may read",
        );
    }
    Ok(error
        .hinted("for example: kubectl imgop copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd")
        .hinted("on a terminal, kubectl imgop copy asks for what is missing"))
}
