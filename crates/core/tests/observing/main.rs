//! Observing both sides of a copy against fakes on loopback, request by request.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod ages;
mod bulk;
mod bulk_refusals;
mod docker_hub;
mod exact_tags;
mod observing;
mod platforms;
mod read_ahead;
mod referrers;
mod refusals;
mod shared_lists;
mod trust;
mod two_sides;
