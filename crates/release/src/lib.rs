//! The plugin's part of a release: an archive for each target that was built, and krew's manifest of
//! those archives. `make release` runs it; docs/releases.md says what else a release has.

pub mod archive;
pub mod manifest;
pub mod pack;
pub mod target;
