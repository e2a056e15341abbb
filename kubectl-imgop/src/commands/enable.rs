//! `kubectl imgop enable`.

use std::collections::BTreeMap;

use clap::Args;
use kube::ResourceExt as _;
use kube::api::ListParams;
use schemars::JsonSchema;
use serde::Serialize;

use super::enabling::{AgentArgs, FeatureArgs, missing_namespace};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::installation::ENABLING_MANAGER;
use crate::installation::enabled::{
    Account, Binding, Feature, bindings, by_namespace, copies_images, reads_secrets,
};
use crate::installation::keeper::{Keeper, Verb};
use crate::installation::plan::patch_by;
use crate::kinds::object_name::parse_namespace;
use crate::kinds::{KINDS, KindRef};
use crate::output::Ui;
use crate::output::documents::PrintedArgs;
use crate::output::table::Table;
use crate::output::text::count;

/// The version of the document that `--list` prints.
const API_VERSION: &str = "imgop.enable/v1";

/// Let the agent work in namespaces, or show in which it may
///
/// The agent copies and builds nothing in a namespace until an administrator binds its roles there: a RoleBinding for each
/// thing that the namespace is enabled for. What each role grants is printed. kubectl imgop disable takes it back.
///
/// Images can be copied in every namespace that is enabled. Where none of them names a Secret, since its registries are open
/// or lent by a RegistryAccess, --without-secrets keeps the agent from reading any there. --builds lets ImageBuilders be built there too, and --aws lets
/// Images use the agent's own AWS identity; both are more than most namespaces need, and it is said why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    Copy Images in two namespaces:\n    \
    kubectl imgop enable team-a team-b\n  \
    Only Images that name no Secret:\n    \
    kubectl imgop enable team-a --without-secrets\n  \
    Build there too:\n    \
    kubectl imgop enable team-a --builds\n  \
    Which namespaces are enabled for what, and which have resources and are not:\n    \
    kubectl imgop enable --list")]
pub struct EnableArgs {
    /// Namespaces to enable
    #[arg(value_name = "NAMESPACE", value_parser = parse_namespace, conflicts_with = "list")]
    namespaces: Vec<String>,

    #[command(flatten)]
    features: FeatureArgs,

    /// Only copies of Images that name no Secret: the agent may read none there
    #[arg(long, conflicts_with = "builds")]
    without_secrets: bool,

    /// List the namespaces that are enabled; with -n that namespace alone
    #[arg(long)]
    list: bool,

    /// Show what would be created, and create nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    agent: AgentArgs,

    #[command(flatten)]
    printed: PrintedArgs,
}

/// What `--list -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.enable/v1")]
#[serde(rename_all = "camelCase")]
pub struct EnabledNamespaces {
    /// The version of the document.
    api_version: &'static str,
    /// The namespaces that are enabled for something, or have resources.
    namespaces: Vec<EnabledNamespace>,
}

/// A namespace, and what the agent may do there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a line of a document: what a namespace is enabled for, one by one"
)]
struct EnabledNamespace {
    /// Its name; * stands for all namespaces, by a ClusterRoleBinding.
    namespace: String,
    /// Whether Images are copied there.
    images: bool,
    /// Whether the agent may read the Secrets that they name.
    secrets: bool,
    /// Whether ImageBuilders are built there.
    builds: bool,
    /// Whether Images may use the agent's AWS identity there.
    aws: bool,
    /// How many Images are there.
    number_of_images: usize,
    /// How many ImageBuilders are there.
    number_of_image_builders: usize,
    /// How many ImageMirrors are there.
    number_of_image_mirrors: usize,
    /// How many WorkloadMirrors are there.
    number_of_workload_mirrors: usize,
}

/// How many objects of each of [`KINDS`] namespaces have.
type Numbers = BTreeMap<String, [usize; KINDS.len()]>;

/// Enables namespaces, or lists those that are.
pub async fn run(ui: Ui, args: &EnableArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    if args.list {
        let cluster = connection.connect().await?;
        return list(ui, args, &cluster, connection.namespace.as_deref()).await;
    }
    if args.printed.output.is_some() {
        return Err(CliError::usage("-o goes with --list"));
    }
    let namespaces =
        if args.namespaces.is_empty() { connection.namespace.as_slice() } else { &args.namespaces };
    if namespaces.is_empty() {
        return Err(
            missing_namespace("enable").hinted("kubectl imgop enable --list shows those that are enabled")
        );
    }
    let cluster = connection.connect().await?;
    let account = args.agent.account(ui, &cluster).await?;
    let features = args.features.with(args.copies());
    let mut enabled: Vec<Feature> = Vec::new();
    for namespace in namespaces {
        let place = cluster.in_namespace(Some(namespace));
        enabled.extend(enable(ui, &place, &account, &features, args.dry_run).await?);
    }
    enabled.sort();
    enabled.dedup();
    explain(ui, &account, &enabled)?;
    Ok(Outcome::Done)
}

