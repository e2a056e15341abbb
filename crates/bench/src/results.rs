//! The file that all benchmarks write into.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value};

/// Puts these figures into the file; other ones that are there stay.
pub fn merge(file: &Path, figures: Map<String, Value>) -> anyhow::Result<()> {
    let mut all: Map<String, Value> = match std::fs::read(file) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).with_context(|| format!("{} is no result", file.display()))?
        }
        Err(_) => Map::new(),
    };
    all.extend(figures);
    std::fs::write(file, serde_json::to_string_pretty(&all)? + "\n")
        .with_context(|| format!("cannot write {}", file.display()))
}
