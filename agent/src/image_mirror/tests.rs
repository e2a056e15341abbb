//! Passes over ImageMirrors, with a fake API server and no watch.

mod changes;
mod passes;
mod stage;
mod versions;
