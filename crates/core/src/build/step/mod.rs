//! What the agent and the program of a build's containers hand each other.
//!
//! ```text
//! agent ── StepInput, in arguments ──▶ imgop-step prepare │ build │ push ── StepReport, as termination message ──▶ agent
//! ```
//!
//! The three containers of a pod run one after the other. Nothing that is secret is in an argument or in a report:
//! credentials are files of Secrets, at the places that [`place`] names.

mod of_request;
mod step_arguments;
mod step_input;
mod step_report;

pub use of_request::{PartInputs, TlsOfHosts, tls_of_hosts};
pub use step_arguments::MAX_STEP_INPUT_BYTES;
pub use step_input::{
    ConfigMapSource, ContextImage, DEFAULT_LOG_BYTES, GitSource, LayerCache, StepContext, StepInput,
    files_digest,
};
pub use step_report::{
    BaseReport, FailedStep, MAX_REPORT_BYTES, PhaseSeconds, PushedImage, PushedLayers, SourceReport,
    StepFailure, StepNumber, StepReport,
};

/// Where the volumes of a build's containers are mounted.
pub mod place {
    /// An emptyDir for all that is large: the context, the storage of images, the built image. `prepare` and `build`
    /// write it, `push` reads it.
    pub const WORK: &str = "/work";
    /// An emptyDir for what `push` trusts: `prepare` writes it, `push` reads it, and `build` does not have it.
    pub const PREPARED: &str = "/prepared";
    /// The Secret with git's credentials, a file a key: `username` and `password`, or `ssh-privatekey` and
    /// `known_hosts`. For `prepare`.
    pub const GIT_SECRET: &str = "/var/run/imgop/git";
    /// The ConfigMap of the context, a file a key. For `prepare`.
    pub const CONFIG_MAP: &str = "/var/run/imgop/config-map";
    /// Credentials of the registries that images are pulled from (containers-auth.json). For `prepare`.
    pub const PULL_AUTH_FILE: &str = "/var/run/imgop/pull/auth.json";
    /// Credentials of the registry that the image goes to (containers-auth.json). For `push`.
    pub const PUSH_AUTH_FILE: &str = "/var/run/imgop/push/auth.json";
    /// Credentials of the repository with layers of earlier builds, which can write there alone
    /// (containers-auth.json). For `build`.
    pub const CACHE_AUTH_FILE: &str = "/var/run/imgop/cache/auth.json";
    /// A file for each secret of the build, named by its id. For `build`.
    pub const SECRETS: &str = "/var/run/imgop/secrets";
    /// A folder for each registry with certificates of its own, named `host:port`, that holds `ca.crt`
    /// (containers-certs.d). For whatever speaks with that registry.
    pub const CERTIFICATES: &str = "/var/run/imgop/certs";
    /// The file in which Kubernetes looks for a container's report.
    pub const TERMINATION_MESSAGE: &str = "/dev/termination-log";
}