impl EnableArgs {
    /// Returns what every namespace is enabled for.
    fn copies(&self) -> Feature {
        if self.without_secrets { Feature::ImagesWithoutSecrets } else { Feature::Images }
    }
}

/// Returns an error if a namespace has more than is asked for: a verb that enables takes nothing back.
fn check_secrets(cluster: &Cluster, found: &[Binding]) -> Result<(), CliError> {
    let features: Vec<Feature> = found.iter().map(|binding| binding.feature).collect();
    if !reads_secrets(&features) {
        return Ok(());
    }
    let namespace = &cluster.namespace;
    let message = format!("--without-secrets: the agent may read Secrets in namespace {namespace} already");
    Err(CliError::failed(message)
        .hinted(format!("to take that back first: kubectl imgop disable {namespace}{}", cluster.flags)))
}

/// Enables the namespace of the cluster. Returns what it was not enabled for before.
async fn enable(
    ui: Ui,
    cluster: &Cluster,
    account: &Account,
    features: &[Feature],
    is_dry_run: bool,
) -> Result<Vec<Feature>, CliError> {
    cluster.check_namespace().await?;
    let namespace = &cluster.namespace;
    let found = bindings(cluster, account, Some(namespace)).await?;
    if features.contains(&Feature::ImagesWithoutSecrets) {
        check_secrets(cluster, &found)?;
    }
    let mut enabled = Vec::new();
    for feature in features {
        let title = feature.title();
        if found.iter().any(|binding| binding.feature == *feature) {
            ui.data(&format!("namespace {namespace}: {title} unchanged"))?;
            continue;
        }
        let Some(mut manifest) = account.binding(*feature, namespace) else { continue };
        if let Some(live) = cluster.live(&manifest).await? {
            if let Some(keeper) = Keeper::in_charge(cluster, &live.metadata).await? {
                return Err(keeper.refusal(Verb::Apply));
            }
            let role =
                live.data.pointer("/roleRef/name").and_then(serde_json::Value::as_str).unwrap_or_default();
            if role != feature.cluster_role() {
                return Err(CliError::failed(format!(
                    "namespace {namespace} has a RoleBinding {} already, of the role {role}",
                    manifest.name
                ))
                .hinted(format!(
                    "kubectl delete rolebinding {}{}",
                    manifest.name,
                    cluster.place()
                )));
            }
            // Others may be bound by it too.
            let ours = manifest.body["subjects"][0].clone();
            let mut subjects = live.data["subjects"].as_array().cloned().unwrap_or_default();
            subjects.push(ours);
            manifest.body["subjects"] = subjects.into();
        }
        patch_by(ENABLING_MANAGER, cluster, &manifest, is_dry_run).await?;
        let remark = if is_dry_run { " (server dry run)" } else { "" };
        ui.data(&format!("namespace {namespace}: {title} enabled{remark}"))?;
        enabled.push(*feature);
    }
    Ok(enabled)
}

/// Says what the agent may do then.
fn explain(ui: Ui, account: &Account, features: &[Feature]) -> Result<(), CliError> {
    for feature in features {
        let rights = feature.rights()?.join("; ");
        ui.note(&format!("For {} {} may there: {rights}", feature.title(), account.user()));
        if let Some(caution) = feature.caution() {
            ui.warning(caution);
        }
    }
    Ok(())
}

