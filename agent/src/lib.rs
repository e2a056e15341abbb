//! imgop's agent: watches resources and turns them into Jobs.
//!
//! What belongs to one kind stands in that kind's folder, such as [`image`], [`image_builder`], [`image_mirror`] and [`workload_mirror`]. Everything else
//! serves any kind: the [`controller`] runs it, the [`Agent`] lends it what all kinds share, [`cluster`], [`jobs`] and
//! [`registry_access`] are what that is made of.

pub mod agent;
mod byte_sums;
pub mod children;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod copycat_names;
pub mod heartbeat;
pub mod image;
pub mod image_builder;
pub mod image_mirror;
pub mod image_operator_names;
pub mod jobs;
pub mod leader_election;
mod log_writer;
pub mod metrics;
pub mod native_copy;
pub mod notifications;
pub mod object_room;
pub mod probe;
pub mod registry_access;
pub mod tag_claims;
pub mod turns;
pub mod web;
pub mod workload_mirror;

use imgop_core::api::{
    BUILD_ANNOTATION, COPIES_ANNOTATION, OWNER_ANNOTATION, ROUTE_ANNOTATION, TEMPLATE_ANNOTATION,
};

pub use agent::{Agent, OfKinds};
pub use config::Config;
pub use log_writer::log_writer;

/// What the agent's kinds bring of their own to what all share.
pub const OF_KINDS: OfKinds = OfKinds {
    job_annotations: &[
        COPIES_ANNOTATION,
        ROUTE_ANNOTATION,
        BUILD_ANNOTATION,
        TEMPLATE_ANNOTATION,
        OWNER_ANNOTATION,
    ],
    job_cap: |config| Some(image_builder::job_cap(config)),
};
