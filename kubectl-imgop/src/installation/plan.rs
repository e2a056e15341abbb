//! What an apply would change: the API server works it out, and stores nothing.

use std::fmt::Write as _;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::DynamicObject;
use serde_json::Value;

use super::keeper::{Keeper, Verb};
use super::port::check_port;
use super::variables::check_variables;
use super::{FIELD_MANAGER, Installed};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::manifests::account::keep_account;
use crate::manifests::choices::Choices;
use crate::manifests::crd_skew::CrdSkew;
use crate::manifests::differences::{Difference, differences};
use crate::manifests::kept::{Kept, keep};
use crate::manifests::{Manifest, qualified, shipped};

/// How many objects are asked for at once.
const CONCURRENT: usize = 8;
/// How many fields of an object, or of a CRD, are shown.
const MAX_SHOWN: usize = 12;

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is created.
    Create,
    /// These fields change.
    Configure(Vec<Difference>),
    /// It is as it should be.
    Unchanged,
}

/// An object of the installation, and what becomes of it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The object as it should be.
    pub manifest: Manifest,
    /// What becomes of it.
    pub change: Change,
    /// Which CRD knows more, if it is one that is there.
    pub skew: Option<CrdSkew>,
}

/// What an installation or an upgrade does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its objects, in the order in which they are applied.
    pub steps: Vec<Step>,
    /// What stays as an administrator has set it.
    pub kept: Vec<Kept>,
    /// What an earlier version had and this one has not.
    pub obsolete: Vec<Manifest>,
}

impl Plan {
    /// Works out what these choices change in a cluster.
    ///
    /// # Errors
    /// If another program manages the installation, or has set what is to be set.
    pub async fn new(
        cluster: &Cluster,
        choices: &Choices,
        installed: Option<&Installed>,
    ) -> Result<Self, CliError> {
        let mut manifests = choices.applied(shipped()?)?;
        let kept =
            installed.map(|installed| keep_set(cluster, &mut manifests, installed, choices)).transpose()?;
        let steps = manifests.iter().cloned().map(|manifest| step(cluster, manifest));
        let steps: Vec<Option<Step>> = stream::iter(steps).buffered(CONCURRENT).try_collect().await?;
        let obsolete = obsolete(cluster, &manifests).await?;
        let (steps, kept) = (steps.into_iter().flatten().collect(), kept.unwrap_or_default());
        Ok(Self { steps, kept, obsolete })
    }

    /// Returns whether everything is as it should be.
    pub fn is_empty(&self) -> bool {
        self.obsolete.is_empty() && self.steps.iter().all(|step| step.change == Change::Unchanged)
    }

    /// Returns whether what is there is of another version, whatever the agent's image says of itself: objects differ that
    /// no administrator has reason to change.
    pub fn is_of_other_version(&self) -> bool {
        let differs = |step: &Step| {
            let is_bound = step.manifest.resource.kind.ends_with("Binding");
            !is_bound && !step.manifest.is("Deployment") && matches!(step.change, Change::Configure(_))
        };
        !self.obsolete.is_empty() || self.steps.iter().any(differs)
    }

    /// Returns the CRDs that would lose something.
    pub fn downgrades(&self) -> Vec<String> {
        let is_downgrade = |step: &&Step| step.skew.as_ref().is_some_and(CrdSkew::is_downgrade);
        self.steps.iter().filter(is_downgrade).map(|step| step.manifest.name.clone()).collect()
    }

    /// Returns what changes, in lines for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let name = step.manifest.qualified();
            match &step.change {
                Change::Unchanged => {}
                Change::Create => {
                    let _ = writeln!(text, "create  {name}");
                }
                Change::Configure(fields) => {
                    let _ = writeln!(text, "change  {name}");
                    text.push_str(&step.details(fields));
                }
            }
        }
        for object in &self.obsolete {
            let _ = writeln!(text, "delete  {}: this version has none", object.qualified());
        }
        for Kept { what, value } in &self.kept {
            let _ = writeln!(text, "keep    {what}: {value}");
        }
        text
    }
}

impl Step {
    /// Returns the fields that change. Of a CRD those that its objects have more or less.
    fn details(&self, fields: &[Difference]) -> String {
        let lines: Vec<String> = match &self.skew {
            Some(skew) if *skew != CrdSkew::default() => {
                let added = skew.only_shipped.iter().map(|field| format!("new: {field}"));
                let lost = skew.only_live.iter().map(|field| format!("LOST: {field}"));
                let rules = skew.only_live.is_empty() && skew.only_shipped.is_empty();
                lost.chain(added).chain(rules.then(|| "rules or descriptions".to_owned())).collect()
            }
            _ => fields.iter().map(Difference::to_string).collect(),
        };
        let mut text = String::new();
        for line in lines.iter().take(MAX_SHOWN) {
            let _ = writeln!(text, "          {line}");
        }
        if lines.len() > MAX_SHOWN {
            let _ = writeln!(text, "          and {} more", lines.len() - MAX_SHOWN);
        }
        text
    }
}

