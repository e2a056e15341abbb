//! What is said of version sources, and what of their tags an inventory receives. Pure.

use std::collections::BTreeSet;

use imgop_core::api::{FailedUpdate, MirrorProposals, UpdateMode};
use imgop_core::inventory::{Inventory, MirrorUpdateRequest, Reached};
use imgop_core::sources::{Addition, Found, Note, VersionSource};
use imgop_core::text::shorten;
use imgop_core::time::remaining;
use imgop_registry::reference::Digest;

use super::super::Pass;
use super::{VersionMemory, Versions};
use crate::children::as_u32;

/// Tags that one update may add in one step: more are a filter that selects too much, as a rule.
const MAX_ADDED: usize = 100;
/// Proposals and failures that are named.
const MAX_PROPOSALS: usize = 50;
const MAX_FAILED: usize = 20;
/// Bytes of a reason.
const MAX_REASON_BYTES: usize = 400;
/// Images and entries that a reason names.
const MAX_NAMED: usize = 3;

/// Tags that were added before and for which there is no room, with the name of the update.
type WithoutRoom = [(String, Addition)];

impl Pass<'_> {
    pub(super) fn report_versions(
        &self,
        requests: &[MirrorUpdateRequest],
        without_room: &WithoutRoom,
        inventory: &mut Inventory,
        memory: &VersionMemory,
    ) -> Versions {
        let mut proposed = BTreeSet::new();
        let mut failed = Vec::new();
        for request in requests {
            let name = &request.update.name;
            let mut reasons = Vec::new();
            let before = without_room.iter().filter(|(update, _)| update == name).map(|(_, tags)| tags);
            let before: BTreeSet<String> = before.flat_map(Addition::references).collect();
            if !before.is_empty() {
                reasons.push(no_room(before.len()));
                proposed.extend(before);
            }
            if let Some(look) = memory.looks.get(name) {
                reasons.extend(look.failed.clone());
                let reached = inventory.reached(&request.update, &look.found.images);
                reasons.extend(without_entry(request, &look.found, &reached));
                let missing = inventory.missing(&reached.images);
                let (rest, reason) = apply(request.mode, missing, inventory);
                reasons.extend(reason);
                proposed.extend(rest.iter().flat_map(Addition::references));
            }
            if !reasons.is_empty() {
                // What had no room before has none now.
                reasons.dedup();
                let message = shorten(&reasons.join("; "), MAX_REASON_BYTES).into_owned();
                failed.push(FailedUpdate { name: name.clone(), message });
            }
        }
        failed.truncate(MAX_FAILED);
        let next = memory.looks.values().map(|look| remaining(look.next, self.now)).min();
        Versions { proposals: proposals(&proposed), failed, wait: next }
    }
}

/// Adds tags to an inventory, if they are to be. Returns those that are not, and why if that is not asked for.
fn apply(
    mode: UpdateMode,
    missing: Vec<Addition>,
    inventory: &mut Inventory,
) -> (Vec<Addition>, Option<String>) {
    let count = |additions: &[Addition]| additions.iter().map(|addition| addition.tags.len()).sum::<usize>();
    let all = count(&missing);
    if mode == UpdateMode::Propose {
        return (missing, None);
    }
    if all > MAX_ADDED {
        let reason = format!(
            "TooManyTags: it has {all} new tags, and {MAX_ADDED} are added at most in one step; they are proposed: narrow the \
             source, or accept them with a tag or a pattern such as 1.x in tags of the entry"
        );
        return (missing, Some(reason));
    }
    let refused = inventory.add(missing);
    let reason = (!refused.is_empty()).then(|| no_room(count(&refused)));
    (refused, reason)
}

fn no_room(count: usize) -> String {
    format!(
        "TooManyTags: {count} tags are proposed and not added, as with them the entry would have more than it may, or not \
         all patterns beside them could be kept apart: select them by a pattern such as 1.x in tags of the entry"
    )
}

/// Says which entries an update names and which images it finds of which no entry is.
fn without_entry(request: &MirrorUpdateRequest, found: &Found, reached: &Reached) -> Option<String> {
    if request.update.entries.is_some() && !reached.unknown.is_empty() {
        let names = named(reached.unknown.iter().map(String::as_str));
        return Some(format!("no entry is {names}, or it is excluded: correct entries of the update"));
    }
    let not_listed = found.notes.iter().filter_map(|note| match note {
        Note::NotListed(image) => Some(image.as_str()),
        _ => None,
    });
    let unknown: Vec<&str> = match request.update.source {
        VersionSource::HelmChart(_) => not_listed.chain(reached.unknown.iter().map(String::as_str)).collect(),
        // A file may list more than is mirrored, but not nothing that is.
        _ if reached.images.is_empty() => reached.unknown.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    if unknown.is_empty() {
        return None;
    }
    let fix = match request.update.source {
        VersionSource::HelmChart(_) => "add an entry, or name it in imageDenylist",
        _ => "add an entry, or take the update out",
    };
    Some(format!("no entry has {}: {fix}", named(unknown.into_iter())))
}

fn named<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    let first = names.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn proposals(all: &BTreeSet<String>) -> Option<MirrorProposals> {
    let list = all.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    (!all.is_empty()).then(|| MirrorProposals {
        count: as_u32(all.len()),
        tags: all.iter().take(MAX_PROPOSALS).cloned().collect(),
        hash: Digest::of(list.as_bytes()).hex().to_owned(),
    })
}
