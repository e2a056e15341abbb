//! What becomes of each image that workloads use.

use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{Image, ImageStatus, MirrorFailure, WorkloadMode};
use imgop_core::selection::SourceRef;
use imgop_core::workloads::{ImageUser, NotMirrored, Outcome, PathError, Plan, Use};
use imgop_registry::reference::{Digest, Repository};
use schemars::JsonSchema;
use serde::Serialize;

use super::Mirrored;
use super::pulled::Pulled;
use crate::kinds::workload_mirror::message_of;

/// The version of the document.
const API_VERSION: &str = "imgop.workloads/v1";

/// What WorkloadMirrors make of what workloads use.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.workloads/v1")]
#[serde(rename_all = "camelCase")]
pub struct UsedImages {
    /// The version of the document.
    api_version: &'static str,
    /// Each image and each tag that it becomes, sorted.
    pub images: Vec<Row>,
}

/// An image that workloads use, and one tag that it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The WorkloadMirror.
    pub mirror: String,
    /// The image, as it is named.
    pub image: String,
    /// What pods report that they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// Who uses it, as namespace/kind/name.
    pub used_by: Vec<String>,
    /// The reference at the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// What became of it.
    pub state: State,
    /// Why it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The agent has found it at the destination.
    Synced,
    /// An Image is to copy it.
    Copying,
    /// It could not be copied, or mode Observe could not look at it, or pods cannot pull it and no origin has it.
    Failed,
    /// No Image copies it yet.
    Planned,
    /// It waits until a pod reports what it runs, until its platforms are read, or until an origin has what pods cannot pull.
    Waiting,
    /// It is not mirrored on purpose.
    Excluded,
    /// It cannot be mirrored.
    Refused,
}

impl State {
    /// Returns it as tables have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Copying => "copying",
            Self::Failed => "failed",
            Self::Planned => "planned",
            Self::Waiting => "waiting",
            Self::Excluded => "excluded",
            Self::Refused => "refused",
        }
    }
}

impl UsedImages {
    /// Returns the document of these rows.
    pub fn new(images: Vec<Row>) -> Self {
        Self { api_version: API_VERSION, images }
    }
}

/// A row as people see it: a template names an image, and its pods report one digest or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRow {
    /// The row, with all who use it and no digest.
    pub row: Row,
    /// What pods report that they run.
    pub digests: Vec<Digest>,
}

/// Joins rows that differ only in who uses the image and in what pods run of it. They come sorted by their images.
pub fn shown(rows: Vec<Row>) -> Vec<ShownRow> {
    let mut all: Vec<ShownRow> = Vec::new();
    for mut row in rows {
        let digest = row.digest.take();
        let of_image =
            |(_, shown): &(usize, &ShownRow)| shown.row.image == row.image && shown.row.mirror == row.mirror;
        let is_same = |(_, shown): &(usize, &ShownRow)| {
            let Row { destination, state, why_not, .. } = &shown.row;
            (destination, state, why_not) == (&row.destination, &row.state, &row.why_not)
        };
        let same = all.iter().enumerate().rev().take_while(of_image).find(is_same).map(|(place, _)| place);
        match same.and_then(|place| all.get_mut(place)) {
            Some(shown) => {
                shown.row.used_by.append(&mut row.used_by);
                shown.row.used_by.sort();
                shown.row.used_by.dedup();
                shown.digests.extend(digest);
            }
            None => all.push(ShownRow { row, digests: digest.into_iter().collect() }),
        }
    }
    all
}

impl Mirrored {
    /// Returns what becomes of each image.
    pub fn rows(&self, plan: &Plan<'_>) -> Vec<Row> {
        plan.uses.iter().flat_map(|one| self.rows_of(one, plan)).collect()
    }

    fn rows_of(&self, one: &Use<'_>, plan: &Plan<'_>) -> Vec<Row> {
        let row = |destination: Option<String>, state: State, why_not: Option<String>| Row {
            mirror: self.name.clone(),
            image: one.image.reference.to_string(),
            digest: one.image.digest.clone(),
            used_by: users(one),
            destination,
            state,
            why_not,
        };
        match &one.outcome {
            Outcome::NotMirrored(why) => {
                let image = &one.image.reference;
                let pulled = self.pulled(image, why);
                vec![match pulled {
                    Some(Pulled { destination, state, why_not }) => row(destination, state, why_not),
                    None => row(None, state_of(why), Some(why.to_string())),
                }]
            }
            Outcome::Mirrored(places) => {
                let places = places.iter().map(|(place, what)| {
                    let (state, why_not) = self.state(place, what, plan);
                    let tag = what.name().map(ToString::to_string).unwrap_or_default();
                    row(Some(format!("{place}:{tag}")), state, why_not)
                });
                places.collect()
            }
        }
    }

    /// Returns what the Image says that copies a tag.
    fn state(&self, place: &Repository, what: &SourceRef, plan: &Plan<'_>) -> (State, Option<String>) {
        let copies =
            plan.children.iter().find(|child| child.destination == *place && child.tags.contains(what));
        let image = copies.and_then(|child| self.seen.images.get(&child.name));
        match image.filter(|image| image.spec.source.tags.contains(&what.to_string())) {
            Some(image) => of_image(image, what),
            None => {
                copies.and_then(|child| self.failure(&child.name, what)).unwrap_or((State::Planned, None))
            }
        }
    }

