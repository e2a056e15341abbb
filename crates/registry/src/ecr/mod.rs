//! Tokens for Amazon ECR from AWS's own credentials.
//!
//! ```text
//! EcrTokens ── one token for each of ECR's APIs, fetched once and kept until shortly before its end
//!   ├ chain          who we are: environment, profile, web identity (IRSA), pod identity, instance
//!   └ authorization  one signed request, GetAuthorizationToken
//!       └ aws_http   reqwest with our TLS, for both
//! ```
//!
//! A host says itself in which region its tokens are made ([`EcrHost`](crate::reference::EcrHost));
//! no region is written down here. Why the chain is AWS's and the rest is ours:
//! `docs/decisions/0010-ecr-tokens.md`.

mod authorization;
mod aws_http;
mod chain;
mod error;
mod tokens;

pub use aws_config;

pub use error::{EcrError, EcrProblem};
pub use tokens::{EcrCredential, EcrSettings, EcrTokens};
