//! How much memory the objects of all kinds may take: those of one namespace, and all of them. Whoever may create objects
//! in a namespace could fill the agent otherwise.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::byte_sums::ByteSums;
use crate::config::{Config, as_limit};

/// The part of a namespace's bound that it has in any case, however much the others take.
const GUARANTEED_PART: usize = 8;
/// A mebibyte.
const MIB: usize = 1 << 20;
/// What an object must become shorter by for others to be told: statuses grow and shrink by some bytes all the time.
const MIN_FREED: usize = 1 << 10;

/// Bytes of the objects of all kinds, as they are kept.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Of one namespace at most.
    pub of_namespace: usize,
    /// Of all together at most. A namespace has an eighth of its bound in any case.
    pub of_all: usize,
}

impl RoomLimits {
    /// Returns those of the agent's settings.
    pub fn of(config: &Config) -> Self {
        Self {
            of_namespace: as_limit(config.max_object_bytes_per_namespace),
            of_all: as_limit(config.max_object_bytes),
        }
    }

    /// Returns the bound that would be exceeded if this were taken of a namespace, and of all of them.
    pub fn exceeded(&self, here: usize, all: usize) -> Option<RoomLimit> {
        if here > self.of_namespace {
            Some(RoomLimit::OfNamespace(self.of_namespace))
        } else if all > self.of_all && here > self.of_namespace / GUARANTEED_PART {
            Some(RoomLimit::OfAll(self.of_all))
        } else {
            None
        }
    }
}

/// The bound that an object did not fit into, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomLimit {
    /// That of its namespace.
    OfNamespace(usize),
    /// That of all namespaces.
    OfAll(usize),
}

impl fmt::Display for RoomLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, bytes, setting) = match self {
            Self::OfNamespace(bytes) => ("of this namespace", bytes, "MAX_OBJECT_BYTES_PER_NAMESPACE"),
            Self::OfAll(bytes) => ("of all namespaces", bytes, "MAX_OBJECT_BYTES"),
        };
        write!(
            f,
            "the objects {of} fill the {} MiB that the agent keeps of them, all kinds together; delete or shorten some, or \
             an administrator raises {setting} of the agent, and its limit of memory with it",
            bytes / MIB
        )
    }
}

/// How many bytes are taken.
#[derive(Debug, Default)]
pub struct Taken {
    of_namespace: ByteSums<String>,
    all: usize,
}

impl Taken {
    /// Adds an object of a namespace.
    pub fn add(&mut self, namespace: &str, bytes: usize) {
        self.of_namespace.add(namespace, bytes);
        self.all += bytes;
    }

    /// Takes an object of a namespace off.
    pub fn subtract(&mut self, namespace: &str, bytes: usize) {
        self.of_namespace.subtract(namespace, bytes);
        self.all = self.all.saturating_sub(bytes);
    }

    /// Returns whether nothing is taken.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.all == 0 && self.of_namespace.is_empty()
    }
}

/// The room for the objects of all kinds. Cloning shares it.
#[derive(Debug, Clone)]
pub struct ObjectRoom(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: RoomLimits,
    taken: Mutex<Taken>,
    freed: watch::Sender<()>,
}

impl ObjectRoom {
    /// Returns room within these limits, of which nothing is taken.
    pub fn new(limits: RoomLimits) -> Self {
        Self(Arc::new(Shared { limits, taken: Mutex::default(), freed: watch::Sender::default() }))
    }

    /// Returns the room that the agent's settings give.
    pub fn of(config: &Config) -> Self {
        Self::new(RoomLimits::of(config))
    }

    /// Returns what hears of room that becomes free.
    pub fn freed(&self) -> watch::Receiver<()> {
        self.0.freed.subscribe()
    }

    /// Takes room for an object of a namespace in place of what it took before.
    ///
    /// # Errors
    /// There is not enough. What it took before is free then.
    pub fn take(&self, namespace: &str, before: usize, bytes: usize) -> Result<(), RoomLimit> {
        let mut taken = self.0.taken.lock();
        taken.subtract(namespace, before);
        let limits = self.0.limits;
        let exceeded = limits.exceeded(taken.of_namespace.of(namespace) + bytes, taken.all + bytes);
        if exceeded.is_none() {
            taken.add(namespace, bytes);
        }
        drop(taken);
        let is_taken = if exceeded.is_none() { bytes } else { 0 };
        if before >= is_taken + MIN_FREED {
            self.0.freed.send_replace(());
        }
        exceeded.map_or(Ok(()), Err)
    }

    /// Gives back what an object of a namespace took.
    pub fn give_back(&self, namespace: &str, bytes: usize) {
        if bytes > 0 {
            self.0.taken.lock().subtract(namespace, bytes);
            self.0.freed.send_replace(());
        }
    }

    /// Returns the bound that an object of a namespace would not fit into, were `listed` taken in place of `own`.
    pub fn exceeded_by(
        &self,
        namespace: &str,
        bytes: usize,
        (own, listed): (&Taken, &Taken),
    ) -> Option<RoomLimit> {
        let taken = self.0.taken.lock();
        let without = |all: usize, own: usize| all.saturating_sub(own);
        let here = without(taken.of_namespace.of(namespace), own.of_namespace.of(namespace));
        let here = here + listed.of_namespace.of(namespace) + bytes;
        self.0.limits.exceeded(here, without(taken.all, own.all) + listed.all + bytes)
    }

    /// Takes room for what a list holds in place of what the one before held.
    pub fn replace(&self, own: &Taken, listed: &Taken) {
        let mut taken = self.0.taken.lock();
        for (namespace, bytes) in own.of_namespace.iter() {
            taken.subtract(namespace, bytes);
        }
        for (namespace, bytes) in listed.of_namespace.iter() {
            taken.add(namespace, bytes);
        }
        drop(taken);
        if listed.all < own.all {
            self.0.freed.send_replace(());
        }
    }
}
