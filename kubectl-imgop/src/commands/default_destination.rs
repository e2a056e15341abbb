//! Names without a registry on the command line: below the default destination of the namespace, where it has one that the
//! user may read; else at Docker Hub, as everywhere.

use imgop_registry::reference::{Reference, Repository};

use crate::args::reference_problem;
use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::output::Ui;

/// Returns a reference below the default destination, with the version that is written behind it; none if it names a
/// registry, if there is no default, or if it is no reference, which is reported elsewhere.
pub async fn below_default(
    ui: Ui,
    written: &str,
    accesses: &RegistryAccesses<'_>,
) -> Result<Option<String>, CliError> {
    let Some((name, version)) = without_registry(written) else { return Ok(None) };
    let Some((repository, origin)) = accesses.below_default(name).await? else { return Ok(None) };
    ui.note(&format!("{written} goes to {repository}, below the default destination of {origin}"));
    Ok(Some(format!("{repository}{version}")))
}

/// Whether a reference names no registry.
pub fn names_no_registry(written: &str) -> bool {
    without_registry(written).is_some()
}

/// Returns the name and the version of a reference that names no registry, as they are written.
fn without_registry(written: &str) -> Option<(&str, &str)> {
    if reference_problem(written).is_some() || Repository::names_registry(written) {
        return None;
    }
    let Reference { version, .. } = written.parse().ok()?;
    let length = written.len() - version.map_or(0, |version| version.len() + 1);
    Some(written.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_registry_keeps_its_version() {
        for (written, parts) in [
            ("app", Some(("app", ""))),
            ("app:1.4", Some(("app", ":1.4"))),
            ("team/app:2.x", Some(("team/app", ":2.x"))),
            ("r.example.com/app:1", None),
            ("localhost/app", None),
            ("docker.io/app:1", None),
            ("registry.corp:5000", None),
            ("UPPER/app", None),
            ("", None),
        ] {
            assert_eq!(without_registry(written), parts, "{written}");
        }
    }
}
