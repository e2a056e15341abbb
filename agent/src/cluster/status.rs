//! Statuses of objects of any kind, written in one request, and only if they say anything new.

use imgop_core::api::conditions::{CHILDREN_READY, READY, RECONCILING, STALLED};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams, Request};
use kube::{Client, Resource};
use serde::{Deserialize, Serialize};

use super::api_error::{ApiCause, ApiError};

/// The name under which the agent writes statuses.
pub const FIELD_MANAGER: &str = "imgop-agent";
/// The conditions that the agent writes; all others are of other controllers.
const OWN_CONDITIONS: [&str; 4] = [READY, RECONCILING, STALLED, CHILDREN_READY];

/// A status with conditions, as all kinds have.
pub trait WithConditions: Clone + PartialEq + Serialize {
    /// Returns its conditions.
    fn conditions(&mut self) -> &mut Vec<Condition>;
}

/// A status that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenStatus {
    /// The resource version of the object with that status, if the answer says it.
    pub version: Option<String>,
}

/// What is read of the answer, which is the whole object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    metadata: AnswerMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AnswerMetadata {
    resource_version: Option<String>,
}

/// Returns whether a status says the same as another one in all that the agent writes. A condition of another
/// controller is no news.
pub fn says_the_same<S: WithConditions>(old: &S, new: &S) -> bool {
    let mut own = old.clone();
    own.conditions().retain(|condition| OWN_CONDITIONS.contains(&condition.type_.as_str()));
    own == *new
}

/// Writes the status of an object if it says anything new. Returns what was written; none if nothing was.
///
/// It is not read before, and no resource version is sent: the status says of which generation it speaks, and
/// what it says was found out at the price of requests to registries, which a conflict would throw away. The
/// UID is sent, so that no other object that has got the name gets the status; an object that is gone needs
/// none.
pub async fn write_status<K, S>(
    client: &Client,
    object: &K,
    old: Option<&S>,
    new: &S,
) -> Result<Option<WrittenStatus>, ApiError>
where
    K: Resource<DynamicType = ()>,
    S: WithConditions,
{
    if old.is_some_and(|old| says_the_same(old, new)) {
        return Ok(None);
    }
    let metadata = object.meta();
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref().unwrap_or_default());
    let patch = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "uid": metadata.uid },
        "status": new,
    });
    let request = Request::new(K::url_path(&(), namespace)).patch_subresource(
        "status",
        name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(&patch),
    );
    let written = match request.map_err(kube::Error::BuildRequest) {
        Ok(request) => client.request_text(request).await,
        Err(error) => Err(error),
    };
    match written {
        Ok(answer) => {
            // All else the watch sends. Whatever is answered, the status is written.
            let answer: Answer = serde_json::from_str(&answer).unwrap_or_default();
            Ok(Some(WrittenStatus { version: answer.metadata.resource_version }))
        }
        Err(error) => {
            let what = format!("the status of {} \"{}/{name}\"", K::kind(&()), namespace.unwrap_or_default());
            let error = ApiError::new("write", what, &error);
            match error.cause {
                ApiCause::NotFound | ApiCause::Conflict(_) => Ok(None),
                _ => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
