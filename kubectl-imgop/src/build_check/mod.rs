//! What a build would be, without one: the Dockerfile read, base images looked up, and what would be pushed where.
//! By the code that agent and builds run too.

mod bases;
mod context_files;
mod lint;
mod page;
mod pushing;

use std::collections::BTreeSet;

use imgop_core::api::ImageBuilder;
use imgop_core::build::BuildRequest;
use imgop_core::build::dockerfile::BuildahVersion;
use imgop_registry::Registries;
use kube::ResourceExt as _;

pub use bases::{Base, BaseState, Bases};
pub use lint::lint;
pub use page::print_problems;

use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::text::count;
use crate::output::wording::Wording;
use crate::registry::local_access::AccessSources;
use pushing::Pushing;

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// What users know the Dockerfile by.
    pub name: &'a str,
    /// Its text; none if a build alone can read it.
    pub text: Option<&'a str>,
    /// What is asked for.
    pub request: &'a BuildRequest,
    /// The files of the context, where they are known.
    pub files: Option<&'a BTreeSet<String>>,
    /// The Secret that is made with it.
    pub own_secret: Option<&'a str>,
    /// The version of Buildah that would build it.
    pub buildah: BuildahVersion,
}

/// The version of Buildah whose faults are shown where an admin chose none: the oldest that is supported.
pub const OLDEST_BUILDAH: BuildahVersion = BuildahVersion { major: 1, minor: 28 };

/// Checks an ImageBuilder as its file has it, and prints what was found.
pub async fn check_builder(
    builder: &ImageBuilder,
    request: &BuildRequest,
    registries: &Registries,
    sources: AccessSources<'_>,
    is_of_cluster: bool,
) -> Result<Outcome, CliError> {
    let ui = sources.ui;
    let bases = Bases {
        registries,
        sources,
        spec: &builder.spec,
        namespace: builder.metadata.namespace.as_deref(),
        wording: Wording::Fields,
        is_of_cluster,
    };
    let checked = Checked {
        name: &builder.name_any(),
        text: builder.spec.source.as_deref(),
        request,
        files: None,
        own_secret: None,
        buildah: OLDEST_BUILDAH,
    };
    check(ui, checked, &bases).await
}

/// Checks, and prints what was found. Returns done if a build could begin and push, as far as that is known here.
pub async fn check(ui: Ui, checked: Checked<'_>, bases: &Bases<'_>) -> Result<Outcome, CliError> {
    let mut mistakes: Vec<String> = Vec::new();
    if let Some(text) = checked.text {
        let found = lint(text, checked.request, checked.files, checked.buildah);
        print_problems(ui, checked.name, &found, bases.wording)?;
        let errors = found.problems.iter().filter(|problem| problem.is_error()).count();
        let bases = bases::look_up(bases, found.images).await;
        if !bases.is_empty() {
            ui.table(&page::bases_table(&bases), true)?;
        }
        hint(ui, &bases);
        let unusable = bases.iter().filter(|base| !base.is_usable()).count();
        mistakes.extend((errors > 0).then(|| count(errors, "mistake")));
        mistakes.extend((unusable > 0).then(|| format!("{} not usable", count(unusable, "base image"))));
    } else {
        ui.note("The Dockerfile is not checked: only a build reads it from its context.");
    }
    mistakes.extend(bases.wrong_secrets(checked.own_secret).await);
    let mut outcome = Outcome::Done;
    if !mistakes.is_empty() {
        let message = format!("{} cannot be built: {}", checked.name, mistakes.join(", "));
        ui.error(&CliError::failed(message));
        outcome = Outcome::NotReady;
    }
    match bases.destination(&checked.request.destination).await {
        Pushing::Impossible(error) => {
            let what = page::destination(checked.request);
            let why = error.message.strip_prefix("destination: ").unwrap_or(&error.message);
            let message = format!("cannot push {what}: {why}");
            ui.error(&CliError { message, ..error });
            return Ok(Outcome::NotReady);
        }
        Pushing::NotKnown(why) => ui.warning(&format!("whether it can be pushed is not known here: {why}")),
        Pushing::Answered => {}
    }
    if outcome == Outcome::Done {
        ui.data(&format!("Would push {}", page::destination(checked.request)))?;
    }
    Ok(outcome)
}

/// Prints what to do about base images, each thing once.
fn hint(ui: Ui, bases: &[Base]) {
    let mut shown: Vec<&String> = Vec::new();
    for base in bases {
        let BaseState::Unknown(error) = &base.state else { continue };
        for hint in &error.hints {
            if !shown.contains(&hint) {
                ui.hint(hint);
                shown.push(hint);
            }
        }
    }
}
