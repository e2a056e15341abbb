//! The repository of the destination, as the spec says.

use imgop_core::api::Side;
use imgop_core::copy::{CopyRequest, Plan, TagAction};
use imgop_core::creation::YieldedPolicy;

use super::Pass;
use super::failures::Halt;
use super::pass_state::PassState;
use crate::registry_access::ensure_repository;

impl Pass<'_> {
    /// Sees to it that it is there and has its policies. `again` does so whatever is known of it.
    pub(super) async fn ensure_repository(&self, state: &PassState<'_>, again: bool) -> Result<(), Halt> {
        let Some(creation) = &state.request.create else { return Ok(()) };
        let of = self.endpoint_use(Side::Destination, &state.request.destination);
        let (by, wanted) = ((self.agent(), &self.owner), (&**creation, state.yielded.as_slice()));
        Ok(ensure_repository(by, wanted, of, again).await?)
    }

    /// Returns the policies of it that are set for other objects of the namespace.
    pub(super) fn yielded(&self, request: &CopyRequest) -> Vec<YieldedPolicy> {
        let Some(creation) = &request.create else { return Vec::new() };
        let (images, policies) = (self.images, &self.agent().policies);
        creation.yielded(&images.conflicts.other_creations(self.image, request, &images.claims, policies))
    }

    /// The same where nothing is copied now: the spec may have other policies than before. A repository that is not there is
    /// created once there is something to copy.
    pub(super) async fn keep_repository(&self, state: &PassState<'_>, plan: &Plan) -> Result<(), Halt> {
        let is_there = plan.tags.iter().any(|tag| {
            matches!(tag.action, TagAction::UpToDate | TagAction::AlreadySynced | TagAction::Keep)
        });
        if self.image.spec.suspend || !is_there {
            return Ok(());
        }
        self.ensure_repository(state, state.retry_now).await
    }
}
