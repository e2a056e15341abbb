//! The Lease at the API server.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;

use super::elector::{LeaseRecord, LeaseWrite};
use crate::cluster::api_error::ApiError;

/// What the election asks of the API server.
pub trait LeaseApi {
    /// Returns the Lease; none if there is none.
    fn read(&self) -> impl Future<Output = Result<Option<LeaseRecord>, ApiError>> + Send;

    /// Writes the Lease, and returns it as it is then. Fails if it is not the version any more that is to be replaced.
    fn write(&self, write: LeaseWrite) -> impl Future<Output = Result<LeaseRecord, ApiError>> + Send;
}

/// The Lease of this name at the API server.
pub struct KubeLease {
    api: Api<Lease>,
    name: String,
    namespace: String,
    /// As it was read or written last: what others have put there, such as labels, is kept.
    last: Mutex<Option<Lease>>,
    earlier: EarlierHeartbeat,
}

/// For how long a process must have led before its last renewal, for that to tell that it had looked at what was due: it
/// makes up for what was missed in its first minute.
const SETTLED: Duration = Duration::from_mins(3);

/// When the process that led before this one renewed its Lease for the last time, once this one leads. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct EarlierHeartbeat(Arc<OnceLock<Timestamp>>);

impl EarlierHeartbeat {
    /// Returns it; none while this process has not led yet, and where the one before led too shortly to have done what was
    /// due.
    pub fn get(&self) -> Option<Timestamp> {
        self.0.get().copied()
    }

    fn note(&self, lease: &Lease) {
        let Some(spec) = &lease.spec else { return };
        let (Some(acquired), Some(renewed)) = (&spec.acquire_time, &spec.renew_time) else { return };
        if renewed.0.duration_since(acquired.0) >= SETTLED.try_into().unwrap_or_default() {
            let _ = self.0.set(renewed.0);
        }
    }
}

impl KubeLease {
    /// Returns the Lease, of which nothing is known yet.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        Self { api, name, namespace, last: Mutex::default(), earlier: EarlierHeartbeat::default() }
    }

    /// Returns what is known of the process that led before.
    pub fn earlier_heartbeat(&self) -> EarlierHeartbeat {
        self.earlier.clone()
    }

    fn failed(&self, verb: &'static str, error: &kube::Error) -> ApiError {
        ApiError::new(verb, format!("Lease \"{}/{}\"", self.namespace, self.name), error)
    }

    fn noted(&self, lease: Lease) -> LeaseRecord {
        let record = record_of(&lease);
        *self.last.lock() = Some(lease);
        record
    }
}

impl LeaseApi for KubeLease {
    async fn read(&self) -> Result<Option<LeaseRecord>, ApiError> {
        let lease = self.api.get_opt(&self.name).await.map_err(|error| self.failed("get", &error))?;
        Ok(lease.map(|lease| self.noted(lease)))
    }

    async fn write(&self, write: LeaseWrite) -> Result<LeaseRecord, ApiError> {
        let last = self.last.lock().clone();
        let replaced = last.clone().filter(|_| write.acquired.is_none());
        let lease = lease_of(&self.name, last, &write, Timestamp::now());
        let (verb, written) = if write.version.is_some() {
            ("update", self.api.replace(&self.name, &PostParams::default(), &lease).await)
        } else {
            ("create", self.api.create(&PostParams::default(), &lease).await)
        };
        let written = written.map_err(|error| self.failed(verb, &error))?;
        if let Some(lease) = replaced {
            self.earlier.note(&lease);
        }
        Ok(self.noted(written))
    }
}

fn record_of(lease: &Lease) -> LeaseRecord {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    LeaseRecord {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        transitions: spec.and_then(|spec| spec.lease_transitions).unwrap_or_default(),
        acquired: spec.and_then(|spec| spec.acquire_time.as_ref()).map(|time| time.0),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// Returns the Lease to be written, with what others have put into the last one.
fn lease_of(name: &str, last: Option<Lease>, write: &LeaseWrite, now: Timestamp) -> Lease {
    let replaced =
        last.filter(|lease| write.version.is_some() && lease.metadata.resource_version == write.version);
    let Lease { metadata, spec } = replaced.unwrap_or_default();
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        resource_version: write.version.clone(),
        // The API server works them out.
        managed_fields: None,
        ..metadata
    };
    let spec = LeaseSpec {
        holder_identity: write.holder.clone(),
        lease_duration_seconds: i32::try_from(write.duration.as_secs()).ok(),
        acquire_time: Some(MicroTime(write.acquired.unwrap_or(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(write.transitions),
        ..spec.unwrap_or_default()
    };
    Lease { metadata, spec: Some(spec) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(holder: Option<&str>, version: &str) -> LeaseWrite {
        LeaseWrite {
            holder: holder.map(str::to_owned),
            duration: Duration::from_secs(13),
            transitions: 2,
            acquired: None,
            version: Some(version.to_owned()),
        }
    }

    #[test]
    fn what_is_written_is_what_is_read_and_what_others_put_there_stays() {
        let labels = [("team".to_owned(), "a".to_owned())].into();
        let metadata = ObjectMeta {
            labels: Some(labels),
            resource_version: Some("7".to_owned()),
            ..ObjectMeta::default()
        };
        let lease = lease_of(
            "imgop-agent",
            Some(Lease { metadata, spec: None }),
            &write(Some("a"), "7"),
            Timestamp::UNIX_EPOCH,
        );
        assert!(lease.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key("team")));
        let record = record_of(&lease);
        assert_eq!((record.holder.as_deref(), record.transitions), (Some("a"), 2));
        assert_eq!((record.duration, record.version.as_str()), (Duration::from_secs(13), "7"));
        assert_eq!(lease.spec.unwrap().renew_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn a_process_that_led_long_enough_had_looked_at_what_was_due() {
        let led = |seconds: i64| {
            let (began, ended) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(seconds).unwrap());
            let acquired = LeaseWrite { acquired: Some(began), ..write(Some("a"), "7") };
            let earlier = EarlierHeartbeat::default();
            earlier.note(&lease_of("imgop-agent", None, &acquired, ended));
            earlier.get().map(Timestamp::as_second)
        };
        assert_eq!((led(600), led(179)), (Some(600), None));
    }

    #[test]
    fn a_lease_that_is_released_has_no_holder() {
        let lease = lease_of("imgop-agent", None, &write(None, "7"), Timestamp::UNIX_EPOCH);
        assert_eq!(record_of(&lease).holder, None);
        let mut emptied = lease;
        emptied.spec.as_mut().unwrap().holder_identity = Some(String::new());
        assert_eq!(record_of(&emptied).holder, None);
        assert_eq!(record_of(&Lease::default()).duration, Duration::ZERO);
    }
}
