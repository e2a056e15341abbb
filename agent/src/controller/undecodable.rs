//! Objects that this version of the agent cannot decode, as those of a newer version, and objects that are too
//! large. They are reported once for each error, and what their status holds besides stays.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::{Resource, ResourceExt as _};
use serde::Deserialize;

use super::{Failure, Reconcile, Runner, Slot};
use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::rights::Right;
use crate::cluster::view::View;
use crate::cluster::watch::{Guarded, Keep, Watch, find};
use crate::notifications::Completed;

/// When an undecodable object of a namespace that is not enabled is reconciled again.
const NOT_ENABLED_INTERVAL: Duration = Duration::from_mins(1);
/// Of an undecodable object only the status is read.
const STATUS: Keep = Keep { fields: &["status"], ..Keep::OBJECT };

/// What is read of it.
#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>"))]
struct OnlyStatus<S> {
    #[serde(default = "Option::default")]
    status: Option<S>,
}

/// The status of an object of a kind.
type StatusView<R> = View<<R as Reconcile>::Kind, OnlyStatus<<R as Reconcile>::Status>>;

impl<R: Reconcile> Runner<R> {
    /// Reports an object that this version of the agent cannot decode. Nothing is read or written for a
    /// namespace that is not enabled.
    pub(super) async fn undecodable(
        &self,
        object: &Guarded<R::Kind>,
        invalid: &InvalidObject,
        slot: &mut Slot<R>,
        now: Timestamp,
    ) -> Result<Option<Duration>, ApiError> {
        let InvalidObject { error, metadata } = invalid;
        if slot.undecodable.as_ref() == Some(error) {
            return Ok(None);
        }
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        if !self.kind.agent().rights.may(Right::CREATE_JOBS, namespace, Freshness::Cached).await? {
            return Ok(Some(NOT_ENABLED_INTERVAL));
        }
        let (kind, name) = (R::Kind::kind(&()), metadata.name.as_deref());
        tracing::error!(%kind, name, namespace, error, "this version of the agent cannot read the object");
        let message = format!("this version of the agent cannot read the object: {error}");
        let failure =
            Failure { generation: metadata.generation, reason: reasons::INVALID_SPEC, message: &message };
        match self.status_alone(metadata).await? {
            Some(Ok(view)) => {
                let old = view.object.status.as_ref();
                self.write(object, old, &R::stalled(old, failure, now), Completed::default()).await?;
            }
            // To write the status anew would remove what it holds.
            Some(Err(error)) => {
                tracing::error!(%kind, name, namespace, error, "nor can it read the status, which stays as it is");
            }
            None => {}
        }
        slot.undecodable = Some(error.clone());
        Ok(None)
    }

    /// Returns the status of an object that cannot be decoded as a whole, or why that cannot be decoded either;
    /// none if the object does not exist any more.
    async fn status_alone(
        &self,
        metadata: &ObjectMeta,
    ) -> Result<Option<Result<StatusView<R>, String>>, ApiError> {
        // One at a time: there may be many, and each may be as large as is kept of it.
        let _one = self.reading_status.lock().await;
        let namespace = metadata.namespace.clone();
        let name = metadata.name.as_deref().unwrap_or_default();
        let what = Watch { namespace, label_selector: None, field_selector: None, keep: STATUS };
        let client = self.kind.agent().client.clone();
        let found = find::<StatusView<R>>(client, what, name).await.map_err(|error| {
            let what = format!("{} {name:?}", R::Kind::kind(&()));
            ApiError { verb: "list", object: what, cause: ApiCause::of_watch(&error) }
        })?;
        let object = found.filter(|object| object.uid() == metadata.uid);
        Ok(object.map(|object| object.0.map_err(|invalid| invalid.error)))
    }
}
