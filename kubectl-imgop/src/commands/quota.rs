//! `kubectl imgop quota`.

use std::collections::BTreeMap;

use clap::Args;
use imgop_core::api::Image;
use imgop_core::copy::CopyRequest;
use imgop_registry::reference::{ManifestRef, Reference, RegistryHost, Repository};
use imgop_registry::{RateLimit, Reason};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::reference_problem;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::kinds::{Erased, read};
use crate::output::Ui;
use crate::output::age::human;
use crate::output::documents::PrintedArgs;
use crate::output::table::Table;
use crate::registry::credentials::LocalCredentials;
use crate::registry::one_repository::OneRepositoryArgs;
use crate::registry::registries;

/// The version of the document.
const API_VERSION: &str = "imgop.quota/v1";
/// The repository that Docker names for this question (Docker documentation, "Pull usage and limits").
const DOCKER_HUB_PREVIEW: &str = "docker.io/ratelimitpreview/test";

/// Show how many pulls registries still allow
///
/// Each registry is asked by one HEAD, which counts as no pull, with the credentials of this machine: an Image
/// with a Secret of its own may have another quota. Without REPOSITORY the registries of the Images in the
/// namespace are asked. Of the public registries only Docker Hub reports a quota.
#[derive(Debug, Args)]
#[command(visible_aliases = ["limits", "rate-limit"], after_help = "Examples:\n  \
    kubectl imgop quota\n  \
    kubectl imgop quota docker.io/library/nginx")]
pub struct QuotaArgs {
    /// Repositories whose registries are asked
    #[arg(value_name = "REPOSITORY")]
    repositories: Vec<String>,

    #[command(flatten)]
    access: OneRepositoryArgs,

    #[command(flatten)]
    printed: PrintedArgs,
}

/// The quotas of registries.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.quota/v1")]
#[serde(rename_all = "camelCase")]
pub struct Quotas {
    /// The version of the document.
    api_version: &'static str,
    /// The registries that were asked.
    registries: Vec<Quota>,
}

/// The quota of one registry.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Quota {
    /// The registry.
    registry: String,
    /// Pulls that are left; none if the registry reports no quota.
    remaining: Option<u64>,
    /// Pulls within the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// How long the window is.
    #[serde(skip_serializing_if = "Option::is_none")]
    window_seconds: Option<u64>,
    /// Why the registry could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Shows quotas.
pub async fn run(ui: Ui, args: &QuotaArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let repositories = match args.repositories.as_slice() {
        [] => of_images(connection).await?,
        named => of_arguments(named)?,
    };
    if repositories.is_empty() {
        ui.note("No Image in this namespace uses a registry; name a repository.");
        return Ok(Outcome::Done);
    }
    let (local, mut quotas) = (args.access.credentials()?, Vec::new());
    for (host, repository) in repositories {
        quotas.push(quota(ui, args, &local, &host, &repository).await?);
    }
    let failed = quotas.iter().filter(|quota| quota.error.is_some()).count();
    let quotas = Quotas { api_version: API_VERSION, registries: quotas };
    match args.printed.output {
        Some(format) => format.print(ui, &quotas)?,
        None => ui.wrapped_table(&table(&quotas.registries), !args.printed.no_headers)?,
    }
    match failed {
        0 => Ok(Outcome::Done),
        failed => Err(CliError::failed(format!("{failed} of {} registries failed", quotas.registries.len()))),
    }
}

/// Returns one repository for each registry that Images of the namespace use.
async fn of_images(connection: &ConnectionArgs) -> Result<BTreeMap<RegistryHost, Repository>, CliError> {
    let cluster = connection.connect().await?;
    let images = cluster.list(Erased::<Image>::REF, false, None).await?;
    let requests = images.iter().filter_map(|found| {
        let image: Image = read(&found.object).ok()?;
        CopyRequest::parse(&image.spec).ok()
    });
    Ok(by_host(requests.flat_map(|request| [request.source, request.destination])))
}

fn of_arguments(texts: &[String]) -> Result<BTreeMap<RegistryHost, Repository>, CliError> {
    let parsed = texts.iter().map(|text| {
        let usage = |why: String| CliError::usage(format!("REPOSITORY: {why}"));
        reference_problem(text).map_or(Ok(()), |problem| Err(usage(problem)))?;
        let reference = text.parse::<Reference>();
        reference.map(|reference| reference.repository).map_err(|error| usage(error.to_string()))
    });
    Ok(by_host(parsed.collect::<Result<Vec<_>, _>>()?.into_iter()))
}

fn by_host(repositories: impl Iterator<Item = Repository>) -> BTreeMap<RegistryHost, Repository> {
    let mut by_host = BTreeMap::new();
    for repository in repositories {
        by_host.entry(repository.host().clone()).or_insert(repository);
    }
    by_host
}

/// Asks one registry. A repository that does not exist, or has no such tag, is no error: the registry's quota
/// stands in every response.
async fn quota(
    ui: Ui,
    args: &QuotaArgs,
    local: &LocalCredentials,
    host: &RegistryHost,
    repository: &Repository,
) -> Result<Quota, CliError> {
    let asked = match host.as_str() {
        "docker.io" => DOCKER_HUB_PREVIEW.parse().unwrap_or_else(|_| repository.clone()),
        _ => repository.clone(),
    };
    // Of its own, so that what it has heard of limits is of this registry.
    let registries = registries(true)?;
    let client = args.access.client(ui, &registries, local, &asked).await?;
    let latest: Result<ManifestRef, _> = "latest".parse::<imgop_registry::reference::Tag>().map(Into::into);
    let error = match latest {
        Ok(latest) => client.head(&latest).await.err(),
        Err(_) => None,
    };
    let limit = registries.rate_limits().into_values().next();
    let error = error.filter(|error| *error.reason() != Reason::RepositoryNotFound && limit.is_none());
    Ok(Quota::new(host, limit, error.map(|error| args.access.explain(error).message)))
}

impl Quota {
    fn new(host: &RegistryHost, limit: Option<RateLimit>, error: Option<String>) -> Self {
        Self {
            registry: host.to_string(),
            remaining: limit.map(|limit| limit.remaining),
            limit: limit.and_then(|limit| limit.limit),
            window_seconds: limit.map(|limit| limit.window.as_secs()),
            error,
        }
    }
}

fn table(quotas: &[Quota]) -> Table {
    let mut table = Table::new(["REGISTRY", "REMAINING", "LIMIT", "WINDOW", "MESSAGE"]);
    for quota in quotas {
        let unknown = if quota.error.is_some() { "<unknown>" } else { "<none>" };
        let or_unknown = |text: Option<String>| text.unwrap_or_else(|| unknown.to_owned());
        let message = match (&quota.error, quota.remaining) {
            (Some(error), _) => error.clone(),
            (None, None) => "it reports no quota".to_owned(),
            (None, Some(_)) => String::new(),
        };
        let window = quota.window_seconds.and_then(|seconds| i64::try_from(seconds).ok());
        table.row([
            quota.registry.clone(),
            or_unknown(quota.remaining.map(|n| n.to_string())),
            or_unknown(quota.limit.map(|n| n.to_string())),
            or_unknown(window.map(human)),
            message,
        ]);
    }
    table
}
