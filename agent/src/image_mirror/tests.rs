//! Passes over ImageMirrors, with a fake API server and no watch.

mod changes;
mod charts;
mod files;
mod passes;
mod stage;
mod suspension;
mod versions;
