//! How a registry wants to be convinced, and the tokens that convince it.

mod call;
mod challenge;
mod scope;
mod session;
mod token;
mod token_cache;
mod token_server;

pub(crate) use call::{Caller, Role};
pub(crate) use scope::{Actions, Scope, Scopes};
pub(crate) use session::Session;
pub(crate) use token::authorization;
