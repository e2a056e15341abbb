//! How many Jobs run at once: of one owner, in one namespace, and in all (seed bug B20: thousands at once).

/// How many Jobs may run at once.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// In all.
    pub in_all: usize,
    /// In one namespace, so that one tenant leaves room for the others.
    pub per_namespace: usize,
    /// Of one owner.
    pub per_owner: usize,
}

/// How many Jobs an owner has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All that exist.
    pub total: usize,
    /// Those that have not ended.
    pub unfinished: usize,
}

/// Why fewer Jobs may be created than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The owner has as many as it may have.
    Owner(usize),
    /// Its namespace has as many as it may have.
    Namespace(usize),
    /// The agent has as many as it may have.
    Agent(usize),
    /// Others have waited longer, or have fewer.
    Queue,
}

/// A place for one Job. Dropping it without a Job makes it free again.
#[derive(Debug)]
pub struct Place(());

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = f;
        unimplemented!()
    }
}
