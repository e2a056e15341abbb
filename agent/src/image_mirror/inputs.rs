//! What a pass reads: rights, and the files of the inventory.

use imgop_core::api::ConfigMapFile;
use imgop_core::formats;
use imgop_core::inventory::{FilePart, Inventory, InventoryError};
use imgop_core::schedule::Due;
use imgop_registry::reference::Digest;

use super::halt::{Halt, Unreadable};
use super::{Memory, Pass};
use crate::cluster::Freshness;
use crate::cluster::config_maps::{ConfigMapFiles, is_forbidden};
use crate::cluster::rights::{Right, Role};

/// To create Images, to change them, and to delete those whose entries are gone.
const WRITE_IMAGES: [Right; 3] = [of_images("create"), of_images("patch"), of_images("delete")];
/// To read the files of an inventory.
const GET_CONFIG_MAPS: Right =
    Right { verb: "get", group: "", resource: "configmaps", done_to: None, role: Role::JOBS };

const fn of_images(verb: &'static str) -> Right {
    Right { verb, group: "skopeo.io", resource: "images", done_to: None, role: Role::JOBS }
}

/// The `ConfigMaps` that a spec names, each read once.
pub(super) type InventoryFiles = std::collections::BTreeMap<String, ConfigMapFiles>;

impl Pass<'_> {
    /// Returns an error unless the agent may write the Images now.
    pub(super) async fn may_work(&self, due: Option<Due>) -> Result<(), Halt> {
        let agent = self.agent();
        let freshness = if due.is_some_and(Due::is_asked_for) { Freshness::Now } else { Freshness::Cached };
        let missing = agent.rights.missing(&WRITE_IMAGES, self.namespace(), freshness).await?;
        match missing {
            None => Ok(()),
            Some(right) => Err(Halt::MissingRight(right)),
        }
    }

    /// Returns the whole inventory, with a hash of all that was read for it: what was read before, while that is being
    /// written. Where a part of it cannot be used, none of it is.
    pub(super) async fn inventory(&self, memory: &mut Memory) -> Result<(Inventory, String), Halt> {
        if let Some(known) = memory.inventory.take() {
            return Ok(known);
        }
        let files = self.config_maps().await?;
        let mut parts = Vec::new();
        let mut read =
            serde_json::to_vec(&self.mirror.spec).map_err(|error| Unreadable::Spec(error.to_string()))?;
        for file in &self.mirror.spec.from {
            let of = &file.config_map;
            let text = text(&files, of)?;
            read.extend(text.as_bytes());
            let failed = |error| Unreadable::Format { file: name_of(of), error };
            parts.push(formats::read(text, file.format.into()).map_err(failed)?.into_part(name_of(of)));
        }
        let inventory =
            Inventory::read(&self.mirror.spec, &parts).map_err(|error| unusable(error, &parts))?;
        Ok((inventory, Digest::of(&read).hex().to_owned()))
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
        let keys = config_map.keys().take(5).cloned().collect::<Vec<_>>().join(", ");
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
