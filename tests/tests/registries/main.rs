//! imgop's registry client on real registries: Debian's docker-registry 2.8 and CNCF distribution 3,
//! each of them open, behind TLS, with a password and with tokens, and one that has the referrers API.
//! Only the token server is ours. Skopeo, as Jobs run it, and our copier copy between them.

mod absent;
mod copies;
mod counts;
mod engines;
mod every_registry;
mod image;
mod lists;
mod manifests;
mod referrers;
mod refusals;
mod skopeo;
mod token_server;