/// Puts what an administrator has set into the manifests.
fn keep_set(
    cluster: &Cluster,
    manifests: &mut [Manifest],
    installed: &Installed,
    choices: &Choices,
) -> Result<Vec<Kept>, CliError> {
    let live = serde_json::to_value(&installed.deployment).unwrap_or_default();
    let mut kept = Vec::new();
    for manifest in manifests.iter_mut().filter(|manifest| manifest.is("Deployment")) {
        kept.extend(keep(manifest, &live, choices));
        check_variables(manifest, &live, &cluster.flags)?;
        check_port(manifest, &live, &cluster.flags)?;
    }
    kept.extend(keep_account(manifests, &live));
    Ok(kept)
}

/// Returns what becomes of an object; none of a namespace that was there before imgop, which stays as it is.
async fn step(cluster: &Cluster, manifest: Manifest) -> Result<Option<Step>, CliError> {
    let Some(live) = cluster.live(&manifest).await? else {
        return Ok(Some(Step { manifest, change: Change::Create, skew: None }));
    };
    if manifest.is("Namespace") && !is_ours(&live) {
        return Ok(None);
    }
    if let Some(keeper) = Keeper::in_charge(cluster, &live.metadata).await? {
        return Err(keeper.refusal(Verb::Apply));
    }
    let applied = patch(cluster, &manifest, true).await?;
    let [before, after] = [&live, &applied].map(|object| serde_json::to_value(object).unwrap_or_default());
    let fields = differences(&before, &after);
    let skew = manifest.is("CustomResourceDefinition").then(|| CrdSkew::between(&before, &manifest.body));
    let change = if fields.is_empty() { Change::Unchanged } else { Change::Configure(fields) };
    Ok(Some(Step { manifest, change, skew }))
}

/// Returns whether an object carries imgop's label.
pub fn is_ours(object: &DynamicObject) -> bool {
    let label = object.metadata.labels.as_ref().and_then(|labels| labels.get(imgop_core::api::PART_OF_LABEL));
    label.is_some_and(|value| value == imgop_core::api::MANAGED_BY)
}

/// Applies an object. What other managers have set of its fields is taken over: the plan has shown it.
pub async fn patch(cluster: &Cluster, manifest: &Manifest, dry_run: bool) -> Result<DynamicObject, CliError> {
    patch_by(FIELD_MANAGER, cluster, manifest, dry_run).await
}

/// Applies an object likewise, as a field manager: what has another one is not what an installation consists of.
pub async fn patch_by(
    field_manager: &str,
    cluster: &Cluster,
    manifest: &Manifest,
    dry_run: bool,
) -> Result<DynamicObject, CliError> {
    let params = PatchParams {
        dry_run,
        force: true,
        field_manager: Some(field_manager.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
    };
    let objects = cluster.resources(&manifest.resource, manifest.namespace.as_deref());
    let patched = objects.patch(&manifest.name, &params, &Patch::Apply(&manifest.body)).await;
    patched.map_err(|error| cluster.explain_manifest("patch", manifest, &error))
}

/// Returns what an earlier version of this program has installed, and this one has not. What people made themselves has
/// another manager, though it may have imgop's label.
pub async fn obsolete(cluster: &Cluster, manifests: &[Manifest]) -> Result<Vec<Manifest>, CliError> {
    let mut found: Vec<Manifest> = Vec::new();
    let mut seen = Vec::new();
    for manifest in manifests {
        // Whole namespaces and kinds go with an uninstallation alone.
        let place = (manifest.resource.clone(), manifest.namespace.clone());
        if manifest.is("Namespace") || manifest.is("CustomResourceDefinition") || seen.contains(&place) {
            continue;
        }
        for object in cluster.labeled(&manifest.resource, manifest.namespace.as_deref()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            let is_named = |other: &Manifest| {
                other.resource == manifest.resource
                    && other.name == name
                    && other.namespace == manifest.namespace
            };
            if is_installed(&object) && !manifests.iter().any(is_named) {
                let (resource, namespace) = (manifest.resource.clone(), manifest.namespace.clone());
                found.push(Manifest { resource, name, namespace, body: Value::Null });
            }
        }
        seen.push(place);
    }
    Ok(found)
}

/// Returns whether this program has installed an object.
pub fn is_installed(object: &DynamicObject) -> bool {
    let managers = object.metadata.managed_fields.iter().flatten();
    managers.filter_map(|entry| entry.manager.as_deref()).any(|manager| manager == FIELD_MANAGER)
}

/// Returns a line for what was done with an object.
pub fn done(manifest: &Manifest, what: &str, remark: &str) -> String {
    format!("{} {what}{remark}", qualified(&manifest.resource, &manifest.name))
}
