//! Settings of copies.

use clap::Args;
use imgop_core::api::Engine;

/// How copies are made.
#[derive(Debug, Clone, Args)]
pub struct CopySettings {
    /// Which program copies where `spec.engine` says nothing: Skopeo, or Native, which is the agent's own.
    #[arg(long, env = "COPY_ENGINE", value_enum, ignore_case = true, default_value = "Skopeo")]
    pub copy_engine: Engine,

    /// Whether the engine Native copies what Skopeo cannot, where `spec.engine` says nothing and `COPY_ENGINE` is Skopeo.
    /// Without, a condition names the engine that can.
    #[arg(long, env = "COPY_ENGINE_FALLBACK", default_value_t = false, action = clap::ArgAction::Set)]
    pub copy_engine_fallback: bool,

    /// Image of the Jobs with the engine Native: the agent's own, of the agent's version.
    #[arg(long, env = "NATIVE_IMAGE", default_value = concat!("ghcr.io/imgop/agent:", env!("CARGO_PKG_VERSION")))]
    pub native_image: String,

    /// Tags that one Job with the engine Native copies at most, in its one container.
    #[arg(long, env = "NATIVE_TAGS_PER_JOB", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub native_tags_per_job: u16,
}
