//! k8s-copycat's configuration, its file, its environment and its flags, as a `WorkloadMirror` and settings of the agent.
//!
//! Its environment goes before its file, as there. Its file is read strictly, which copycat did not: what it ignored in
//! silence is named.

mod credentials;
mod destination;
mod flags;
mod paths;
mod settings;
mod workloads;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::{Map, Value, json};

use super::{Change, Outcome};
use crate::api::WorkloadMirrorSpec;
use crate::listen::listener;
use crate::workloads::WorkloadRequest;
use settings::Settings;
pub use settings::is_variable as is_copycat_variable;

/// What copycat was told.
#[derive(Debug, Clone, Default)]
pub struct CopycatInput {
    /// Its file, if it had one.
    pub file: Option<Value>,
    /// Its environment. A value that is none of ours to know is empty: that it is set is enough.
    pub env: BTreeMap<String, String>,
    /// Its flags with their values, by their names with two dashes; of one without a value, `true`.
    pub flags: BTreeMap<String, String>,
    /// The name of the resource.
    pub name: String,
    /// Its namespace, if it is to have one.
    pub namespace: Option<String>,
}

/// What that becomes here.
#[derive(Debug, Clone, PartialEq)]
pub struct MigratedCopycat {
    /// The `WorkloadMirror`.
    pub object: Value,
    /// What an administrator lends: each RegistryAccess that it needs.
    pub lent: Vec<Value>,
    /// Settings of the agent, by the names of their variables.
    pub agent: BTreeMap<String, String>,
    /// Commands that create the Secrets that the resource names.
    pub commands: Vec<String>,
    /// What became of each setting.
    pub changes: Vec<Change>,
}

/// What is made of one setting after the other.
#[derive(Debug, Default)]
struct Made {
    spec: Map<String, Value>,
    lent: Vec<Value>,
    agent: BTreeMap<String, String>,
    commands: Vec<String>,
    changes: Vec<Change>,
}

/// Returns what copycat's configuration becomes.
pub fn migrate_copycat(input: &CopycatInput) -> MigratedCopycat {
    let mut made = Made::default();
    let flags = flags::flags(input, &mut made);
    let settings = Settings::new(input, flags, &mut made.changes);
    destination::destination(&settings, &mut made);
    workloads::workloads(&settings, &mut made);
    workloads::contents(&settings, &mut made);
    workloads::mode(&settings, &mut made);
    credentials::sources(&settings, &mut made);
    agent(&settings, &mut made);
    settings.report_unknown(&mut made.changes);
    check(input, &mut made);
    let mut metadata = json!({ "name": input.name });
    if let (Some(namespace), Some(metadata)) = (&input.namespace, metadata.as_object_mut()) {
        metadata.insert("namespace".to_owned(), namespace.as_str().into());
    }
    let object = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "WorkloadMirror", "metadata": metadata,
        "spec": made.spec });
    let Made { lent, agent, commands, changes, .. } = made;
    MigratedCopycat { object, lent, agent, commands, changes }
}

/// Says what the agent would refuse.
fn check(input: &CopycatInput, made: &mut Made) {
    if made.changes.iter().any(|change| change.outcome == Outcome::Unusable) {
        return;
    }
    match serde_json::from_value::<WorkloadMirrorSpec>(made.spec.clone().into()) {
        Err(error) => made.unusable("", error.to_string()),
        Ok(spec) => {
            let read = WorkloadRequest::parse(&spec, input.namespace.as_deref().unwrap_or_default());
            let problems = read.err().map(|error| error.problems).unwrap_or_default();
            for problem in problems {
                made.unusable(&format!("spec.{}", problem.field), problem.message);
            }
        }
    }
}

impl Made {
    fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.spec.insert(field.to_owned(), value.into());
    }

    fn changed(&mut self, field: &str, reason: impl Into<String>) {
        self.say(field, Outcome::Changed, reason);
    }

    fn kept(&mut self, field: &str, reason: impl Into<String>) {
        self.say(field, Outcome::Kept, reason);
    }

    fn not_carried(&mut self, field: &str, reason: impl Into<String>) {
        self.say(field, Outcome::NotCarried, reason);
    }

    fn unusable(&mut self, field: &str, reason: impl Into<String>) {
        self.say(field, Outcome::Unusable, reason);
    }

    fn say(&mut self, field: &str, outcome: Outcome, reason: impl Into<String>) {
        self.changes.push(Change { field: field.to_owned(), outcome, reason: reason.into() });
    }
}