    /// Returns what the mirror says of a tag of which there is no Image: in mode Observe, what a look at it came to.
    fn failure(&self, child: &str, what: &SourceRef) -> Option<(State, Option<String>)> {
        let is_meant = |failure: &&MirrorFailure| {
            failure.image == child && failure.tag.as_ref().is_none_or(|tag| names(what, tag))
        };
        let reason = &self.failing.iter().find(is_meant)?.reason;
        let why = if self.request.spec().mode == WorkloadMode::Observe {
            let (message, name, place) = (message_of(reason), &self.name, &self.place);
            format!("{reason}: {message}; kubectl imgop preview workloadmirror/{name}{place} asks both")
        } else {
            reason.clone()
        };
        Some((State::Failed, Some(why)))
    }
}

/// Returns what an Image says of a tag.
pub(super) fn of_image(image: &Image, what: &SourceRef) -> (State, Option<String>) {
    let Some(status) = &image.status else { return (State::Copying, None) };
    let is_current = status.observed_generation == image.metadata.generation;
    let failure = status.failures.iter().find(|failure| names(what, &failure.tag));
    if let Some(failure) = failure.filter(|_| is_current) {
        return (State::Failed, Some(failure.message.clone()));
    }
    let ready = find(&status.conditions, READY);
    let is_there = ready.is_some_and(|ready| ready.status == "True") || all_others_failed(status);
    match (is_current && is_there, ready) {
        (true, _) => (State::Synced, None),
        (false, Some(ready)) if is_current => (State::Copying, Some(ready.message.clone())),
        (false, _) => (State::Copying, None),
    }
}

/// Whether each tag that is not there has failed and is named: then all the others are there.
fn all_others_failed(status: &ImageStatus) -> bool {
    let named = u32::try_from(status.failures.len()).unwrap_or(u32::MAX);
    status
        .counts
        .is_some_and(|counts| counts.failed == named && counts.synced + counts.failed == counts.matched)
}

/// Whether a status means this by a tag.
fn names(what: &SourceRef, tag: &str) -> bool {
    what.to_string() == tag || what.name().is_some_and(|name| name.as_str() == tag)
}

fn state_of(why: &NotMirrored) -> State {
    match why {
        NotMirrored::Excluded(_) | NotMirrored::OnPullFailure => State::Excluded,
        NotMirrored::WaitingForDigest | NotMirrored::Unplaced(PathError::UnknownArchitectures) => {
            State::Waiting
        }
        NotMirrored::Unplaced(_) | NotMirrored::Contested { .. } | NotMirrored::TooManyImages(_) => {
            State::Refused
        }
    }
}

/// Returns who uses an image, each workload once.
fn users(one: &Use<'_>) -> Vec<String> {
    let user = |user: &ImageUser| format!("{}/{}/{}", user.namespace, user.kind.to_lowercase(), user.name);
    let mut users: Vec<String> = one.image.users.keys().map(user).collect();
    users.sort();
    users.dedup();
    users
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workloads::testing::mirrored;

    fn row(image: &str, digest: Option<&str>, user: &str, state: State) -> Row {
        Row {
            mirror: "cluster".to_owned(),
            image: image.to_owned(),
            digest: digest.map(|content| Digest::of(content.as_bytes())),
            used_by: vec![user.to_owned()],
            destination: Some(format!("mirror/{image}")),
            state,
            why_not: None,
        }
    }

    #[test]
    fn the_command_that_asks_both_registries_leads_to_the_mirrors_own_place() {
        let mut mirror = mirrored(json!({ "mode": "Observe" }));
        let (image, reason) = ("web".to_owned(), "RegistryUnreachable".to_owned());
        mirror.failing.push(MirrorFailure { image, reason, tag: None });
        let (_, why) = mirror.failure("web", &"1".parse().unwrap()).unwrap();
        let command = "; kubectl imgop preview workloadmirror/cluster -n ci --context there asks both";
        assert!(why.as_ref().is_some_and(|why| why.ends_with(command)), "{why:?}");
    }

    #[test]
    fn what_a_template_names_and_its_pods_run_is_one_row_unless_different_things_become_of_it() {
        let rows = vec![
            row("a", None, "ci/deployment/web", State::Planned),
            row("a", Some("old"), "ci/deployment/web", State::Synced),
            row("a", Some("new"), "ci/deployment/api", State::Planned),
            row("b", None, "ci/deployment/web", State::Planned),
        ];
        let words = |shown: &ShownRow| {
            let Row { image, used_by, state, .. } = &shown.row;
            format!("{image} {} {} {}", used_by.join(","), state.word(), shown.digests.len())
        };
        let shown: Vec<String> = shown(rows).iter().map(words).collect();
        let web = "ci/deployment/web";
        assert_eq!(
            shown,
            [
                format!("a ci/deployment/api,{web} planned 1"),
                format!("a {web} synced 1"),
                format!("b {web} planned 0"),
            ]
        );
    }
}
