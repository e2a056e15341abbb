//! Suspends Images with their mirror, and resumes them with it.
//!
//! A manager of its own writes that, so that nothing else of the Images changes: whatever it wrote goes when it applies
//! nothing any more, and an Image that a user has suspended too stays so.

use imgop_core::api::conditions::{NewCondition, READY, find, reasons};
use imgop_core::api::{Image, Phase, SUSPENDED_WITH_ANNOTATION};
use imgop_core::readiness::Readiness;
use kube::Resource as _;
use serde_json::{Value, json};

use super::findings::{Conclusion, Findings};
use super::halt::Halt;
use super::mirrored::Mirrored;
use super::writes::{MAX_WRITES, RESUMED, SUSPENDED};
use super::{Memory, Pass, Requests, WRITE_INTERVAL};
use crate::cluster::api_error::ApiCause;

/// Who suspends Images with their mirror.
const FIELD_MANAGER: &str = "imgop-mirror-suspend";

impl Pass<'_> {
    /// Suspends the Images of a mirror that is suspended. Nothing else of them is changed.
    pub(super) async fn suspend(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        let mirrored = self.mirrored();
        self.forget_shown(&mirrored, memory);
        let is_open =
            |one: &&Mirrored| one.suspended_with.is_none() && !memory.has_sent(&one.name, SUSPENDED);
        let open: Vec<&Mirrored> = mirrored.iter().filter(is_open).collect();
        for one in open.iter().take(MAX_WRITES) {
            let suspended = json!({
                "metadata": { "uid": one.uid, "annotations": { SUSPENDED_WITH_ANNOTATION: self.name() } },
                "spec": { "suspend": true },
            });
            self.apply_suspension(one, suspended, SUSPENDED, memory).await?;
        }
        (memory.is_busy, memory.inventory) = (!open.is_empty(), None);
        let wait = memory.is_busy.then_some(WRITE_INTERVAL);
        Ok(Conclusion { findings: Some(self.suspended()), wait, has_looked: false })
    }

    /// Resumes Images that were suspended with the mirror. Returns whether there are any.
    pub(super) async fn resume(&self, mirrored: &[Mirrored], memory: &mut Memory) -> Result<bool, Halt> {
        let is_open = |one: &&Mirrored| one.suspended_with.is_some() && !memory.has_sent(&one.name, RESUMED);
        let open: Vec<&Mirrored> = mirrored.iter().filter(is_open).collect();
        for one in open.iter().take(MAX_WRITES) {
            let nothing = json!({ "metadata": { "uid": one.uid } });
            self.apply_suspension(one, nothing, RESUMED, memory).await?;
        }
        Ok(!open.is_empty())
    }

    async fn apply_suspension(
        &self,
        one: &Mirrored,
        mut image: Value,
        what: &str,
        memory: &mut Memory,
    ) -> Result<(), Halt> {
        image["apiVersion"] = Image::api_version(&()).into();
        image["kind"] = Image::kind(&()).into();
        self.mirrors.pace.next().await;
        match self.apply(FIELD_MANAGER, &one.name, &image).await {
            Err(error) if !matches!(error.cause, ApiCause::NotFound | ApiCause::Conflict(_)) => {
                Err(error.into())
            }
            _ => {
                self.sent(&one.name, what, memory);
                Ok(())
            }
        }
    }

    /// Returns what is reported: Ready keeps its status and its generation.
    fn suspended(&self) -> Findings {
        let status = self.mirror.status.as_ref();
        let ready = status.and_then(|status| find(&status.conditions, READY));
        let condition = NewCondition {
            type_: READY,
            status: ready.and_then(|ready| ready.status.to_lowercase().parse().ok()),
            reason: reasons::SUSPENDED,
            message: "spec.suspend is set; no Image is changed, and none of them starts a sync".to_owned(),
        };
        let phase = status.and_then(|status| status.phase).filter(|phase| *phase != Phase::Running);
        let readiness =
            Readiness { conditions: vec![condition], phase: phase.unwrap_or(Phase::Pending), progress: None };
        Findings {
            generation: ready.and_then(|ready| ready.observed_generation),
            ..Findings::of(readiness, Requests::default())
        }
    }
}