/// Settings that are the agent's here, and those that have become constants.
fn agent(settings: &Settings<'_>, made: &mut Made) {
    if let Some(minutes) = settings.number("failureCooldownMinutes", made) {
        made.agent.insert("FAILURE_COOLDOWN_MINUTES".to_owned(), minutes.to_string());
        made.kept("failureCooldownMinutes", "it is the agent's setting FAILURE_COOLDOWN_MINUTES, for all resources, and survives its restarts");
    }
    if let Some(count) = settings.number("maxConcurrentReconciles", made) {
        made.not_carried("maxConcurrentReconciles", format!("{count} was for each of six controllers; the agent's MAX_CONCURRENT_RECONCILES is for all resources, with a default of 32"));
    }
    match settings.number("forceReconcileMinutes", made) {
        Some(0) | None => {}
        Some(minutes) => {
            made.set("frequency", format!("{minutes}m"));
            made.kept("forceReconcileMinutes", "it is frequency, of each image by itself");
        }
    }
    if let Some(text) = settings.text("requestTimeout", made) {
        made.not_carried("requestTimeout", format!("{text} was for a whole image; requests have bounds of their own here, and a copy has jobTemplate.activeDeadlineSeconds (JOB_DEADLINE_SECONDS)"));
    }
    for name in ["registryRetryAttempts", "registryRetryBackoff"] {
        if settings.text(name, made).is_some() {
            made.not_carried(name, "requests are tried again with growing pauses, and a copy that fails after 10 s, 20 s and so on");
        }
    }
    made.agent.insert("METRICS_NAME_REGISTRIES".to_owned(), "true".to_owned());
    made.kept("METRICS_NAME_REGISTRIES", "no setting of copycat, whose metrics always name registries: with this one those of the agent do, too");
    if let Some(level) = settings.text("logLevel", made) {
        made.agent.insert("RUST_LOG".to_owned(), log_level(&level));
        made.kept("logLevel", "it is the agent's setting RUST_LOG");
    }
    listening(settings, made);
}

/// Returns a level of the agent's log for one of copycat's: beside words zap has numbers, of which greater ones say more.
fn log_level(text: &str) -> String {
    let text = text.to_lowercase();
    let level = match text.as_str() {
        "dpanic" | "panic" | "fatal" => "error",
        number if number.parse::<u8>().is_ok() => "debug",
        word => word,
    };
    level.to_owned()
}

/// What became of the other endpoints at the address of metrics.
const OTHER_ENDPOINTS: &str = "what was /reset-cooldown and /force-reconcile there are kubectl imgop sync --retry and kubectl imgop sync";

/// Where metrics are answered.
fn listening(settings: &Settings<'_>, made: &mut Made) {
    let Some(address) = settings.text("METRICS_ADDR", made) else { return };
    let host = if address.starts_with(':') { "0.0.0.0" } else { "" };
    let whole = format!("{host}{address}");
    if address == "0" {
        made.not_carried("METRICS_ADDR", "0 switched metrics off; here health is answered at the same address, which is the agent's setting LISTEN");
    } else if let Some(listener) = listener(&whole) {
        made.agent.insert("LISTEN".to_owned(), listener.to_string());
        made.kept(
            "METRICS_ADDR",
            format!("it is the agent's setting LISTEN, where health is answered too; {OTHER_ENDPOINTS}"),
        );
    } else if let Some((own, listener)) = at_all_addresses(&whole) {
        made.agent.insert("LISTEN".to_owned(), listener.to_string());
        made.changed("METRICS_ADDR", format!("the agent's setting LISTEN, where health is answered too, is {listener}: {own} was copycat's own address, and the agent's pods have others; {OTHER_ENDPOINTS}"));
    } else {
        made.not_carried("METRICS_ADDR", format!("{address:?} is no IP address that the kubelet reaches, with a port, as the agent's setting LISTEN is; without it that is 0.0.0.0:8080"));
    }
}

/// Returns an address of copycat's own, and in its place a listener at all addresses; none where it is of the loopback, which
/// only programs in copycat's own pod could reach.
fn at_all_addresses(address: &str) -> Option<(IpAddr, SocketAddr)> {
    let address = address.parse::<SocketAddr>().ok()?;
    let own = address.ip().to_canonical();
    let all: IpAddr = if own.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let is_usable = address.port() != 0 && !own.is_loopback();
    is_usable.then(|| (own, SocketAddr::new(all, address.port())))
}

#[cfg(test)]
mod tests;
