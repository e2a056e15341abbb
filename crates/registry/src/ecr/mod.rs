//! Amazon ECR with AWS's own credentials: tokens for its registries, and repositories in them.
//!
//! ```text
//! EcrTokens ── one token for each of ECR's APIs, fetched once and kept until shortly before its end
//!   └ authorization   GetAuthorizationToken
//! EcrRepositories ── a repository is there, with its policies; checked once a day
//!   └ repository_calls  DescribeRepositories, CreateRepository, policies
//! both:
//!   aws_api           the address, our identity, the tries of a call
//!     ├ chain         the identity: environment, profile, web identity (IRSA), pod identity, instance; roles
//!     └ call          one signed request
//!         └ aws_http  reqwest with our TLS
//! ```
//!
//! The name of a host contains the region of its tokens ([`EcrHost`](crate::reference::EcrHost));
//! no region is listed here. Why the chain is AWS's and the rest is not:
//! `docs/decisions/0010-ecr-tokens.md`.

mod authorization;
mod aws_api;
mod aws_http;
mod call;
mod chain;
mod error;
mod repositories;
mod repository_calls;
mod tokens;

pub use aws_config;

pub use error::{EcrError, EcrProblem};
pub use repositories::{EcrRepositories, EcrRepositoryError, RepositoryCheck, WantedRepository};
pub use repository_calls::{EcrRepositoryProblem, RepositoryPolicy};
pub use tokens::{EcrCredential, EcrSettings, EcrTokens};
