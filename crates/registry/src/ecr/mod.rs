//! Tokens for Amazon ECR from AWS's own credentials.
//!
//! ```text
//! EcrTokens ── one token for each of ECR's APIs, fetched once and kept until shortly before its end
//!   ├ chain          the identity: environment, profile, web identity (IRSA), pod identity, instance
//!   └ authorization  one signed request, GetAuthorizationToken
//!       └ aws_http   reqwest with our TLS, for both
//! ```
//!
//! The name of a host contains the region of its tokens ([`EcrHost`](crate::reference::EcrHost));
//! no region is listed here. Why the chain is AWS's and the rest is not:
//! `docs/decisions/0010-ecr-tokens.md`.

mod authorization;
mod aws_http;
mod chain;
mod error;
mod tokens;

pub use aws_config;

pub use error::{EcrError, EcrProblem};
pub use tokens::{EcrCredential, EcrSettings, EcrTokens};
