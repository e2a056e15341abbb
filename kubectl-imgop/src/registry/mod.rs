//! How this machine reaches registries: its credentials, and what a registry's refusal means here.

mod credential_helper;
pub mod credentials;
pub mod errors;
pub mod local_access;
