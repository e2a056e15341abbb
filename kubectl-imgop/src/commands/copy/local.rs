//! `kubectl imgop copy --local`: the same selection and the same plan as the agent's, carried out by this process.

use imgop_core::copy::{Limits, MaxParts};
use jiff::Timestamp;

use super::CopyArgs;
use crate::args::DryRun;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::AnsweringCluster;
use crate::local_copy::LocalCopy;
use crate::output::Ui;
use crate::preview::inspect::Looking;
use crate::preview::sides::Purpose;
use crate::preview::targets::Target;
use crate::registry::local_access::AccessSources;
use crate::registry::registries;

/// Copies what the arguments select, or says what would be copied.
pub async fn run(ui: Ui, args: &CopyArgs) -> Result<Outcome, CliError> {
    check(args)?;
    let is_dry = args.submit.dry_run.is_some_and(|dry| dry != DryRun::None);
    let (spec, request) = args.spec()?;
    let target = Target::of_references(spec, request, true, Timestamp::now());
    let cluster = AnsweringCluster::new(Err("--local asks no cluster".to_owned()));
    let (local, registries) = (args.access.credentials.read()?, registries(false)?);
    let sources = AccessSources { ui, cluster: &cluster, local: &local, flags: &args.access };
    let (endpoints, limits) = (&args.image.endpoints, Limits::default());
    let looking = Looking {
        registries: &registries,
        sources: &sources,
        tls: (endpoints.source_tls, endpoints.destination_tls),
        limits: Limits {
            max_tags: args.max_tags.unwrap_or(limits.max_tags),
            max_parts: MaxParts::NoJob,
            ..limits
        },
        purpose: if is_dry { Purpose::DryPush } else { Purpose::Push },
    };
    Box::pin(LocalCopy { ui, looking, is_dry, format: args.output.map(Into::into) }.run(vec![Ok(target)]))
        .await
}

/// Fails for flags that say how an agent copies, or what only a cluster has.
fn check(args: &CopyArgs) -> Result<(), CliError> {
    if !args.is_complete() {
        return Err(CliError::usage("--local asks nothing: give SOURCE and DESTINATION"));
    }
    let image = &args.image;
    let for_an_agent = [
        ("--mode", image.mode.is_some()),
        ("--publish", image.publish.is_some()),
        ("--engine", image.engine.is_some()),
        ("--force-conflicts", args.submit.force_conflicts),
        ("--dry-run=server", args.submit.dry_run == Some(DryRun::Server)),
    ];
    let flag = for_an_agent.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag);
    if let Some(flag) = flag.or_else(|| image.schedule.first()).or_else(|| image.jobs.first()) {
        return Err(CliError::usage(format!("{flag} is for the agent, and --local copies from here, once")));
    }
    let endpoints = &image.endpoints;
    let secrets = [
        ("--source-credentials", endpoints.source_credentials.is_some()),
        ("--destination-credentials", endpoints.destination_credentials.is_some()),
        ("--source-ca-secret", endpoints.source_ca_secret.is_some()),
        ("--destination-ca-secret", endpoints.destination_ca_secret.is_some()),
    ];
    match secrets.into_iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(CliError::usage(format!("{flag} names a Secret, and --local asks no cluster"))
            .hinted(
                "the logins of docker and podman are used; --authfile, --source-ca-file and --destination-ca-file \
                 name other files",
            )),
        None => Ok(()),
    }
}
