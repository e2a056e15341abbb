//! Why an owner gets fewer places than it wants, in the words of a condition.

/// Why fewer Jobs may be created than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The owner has as many as it may have.
    Owner(usize),
    /// Its namespace has as many as it may have.
    Namespace(usize),
    /// The agent has as many as it may have.
    Agent(usize),
    /// The owners of its kind have as many as they may have.
    Kind {
        /// How many.
        cap: usize,
        /// The setting that says so.
        setting: &'static str,
    },
    /// The owners of its kind have as many as they may have in its namespace.
    KindInNamespace {
        /// How many.
        cap: usize,
        /// The setting of which they are half.
        setting: &'static str,
    },
    /// Other objects have waited longer, or their namespaces have fewer Jobs.
    Queue,
}

/// What a condition says of an object that is not next.
const QUEUED: &str =
    "waiting for a place: other objects have waited longer, or their namespaces run fewer Jobs";

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner(cap) => write!(f, "waiting for a place: {cap} Jobs of one object run at once"),
            Self::Namespace(cap) => write!(f, "waiting for a place: {cap} Jobs of one namespace run at once"),
            Self::Agent(cap) => write!(f, "waiting for a place: {cap} Jobs run at once in all"),
            Self::Kind { cap, setting } => {
                write!(
                    f,
                    "waiting for a place: {cap} such Jobs run at once in all, as many as {setting} of the agent allows"
                )
            }
            Self::KindInNamespace { cap, setting } => write!(
                f,
                "waiting for a place: {cap} such Jobs of one namespace run at once, half of {setting} of the agent"
            ),
            Self::Queue => write!(f, "{QUEUED}"),
        }
    }
}
