//! What imgop's agent and its kubectl plugin must agree on.
//!
//! A spec becomes tags ([`selection`]), tags become digests on both sides ([`imgop_registry`]), digests become
//! a plan ([`copy`]), and a plan becomes argument vectors ([`commands`]). Both programs call
//! this same code, so what a preview shows is what the agent does. Nothing here knows a Kubernetes
//! client or a terminal.

pub mod access;
pub mod api;
pub mod build;
pub mod commands;
pub mod copy;
pub mod creation;
pub mod default_destination;
pub mod formats;
pub mod inventory;
pub mod job_proxies;
pub mod listen;
pub mod migrate;
pub mod probe;
mod quantity;
pub mod readiness;
pub mod registry_prefix;
pub mod reset;
pub mod schedule;
pub mod selection;
pub mod sources;
pub mod spec_error;
pub mod text;
pub mod time;
pub mod workloads;
