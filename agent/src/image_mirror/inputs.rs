//! What a pass reads: rights, and the files of the inventory.

use std::sync::Arc;

use imgop_core::api::ConfigMapFile;
use imgop_core::formats;
use imgop_core::inventory::{FilePart, Inventory, InventoryError};
use imgop_core::schedule::Due;
use imgop_registry::reference::Digest;

use super::halt::{Halt, Unreadable};
use super::kept::ReadInventory;
use super::{Memory, Pass};
use crate::cluster::config_maps::{ConfigMapFiles, is_forbidden};
use crate::cluster::rights::{Right, Role};

/// To read the files of an inventory.
const GET_CONFIG_MAPS: Right =
    Right { verb: "get", group: "", resource: "configmaps", done_to: None, role: Role::JOBS };

/// Keys of a ConfigMap that a message names.
const MAX_KEYS: usize = 5;

/// The `ConfigMaps` that a spec names, each read once.
pub(super) type InventoryFiles = std::collections::BTreeMap<String, ConfigMapFiles>;

impl Pass<'_> {
    /// Returns an error unless the agent may write the Images now.
    pub(super) async fn may_work(&self, due: Option<Due>) -> Result<(), Halt> {
        match self.children().missing_right(due).await? {
            None => Ok(()),
            Some(right) => Err(Halt::MissingRight(right)),
        }
    }

    /// Returns the whole inventory: the one that is kept, unless it is time to look at the files again. They are parsed
    /// only where they say something else. Where a part of the inventory cannot be used, none of it is.
    pub(super) async fn inventory(&self, is_due: bool, memory: &mut Memory) -> Result<ReadInventory, Halt> {
        let generation = self.mirror.metadata.generation;
        let kept = memory.inventory.take().filter(|kept| kept.generation == generation);
        if !is_due && let Some(kept) = kept {
            return Ok(memory.inventory.insert(kept).read.clone());
        }
        let files = self.config_maps().await?;
        let hash = self.hash(&files)?;
        if let Some(kept) = kept.filter(|kept| kept.read.hash == hash) {
            return Ok(memory.inventory.insert(kept).read.clone());
        }
        let mut parts = Vec::new();
        for file in &self.mirror.spec.from {
            let of = &file.config_map;
            let failed = |error| Unreadable::Format { file: name_of(of), error };
            let read = formats::read(text(&files, of)?, file.format.into()).map_err(failed)?;
            parts.push(read.into_part(name_of(of)));
        }
        let inventory =
            Inventory::read(&self.mirror.spec, &parts).map_err(|error| unusable(error, &parts))?;
        let read = ReadInventory { inventory: Arc::new(inventory), hash };
        memory.inventory = self.mirrors.room.keep(&read, generation);
        Ok(read)
    }

    /// Returns a hash of all that an inventory is read from.
    fn hash(&self, files: &InventoryFiles) -> Result<String, Halt> {
        let spec = &self.mirror.spec;
        let mut read = serde_json::to_vec(spec).map_err(|error| Unreadable::Spec(error.to_string()))?;
        for file in &spec.from {
            read.extend(text(files, &file.config_map)?.as_bytes());
        }
        Ok(Digest::of(&read).hex().to_owned())
    }

    async fn config_maps(&self) -> Result<InventoryFiles, Halt> {
        let mut files = InventoryFiles::new();
        for file in &self.mirror.spec.from {
            let name = &file.config_map.name;
            if files.contains_key(name) {
                continue;
            }
            let found = match self.agent().config_maps.get(self.namespace(), name).await {
                Err(error) if is_forbidden(&error) => return Err(Halt::MissingRight(GET_CONFIG_MAPS)),
                found => found?,
            };
            let found = found.ok_or_else(|| Unreadable::Missing(name.clone()))?;
            files.insert(name.clone(), found);
        }
        Ok(files)
    }
}

/// Returns the text of a file.
fn text<'f>(files: &'f InventoryFiles, of: &ConfigMapFile) -> Result<&'f str, Unreadable> {
    let config_map = files.get(&of.name).ok_or_else(|| Unreadable::Missing(of.name.clone()))?;
    let Some(bytes) = config_map.get(&of.key) else {
        let keys = config_map.keys().take(MAX_KEYS).cloned().collect::<Vec<_>>().join(", ");
        let keys = if keys.is_empty() { "it has none".to_owned() } else { keys };
        return Err(Unreadable::MissingKey { file: name_of(of), keys });
    };
    std::str::from_utf8(bytes).map_err(|_| Unreadable::NoText(name_of(of)))
}

/// Returns what users know a file by.
fn name_of(ConfigMapFile { name, key }: &ConfigMapFile) -> String {
    format!("ConfigMap {name}, key {key}")
}

fn unusable(error: InventoryError, parts: &[FilePart]) -> Halt {
    if parts.is_empty() { Halt::Spec(error) } else { Unreadable::Inventory(error).into() }
}
