//! What of a watched object stays in memory.

/// The largest object, in bytes of what is kept of it.
const MAX_OBJECT: usize = 256 * 1024;

/// What is kept of an object. Of its metadata: name, namespace, UID, generation, versions, times, its
/// controller, and the labels and annotations that are named here.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Top-level fields, such as `spec` and `status`.
    pub fields: &'static [&'static str],
    /// Labels.
    pub labels: &'static [&'static str],
    /// Annotations.
    pub annotations: &'static [&'static str],
    /// How many bytes of JSON an object may have in all that is kept.
    pub max_bytes: usize,
}

impl Keep {
    /// What is kept of most objects: spec and status.
    pub const OBJECT: Self =
        Self { fields: &["spec", "status"], labels: &[], annotations: &[], max_bytes: MAX_OBJECT };
}

impl Default for Keep {
    fn default() -> Self {
        Self::OBJECT
    }
}
