//! What keeps imgop from working, found by looking: one file for each thing that is looked at.
//!
//! ```text
//! checks      what a check says, and how it is shown
//! crds        the CRDs, and how they differ from this program's
//! agent       the agent's version, pods and Lease
//! policies    the admission policies
//! rights      what the user may do in the namespace
//! namespace   what the namespace is enabled for
//! secrets     the Secrets that resources name
//! registries  the registries that resources name, asked from here
//! pod_probe   the same from the cluster
//! resources   what Images and ImageBuilders say of themselves
//! ```

pub mod agent;
pub mod checks;
pub mod crds;
pub mod namespace;
pub mod pod_probe;
pub mod policies;
pub mod registries;
pub mod resources;
pub mod rights;
pub mod secrets;
