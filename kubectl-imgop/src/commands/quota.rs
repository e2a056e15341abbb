//! `kubectl imgop quota`.

use std::collections::BTreeMap;

use clap::Args;
use imgop_core::api::{Image, Side};
use imgop_core::copy::CopyRequest;
use imgop_core::default_destination::as_reported;
use imgop_registry::reference::{ManifestRef, Reference, RegistryHost, Repository};
use imgop_registry::{RateLimit, Reason};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::reference_problem;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{AnsweringCluster, Cluster, ConnectionArgs};
use crate::kinds::{Erased, read};
use crate::output::Ui;
use crate::output::age::human;
use crate::output::documents::PrintedArgs;
use crate::output::table::Table;
use crate::registry::local_access::{AccessSources, Endpoint};
use crate::registry::one_repository::OneRepositoryArgs;
use crate::registry::registries;

/// The version of the document.
const API_VERSION: &str = "imgop.quota/v1";
/// The repository that Docker names for this question (Docker documentation, "Pull usage and limits").
const DOCKER_HUB_PREVIEW: &str = "docker.io/ratelimitpreview/test";

/// Show how many pulls registries still allow
///
/// Each registry is asked by one HEAD, which counts as no pull. Without REPOSITORY the registries of the Images in
/// the namespace are asked, each as one of its Images reaches it: with the Secret that it names, if there is one and
/// this user may read it, else with the credentials of this machine. Of the public registries only Docker Hub
/// reports a quota.
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

/// A repository whose registry is asked.
struct Asked {
    repository: Repository,
    /// The Image that reaches it, and the side, unless a user named it.
    image: Option<(Image, Side)>,
}

/// Shows quotas.
pub async fn run(ui: Ui, args: &QuotaArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let (asked, cluster) = match args.repositories.as_slice() {
        [] => {
            let without = "to ask a registry without a cluster: kubectl imgop quota REPOSITORY";
            let cluster = connection.connect().await.map_err(|error| error.hinted(without.to_owned()))?;
            (of_images(&cluster).await?, Ok(cluster))
        }
        named => (of_arguments(named)?, Err("no cluster is asked".to_owned())),
    };
    if asked.is_empty() {
        ui.note("No Image in this namespace uses a registry; name a repository.");
        return Ok(Outcome::Done);
    }
    let (local, flags) = (args.access.credentials()?, args.access.of_both_sides());
    let cluster = AnsweringCluster::new(cluster);
    let sources = AccessSources { ui, cluster: &cluster, local: &local, flags: &flags };
    let mut quotas = Vec::new();
    for (host, asked) in asked {
        quotas.push(quota(args, &sources, &host, &asked).await?);
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

/// Returns one repository for each registry that Images of the namespace use. One with a Secret comes first: that is
/// whose quota counts.
async fn of_images(cluster: &Cluster) -> Result<BTreeMap<RegistryHost, Asked>, CliError> {
    let images = cluster.list(Erased::<Image>::REF, false, None).await?;
    let mut all: Vec<Asked> = Vec::new();
    for image in images.iter().filter_map(|found| read::<Image>(&found.object).ok()) {
        let image = as_reported(image);
        let Ok(request) = CopyRequest::parse(&image.spec) else { continue };
        for (side, repository) in [(Side::Source, request.source), (Side::Destination, request.destination)] {
            all.push(Asked { repository, image: Some((image.clone(), side)) });
        }
    }
    all.sort_by_key(|asked| {
        let credentials = |(image, side): &(Image, Side)| image.spec.endpoint(*side).credentials.is_some();
        !asked.image.as_ref().is_some_and(credentials)
    });
    Ok(by_host(all.into_iter()))
}

fn of_arguments(texts: &[String]) -> Result<BTreeMap<RegistryHost, Asked>, CliError> {
    let parsed = texts.iter().map(|text| {
        let usage = |why: String| CliError::usage(format!("REPOSITORY: {why}"));
        reference_problem(text).map_or(Ok(()), |problem| Err(usage(problem)))?;
        let reference = text.parse::<Reference>();
        let asked = |reference: Reference| Asked { repository: reference.repository, image: None };
        reference.map(asked).map_err(|error| usage(error.to_string()))
    });
    Ok(by_host(parsed.collect::<Result<Vec<_>, _>>()?.into_iter()))
}

fn by_host(all: impl Iterator<Item = Asked>) -> BTreeMap<RegistryHost, Asked> {
    let mut by_host = BTreeMap::new();
    for asked in all {
        by_host.entry(asked.repository.host().clone()).or_insert(asked);
    }
    by_host
}

/// Asks one registry. A repository that does not exist, or has no such tag, is no error: the registry's quota
/// stands in every response.
async fn quota(
    args: &QuotaArgs,
    sources: &AccessSources<'_>,
    host: &RegistryHost,
    asked: &Asked,
) -> Result<Quota, CliError> {
    let repository = match host.as_str() {
        "docker.io" => DOCKER_HUB_PREVIEW.parse().unwrap_or_else(|_| asked.repository.clone()),
        _ => asked.repository.clone(),
    };
    // Of its own, so that what it has heard of limits is of this registry.
    let registries = registries(true)?;
    let client = match &asked.image {
        None => args.access.client(sources.ui, &registries, sources.local, &repository).await?,
        Some((image, side)) => {
            let spec = image.spec.endpoint(*side);
            let namespace = image.metadata.namespace.as_deref();
            let tls_flag = args.access.tls();
            // A Secret may be for this repository alone, not for the one that tells the quota.
            let endpoint = Endpoint {
                side: *side,
                namespace,
                repository: &asked.repository,
                spec,
                tls_flag,
                is_of_cluster: true,
            };
            match sources.reach(endpoint).await {
                // Whoever writes Images must not choose how a login of this machine is sent.
                Ok(reached) if !reached.origin.is_of_secret && reached.access.credential.is_some() => {
                    args.access.client(sources.ui, &registries, sources.local, &repository).await?
                }
                Ok(reached) => registries.repository(&repository, &reached.access),
                Err(error) => return Ok(Quota::new(host, None, Some(error.message))),
            }
        }
    };
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
