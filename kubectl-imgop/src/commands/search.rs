//! `kubectl imgop search`.

use clap::Args;
use futures::future::join_all;
use imgop_registry::reference::RegistryHost;
use imgop_registry::{FoundRepository, Registries};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::PrintedArgs;
use crate::output::table::Table;
use crate::registry::settings;

/// The version of the document.
const API_VERSION: &str = "imgop.search/v1";

/// Search Docker Hub, Quay and ECR Public for repositories
///
/// Each registry sorts by how well a repository fits. No credential is sent and no pull is counted.
#[derive(Debug, Args)]
#[command(
    visible_alias = "find",
    after_help = "Examples:\n  \
    kubectl imgop search argocd\n  \
    kubectl imgop search nginx --registry docker.io --limit 5"
)]
pub struct SearchArgs {
    /// Words to search for
    #[arg(value_name = "TERM", required = true)]
    terms: Vec<String>,

    /// Search only this registry: docker.io, quay.io or public.ecr.aws; may be given several times
    #[arg(long, value_name = "REGISTRY")]
    registry: Vec<RegistryHost>,

    /// How many repositories of each registry to list, 1 to 100
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    limit: u8,

    /// Address of a registry's API, such as quay.io=https://quay.example.com/
    #[arg(long, hide = true, value_name = "REGISTRY=URL", value_parser = parse_api)]
    search_api: Vec<(RegistryHost, String)>,

    #[command(flatten)]
    printed: PrintedArgs,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.search/v1")]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The version of the document.
    api_version: &'static str,
    /// The repositories, those of each registry by how well they fit.
    repositories: Vec<Listed>,
}

/// One repository.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// The repository with its registry.
    repository: String,
    /// What its owner says of it.
    description: String,
    /// How many users like it, where the registry counts that.
    #[serde(skip_serializing_if = "Option::is_none")]
    stars: Option<u64>,
    /// How often it was pulled, where the registry counts that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pulls: Option<u64>,
    /// Whether the registry vouches for its owner.
    official: bool,
}

/// Searches registries, all at once. One that fails is a warning, unless all do.
pub async fn run(ui: Ui, args: &SearchArgs) -> Result<Outcome, CliError> {
    let mut settings = settings()?;
    for (registry, base) in &args.search_api {
        if let Some(api) = settings.bulk_apis.get_mut(registry) {
            api.base.clone_from(base);
        }
    }
    let hosts: Vec<RegistryHost> = match args.registry.as_slice() {
        [] => settings.bulk_apis.keys().cloned().collect(),
        named => named.to_vec(),
    };
    let (registries, term) = (Registries::new(settings), args.terms.join(" "));
    let searches = hosts.iter().map(|host| registries.search(host, &term, args.limit.into()));
    let (mut repositories, mut errors) = (Vec::new(), Vec::new());
    for found in join_all(searches).await {
        match found {
            Ok(found) => repositories.extend(found.into_iter().map(Listed::from)),
            Err(error) => errors.push(CliError::failed(error.to_string())),
        }
    }
    if errors.len() == hosts.len()
        && let Some(last) = errors.pop()
    {
        for error in &errors {
            ui.error(error);
        }
        return Err(last);
    }
    for error in &errors {
        ui.warned(error);
    }
    print(ui, args, &Found { api_version: API_VERSION, repositories })?;
    Ok(Outcome::Done)
}

fn print(ui: Ui, args: &SearchArgs, found: &Found) -> Result<(), CliError> {
    if let Some(format) = args.printed.output {
        return format.print(ui, found);
    }
    if found.repositories.is_empty() {
        ui.note(&format!("No repository found for {}.", args.terms.join(" ")));
        return Ok(());
    }
    ui.wrapped_table(&table(&found.repositories), !args.printed.no_headers)
}

fn table(repositories: &[Listed]) -> Table {
    let mut table = Table::new(["REPOSITORY", "STARS", "PULLS", "OFFICIAL", "DESCRIPTION"]);
    let number = |n: Option<u64>| n.map_or_else(|| "<none>".to_owned(), |n| n.to_string());
    for found in repositories {
        let official = if found.official { "yes" } else { "no" };
        table.row([
            found.repository.clone(),
            number(found.stars),
            number(found.pulls),
            official.to_owned(),
            found.description.clone(),
        ]);
    }
    table
}

impl From<FoundRepository> for Listed {
    fn from(found: FoundRepository) -> Self {
        let FoundRepository { repository, description, stars, pulls, is_official } = found;
        Self { repository: repository.to_string(), description, stars, pulls, official: is_official }
    }
}

fn parse_api(text: &str) -> Result<(RegistryHost, String), String> {
    let (registry, url) = text.split_once('=').ok_or("write REGISTRY=URL")?;
    let registry = registry.parse().map_err(|_| "write REGISTRY=URL")?;
    Ok((registry, url.to_owned()))
}
