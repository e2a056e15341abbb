//! Passes over WorkloadMirrors, with a fake API server and no watch.

mod modes;
mod on_the_fly;
mod opt_outs;
mod passes;
mod sight;
mod stage;
mod suspension;
mod tenancy;
mod unasked;
