//! The copier between registries that are not real, which count what they are asked and go wrong as a test wants.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bounds;
mod case;
mod faults;
mod graphs;
mod present;
mod requests;
mod resuming;
mod sharing;
mod slow;
mod throttling;
