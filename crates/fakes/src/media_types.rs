//! The media types that fakes answer with.

/// An OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image manifest.
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// A signed manifest of Docker's first format.
pub const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
