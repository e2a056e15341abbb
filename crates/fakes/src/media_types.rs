//! The media types that fakes answer with.

/// An OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image manifest.
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
