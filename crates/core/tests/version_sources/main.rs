//! Where new versions are announced: from GitHub's answers and registries' tags to what is found.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; clippy knows only functions with #[test]"
)]

mod charts;
mod github;
mod registries;
mod world;
