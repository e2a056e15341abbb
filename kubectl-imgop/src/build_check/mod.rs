//! What a build would be, without one: the Dockerfile read, base images looked up, and what would be pushed where.
//! By the code that agent and builds run too.

mod bases;
mod lint;
mod page;

use imgop_core::build::BuildRequest;
use imgop_core::build::dockerfile::BuildahVersion;

pub use bases::{Base, BaseState, Bases};
pub use lint::lint;
pub use page::print_problems;

use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// What users know the Dockerfile by.
    pub name: &'a str,
    /// Its text; none if a build alone can read it.
    pub text: Option<&'a str>,
    /// What is asked for.
    pub request: &'a BuildRequest,
    /// The version of Buildah that would build it.
    pub buildah: BuildahVersion,
}

/// Checks, and prints what was found. Returns done if a build could begin.
pub async fn check(ui: Ui, checked: Checked<'_>, bases: &Bases<'_>) -> Result<Outcome, CliError> {
    let Some(text) = checked.text else {
        ui.note("The Dockerfile is not checked: only a build reads it from its context.");
        ui.data(&page::destination(checked.request))?;
        return Ok(Outcome::Done);
    };
    let found = lint(text, checked.request, checked.buildah);
    print_problems(ui, checked.name, &found)?;
    let has_errors = found.has_errors();
    let bases = bases::look_up(bases, found.images).await;
    if !bases.is_empty() {
        ui.table(&page::bases_table(&bases), true)?;
    }
    ui.data(&page::destination(checked.request))?;
    hint(ui, &bases);
    let is_good = !has_errors && bases.iter().all(Base::is_usable);
    Ok(if is_good { Outcome::Done } else { Outcome::NotReady })
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
