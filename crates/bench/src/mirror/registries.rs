//! Registries that count what they are asked: a source, and the targets, which have everything already.

use std::sync::{Arc, Mutex, PoisonError};

use imgop_bench::registry_of_tags::{Content, Counts, serve};

use crate::inventory::{Inventory, TARGETS};

/// The servers.
pub struct Registries {
    source: String,
    targets: Vec<String>,
    counts: Arc<Mutex<Counts>>,
}

impl Registries {
    /// Starts them with what an inventory means.
    pub async fn start(inventory: &Inventory) -> anyhow::Result<Self> {
        let counts = Arc::default();
        let mut source = Content::new();
        let mut contents = vec![Content::new(); TARGETS];
        for entry in inventory.entries() {
            source.entry(entry.source.clone()).or_default().extend(entry.tags.clone());
            for target in &entry.targets {
                let repository = format!("acme/{}", entry.name);
                contents[*target].entry(repository).or_default().extend(entry.tags.clone());
            }
        }
        let mut targets = Vec::new();
        for (number, content) in contents.into_iter().enumerate() {
            targets.push(serve(format!("target {}", number + 1), content, &counts).await?);
        }
        Ok(Self { source: serve("source".to_owned(), source, &counts).await?, targets, counts })
    }

    /// The registry of all sources.
    pub fn source(&self) -> String {
        self.source.clone()
    }

    /// Where a target begins.
    pub fn target(&self, number: usize) -> String {
        format!("{}/acme", self.targets[number])
    }

    /// Returns what was asked since the last call.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
