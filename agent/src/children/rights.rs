//! What the agent needs to keep Images in a namespace.

use imgop_core::schedule::Due;

use super::{Children, Mirrored};
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiError;
use crate::cluster::rights::{Right, Role};

/// To create Images, to change them, and to delete those that are not asked for any more.
const WRITE_IMAGES: [Right; 3] = [of_images("create"), of_images("patch"), of_images("delete")];

/// To suspend Images that there are.
const SUSPEND_IMAGES: [Right; 1] = [of_images("patch")];

const fn of_images(verb: &'static str) -> Right {
    Right { verb, group: "skopeo.io", resource: "images", done_to: None, role: Role::JOBS }
}

impl Children<'_> {
    /// Returns a right that the agent lacks to write the Images now.
    pub(crate) async fn missing_right(&self, due: Option<Due>) -> Result<Option<Right>, ApiError> {
        self.missing(&WRITE_IMAGES, due).await
    }

    /// Returns a right that the agent lacks to suspend those of these Images that are not suspended with the object.
    pub(crate) async fn missing_right_to_suspend(
        &self,
        mirrored: &[Mirrored],
        due: Option<Due>,
    ) -> Result<Option<Right>, ApiError> {
        if mirrored.iter().all(|one| one.is_suspended_with(&self.owner.name)) {
            return Ok(None);
        }
        self.missing(&SUSPEND_IMAGES, due).await
    }

    async fn missing(&self, rights: &[Right], due: Option<Due>) -> Result<Option<Right>, ApiError> {
        let freshness = if due.is_some_and(Due::is_asked_for) { Freshness::Now } else { Freshness::Cached };
        self.agent.rights.missing(rights, &self.owner.namespace, freshness).await
    }
}
