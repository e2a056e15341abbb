//! Suspends Images with their owner, and resumes them with it.
//!
//! A manager of its own writes that, so that nothing else of the Images changes: whatever it wrote goes when it applies
//! nothing any more, and an Image that a user has suspended too stays so.

use std::collections::HashMap;

use imgop_core::api::conditions::{NewCondition, READY, find, reasons};
use imgop_core::api::{Image, Phase, SUSPENDED_WITH_ANNOTATION};
use imgop_core::readiness::Readiness;
use imgop_core::text::shorten;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::mirrored::Mirrored;
use super::standing::MAX_QUOTED_BYTES;
use super::writes::{MAX_WRITES, RESUMED, SUSPENDED};
use super::{ChildMemory, Children};
use crate::cluster::api_error::{ApiCause, ApiError};

/// What tells whether an Image still has the mark.
#[derive(Deserialize)]
struct Marked {
    metadata: MarkedMetadata,
}

#[derive(Deserialize)]
struct MarkedMetadata {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

impl ChildMemory {
    /// Returns what is reported of an object that is suspended with its Images, whose status has these conditions and this
    /// phase: Ready keeps its status, and its generation, which is returned too.
    pub(crate) fn suspended(
        &self,
        conditions: &[Condition],
        phase: Option<Phase>,
    ) -> (Readiness, Option<i64>) {
        let ready = find(conditions, READY);
        let message = match self.not_suspended() {
            Some(not_suspended) => format!("spec.suspend is set, but {not_suspended}"),
            None => "spec.suspend is set; no Image is changed, and none of them starts a sync".to_owned(),
        };
        let condition = NewCondition {
            type_: READY,
            status: ready.and_then(|ready| ready.status.to_lowercase().parse().ok()),
            reason: reasons::SUSPENDED,
            message,
        };
        let phase = phase.filter(|phase| *phase != Phase::Running).unwrap_or(Phase::Pending);
        let readiness = Readiness { conditions: vec![condition], phase, progress: None };
        (readiness, ready.and_then(|ready| ready.observed_generation))
    }

    /// Returns how many Images the API server did not let be suspended, and why not the first; nothing where it let all of
    /// them. It is known once they were to be.
    pub(crate) fn not_suspended(&self) -> Option<String> {
        let refused = self.refused();
        let (name, refusal) = refused.first()?;
        Some(format!(
            "{} Images could not be suspended (tried again every 30 s): {name}: {}",
            refused.len(),
            shorten(refusal, MAX_QUOTED_BYTES)
        ))
    }
}

impl Children<'_> {
    /// Suspends the Images of an object that is suspended. Nothing else of them is changed. Returns whether there were
    /// any to be suspended.
    pub(crate) async fn suspend(
        &self,
        mirrored: &[Mirrored],
        memory: &mut ChildMemory,
    ) -> Result<bool, ApiError> {
        memory
            .refused
            .retain(|name, refusal| refusal.is_of(SUSPENDED) && mirrored.iter().any(|one| one.name == *name));
        // Whatever they carry when the object is resumed is looked at anew.
        memory.marked_by_others.clear();
        let owner = self.owner.name.as_str();
        let is_open =
            |one: &&Mirrored| !one.is_suspended_with(owner) && !memory.has_sent(&one.name, SUSPENDED);
        let open: Vec<&Mirrored> = mirrored.iter().filter(is_open).collect();
        for one in open.iter().take(MAX_WRITES) {
            let suspended = json!({
                "metadata": { "uid": one.uid, "annotations": { SUSPENDED_WITH_ANNOTATION: owner } },
                "spec": { "suspend": true },
            });
            self.apply_suspension(one, suspended, SUSPENDED, memory).await?;
        }
        Ok(!open.is_empty())
    }

    /// Resumes Images that were suspended with the object. Returns whether there are any.
    pub(crate) async fn resume(
        &self,
        mirrored: &[Mirrored],
        memory: &mut ChildMemory,
    ) -> Result<bool, ApiError> {
        memory.refused.retain(|_, refusal| !refusal.is_of(SUSPENDED));
        let is_open = |one: &&Mirrored| {
            one.suspended_with.is_some()
                && !memory.has_sent(&one.name, RESUMED)
                && !memory.marked_by_others.contains(&one.name)
        };
        let open: Vec<&Mirrored> = mirrored.iter().filter(is_open).collect();
        for one in open.iter().take(MAX_WRITES) {
            let nothing = json!({ "metadata": { "uid": one.uid } });
            self.apply_suspension(one, nothing, RESUMED, memory).await?;
        }
        Ok(!open.is_empty())
    }

    /// One that is refused keeps no other one waiting.
    async fn apply_suspension(
        &self,
        one: &Mirrored,
        mut image: Value,
        what: &str,
        memory: &mut ChildMemory,
    ) -> Result<(), ApiError> {
        image["apiVersion"] = Image::api_version(&()).into();
        image["kind"] = Image::kind(&()).into();
        self.all.pace.next().await;
        match self.apply(self.keeper.suspender, &one.name, &image).await {
            Ok(applied) => {
                memory.refused.remove(&one.name);
                self.sent(&one.name, what, memory);
                // Whose mark it is, only the API server knows: it stays if it is not the agent's, and so does what is
                // suspended.
                if what == RESUMED && is_marked(&applied) {
                    memory.marked_by_others.insert(one.name.clone());
                }
                Ok(())
            }
            Err(error) => match error.cause {
                ApiCause::NotFound | ApiCause::Conflict(_) => {
                    self.sent(&one.name, what, memory);
                    Ok(())
                }
                ApiCause::Invalid(_) | ApiCause::Forbidden(_) => {
                    memory.refuse(&one.name, what, &error, self.now);
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }
}

/// Returns whether an Image still has the mark of having been suspended with its owner.
fn is_marked(image: &str) -> bool {
    let read = serde_json::from_str::<Marked>(image);
    read.is_ok_and(|image| image.metadata.annotations.contains_key(SUSPENDED_WITH_ANNOTATION))
}
