//! What imgop's agent and its kubectl plugin must agree on.
//!
//! A spec becomes tags ([`tags`]), tags become digests on both sides ([`registry`]), digests become
//! a plan ([`plan`], pure), and a plan becomes argument vectors ([`commands`]). Both programs call
//! this same code, so what a preview shows is what the agent does. Nothing here knows a Kubernetes
//! client or a terminal.

pub mod api;
pub mod commands;
#[cfg(feature = "ecr")]
pub mod ecr;
pub mod index;
pub mod mounts;
pub mod observe;
pub mod plan;
pub mod reference;
pub mod registry;
pub mod tags;