async fn list(
    ui: Ui,
    args: &EnableArgs,
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Outcome, CliError> {
    let account = args.agent.account(ui, cluster).await?;
    let found = bindings(cluster, &account, namespace).await?;
    let mut numbers = Numbers::new();
    for (place, kind) in KINDS.into_iter().enumerate() {
        let counted = number(cluster, kind, namespace).await.unwrap_or_else(|error| {
            ui.warning(&format!("{}s are not counted: {}", kind.title(), error.message));
            BTreeMap::new()
        });
        for (owner, objects) in counted {
            if let Some(of_kind) = numbers.entry(owner).or_default().get_mut(place) {
                *of_kind = objects;
            }
        }
    }
    let namespaces = table_of(&found, &numbers);
    match args.printed.output {
        Some(format) => format.print(ui, &EnabledNamespaces { api_version: API_VERSION, namespaces })?,
        None if namespaces.is_empty() => ui.note("No namespace is enabled."),
        None => ui.table(&table(&namespaces), !args.printed.no_headers)?,
    }
    Ok(Outcome::Done)
}

/// Returns how many objects of a kind each namespace has; none where the cluster does not have the kind.
///
/// # Errors
/// If they cannot be listed.
async fn number(
    cluster: &Cluster,
    kind: KindRef,
    namespace: Option<&str>,
) -> Result<BTreeMap<String, usize>, CliError> {
    let (place, is_everywhere) = (cluster.in_namespace(namespace), namespace.is_none());
    let mut numbers = BTreeMap::new();
    let listed = place.objects(kind, is_everywhere).list_metadata(&ListParams::default()).await;
    let objects = match listed {
        Ok(list) => list.items,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(numbers),
        Err(error) => return Err(place.explain_list(kind, "list", is_everywhere, &error)),
    };
    for object in objects {
        *numbers.entry(object.namespace().unwrap_or_default()).or_insert(0) += 1;
    }
    Ok(numbers)
}

/// Returns every namespace that is enabled, or has resources.
fn table_of(bindings: &[Binding], numbers: &Numbers) -> Vec<EnabledNamespace> {
    let mut namespaces = by_namespace(bindings);
    for namespace in numbers.keys() {
        namespaces.entry(namespace.clone()).or_default();
    }
    let everywhere = namespaces.get("*").cloned().unwrap_or_default();
    let row = |(namespace, features): (String, Vec<Feature>)| {
        let features = [features, everywhere.clone()].concat();
        let [images, builders, image_mirrors, workload_mirrors] =
            numbers.get(&namespace).copied().unwrap_or_default();
        EnabledNamespace {
            images: copies_images(&features),
            secrets: reads_secrets(&features),
            builds: features.contains(&Feature::Builds),
            aws: features.contains(&Feature::Aws),
            number_of_images: images,
            number_of_image_builders: builders,
            number_of_image_mirrors: image_mirrors,
            number_of_workload_mirrors: workload_mirrors,
            namespace,
        }
    };
    namespaces.into_iter().map(row).collect()
}

fn table(namespaces: &[EnabledNamespace]) -> Table {
    let mut table = Table::new(["NAMESPACE", "COPIES", "BUILDS", "AWS", "RESOURCES"]);
    for namespace in namespaces {
        let word = |is_enabled: bool| if is_enabled { "enabled" } else { "no" }.to_owned();
        let resources = [
            (namespace.number_of_images, "Image"),
            (namespace.number_of_image_builders, "ImageBuilder"),
            (namespace.number_of_image_mirrors, "ImageMirror"),
            (namespace.number_of_workload_mirrors, "WorkloadMirror"),
        ];
        let resources = resources.into_iter().filter(|(number, _)| *number > 0);
        let resources: Vec<String> = resources.map(|(number, kind)| count(number, kind)).collect();
        table.row([
            namespace.namespace.clone(),
            if namespace.images && !namespace.secrets {
                "without Secrets".to_owned()
            } else {
                word(namespace.images)
            },
            word(namespace.builds),
            word(namespace.aws),
            if resources.is_empty() { "<none>".to_owned() } else { resources.join(", ") },
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_with_resources_that_is_not_enabled_is_listed_too() {
        let binding = |namespace: Option<&str>, feature| Binding {
            namespace: namespace.map(str::to_owned),
            name: "b".to_owned(),
            feature,
            is_shared: false,
        };
        let found = [binding(Some("a"), Feature::Images), binding(Some("a"), Feature::Builds)];
        let numbers = [("a", [2, 0, 1, 0]), ("b", [1, 0, 0, 0]), ("c", [0, 0, 0, 1])];
        let numbers = Numbers::from(numbers.map(|(namespace, numbers)| (namespace.to_owned(), numbers)));
        let shown = |found: &[Binding]| {
            table(&table_of(found, &numbers))
                .lines(true)
                .into_iter()
                .map(|line| line.text)
                .collect::<Vec<_>>()
                .join("\n")
        };
        insta::assert_snapshot!(shown(&found), @"
        NAMESPACE   COPIES    BUILDS    AWS   RESOURCES
        a           enabled   enabled   no    2 Images, 1 ImageMirror
        b           no        no        no    1 Image
        c           no        no        no    1 WorkloadMirror
        ");
        let smaller = shown(&[binding(Some("a"), Feature::ImagesWithoutSecrets)]);
        assert!(smaller.contains("a           without Secrets   no"), "{smaller}");
        let everywhere = [binding(None, Feature::Images)];
        assert!(shown(&everywhere).lines().skip(1).all(|line| line.contains("enabled")));
    }
}
