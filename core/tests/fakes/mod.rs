//! Registries that are not real: they listen on loopback, say what a test wants and remember what
//! they were asked.

mod faulty_registry;
mod scripted_registry;
mod tls;
mod token_registry;

pub use faulty_registry::FaultyRegistry;
pub use scripted_registry::{ScriptedRegistry, Seen, json, reply};
pub use token_registry::TokenRegistry;
