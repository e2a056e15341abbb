//! What stays of an Image that no workload uses any more, and for how long.

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Tag;
use jiff::Timestamp;

use super::child::{ChildImage, ChildKey, Variant};
use super::digests::Item;
use super::plan::claims::{Claim, Claims};
use super::plan::{Desired, Situation, is_whole};
use super::request::{PlatformChoice, WorkloadRequest};
use crate::selection::SourceRef;
use crate::time::saturating_add;

/// What stays, of the Images of a mirror as they are.
pub(super) struct Retention<'a> {
    request: &'a WorkloadRequest,
    situation: &'a Situation<'a>,
    claims: &'a Claims,
    children: BTreeMap<ChildKey, &'a ChildImage>,
}

/// Whether something that is not used stays.
enum Kept {
    /// For now. Since when it is not used, where that is known.
    Stays(Option<Timestamp>),
    /// It was kept for long enough.
    Goes,
}

impl<'a> Retention<'a> {
    pub(super) fn new(
        request: &'a WorkloadRequest,
        situation: &'a Situation<'a>,
        claims: &'a Claims,
    ) -> Self {
        let children = situation.children.iter();
        let children =
            children.filter_map(|child| Some((ChildKey::of(situation.mirror, child)?, child))).collect();
        Self { request, situation, claims, children }
    }

    /// Adds what stays to what is asked for.
    pub(super) fn apply(&self, desired: &mut BTreeMap<ChildKey, Desired>) {
        for (key, child) in &self.children {
            for one in &child.tags {
                let Some(tag) = one.name() else { continue };
                let place = (key.destination.clone(), tag.clone());
                match self.claims.held.get(&place) {
                    Some(claim) => self.replaced(key, child, one, claim, desired),
                    None if self.claims.waiting.contains(&place) || self.claims.pulled.contains(&place) => {
                        add(desired, key, one, None);
                    }
                    None => self.unused(key, child, one, desired),
                }
            }
        }
    }

    /// Keeps a tag that nothing uses.
    fn unused(
        &self,
        key: &ChildKey,
        child: &ChildImage,
        one: &SourceRef,
        desired: &mut BTreeMap<ChildKey, Desired>,
    ) {
        let Some(tag) = one.name() else { return };
        if let Kept::Stays(since) = self.kept(child, tag.as_str()) {
            add(desired, key, one, since);
        }
    }

    /// Keeps the content of a tag that has another one now: it is pulled by its digest.
    fn replaced(
        &self,
        key: &ChildKey,
        child: &ChildImage,
        one: &SourceRef,
        claim: &Claim,
        desired: &mut BTreeMap<ChildKey, Desired>,
    ) {
        let Some(digest) = one.digest().filter(|digest| claim.item.what.digest() != Some(*digest)) else {
            return;
        };
        // Another source has the tag, and this Image its own content no more.
        let is_own = claim.source == key.source;
        let is_resolved = claim.item.what.digest().is_none()
            && one.name().is_some_and(|tag| self.request.takes_running(tag));
        if is_own && !self.situation.is_complete && is_resolved {
            // Which content runs was known, and may be still: what the source shows by now is not taken for it.
            let mut resolved = self.key_of(key, &claim.item.what);
            resolved.variant.is_exception = key.variant.is_exception;
            if let (Some(tag), Some(of_child)) = (one.name(), desired.get_mut(&resolved)) {
                of_child.items.remove(tag);
            }
            add(desired, key, one, None);
            return;
        }
        let Ok(pin) = SourceRef::under_pin_tag(digest.clone()) else { return };
        if is_own && !self.situation.is_complete && claim.item.what.digest().is_some() {
            // Which pod is the newest is not known. What is there stays, and the other has its own name.
            let other =
                claim.item.what.digest().cloned().and_then(|digest| SourceRef::under_pin_tag(digest).ok());
            if let Some(other) = other {
                add(desired, &self.key_of(key, &other), &other, None);
            }
            add(desired, key, one, None);
            return;
        }
        let is_held = pin
            .name()
            .is_some_and(|tag| self.claims.held.contains_key(&(key.destination.clone(), tag.clone())));
        if is_held {
            return;
        }
        self.unused(&self.key_of(key, &pin), child, &pin, desired);
    }

    /// Returns the Image of the same repositories that has a content.
    fn key_of(&self, key: &ChildKey, what: &SourceRef) -> ChildKey {
        let variant = Variant { is_whole: is_whole(self.request, what), ..Variant::default() };
        let variant = if key.variant.is_on_the_fly { key.variant } else { variant };
        ChildKey { variant, ..key.clone() }
    }

    /// Returns whether a tag or a platform stays that is not used. A clock that was ahead shortens nothing, and what is not
    /// known to be unused has no end.
    fn kept(&self, child: &ChildImage, name: &str) -> Kept {
        let now = self.situation.now;
        let since = child.unused_since.0.get(name).map(|since| (*since).min(now));
        if !self.situation.is_complete {
            return Kept::Stays(since);
        }
        let since = since.unwrap_or(now);
        if saturating_add(since, self.request.retention) <= now {
            Kept::Goes
        } else {
            Kept::Stays(Some(since))
        }
    }

    /// Returns the platforms of an Image, and notes which of them are not used.
    pub(super) fn platforms(&self, key: &ChildKey, desired: &mut Desired) -> BTreeSet<PlatformSelector> {
        let Variant { is_whole, is_on_the_fly, .. } = key.variant;
        if is_whole || is_on_the_fly {
            return BTreeSet::new();
        }
        match &self.request.platforms {
            PlatformChoice::All => BTreeSet::new(),
            PlatformChoice::These(list) => list.clone(),
            PlatformChoice::Nodes => self.of_nodes(key, desired),
        }
    }

    /// Those of the nodes that run it; where none does, those of all nodes; and those that it had until now.
    fn of_nodes(&self, key: &ChildKey, desired: &mut Desired) -> BTreeSet<PlatformSelector> {
        let is_used = |tag: &Tag| !desired.unused_since.0.contains_key(tag.as_str());
        let used = desired.items.iter().filter(|(tag, _)| is_used(tag)).map(|(_, item)| item);
        let mut platforms: BTreeSet<PlatformSelector> = BTreeSet::new();
        for item in used {
            if item.platforms.is_empty() {
                platforms.extend(self.situation.node_platforms.iter().map(PlatformSelector::normalized));
            } else {
                platforms.extend(item.platforms.iter().cloned());
            }
        }
        let Some(child) = self.children.get(key) else { return platforms };
        for before in &child.platforms {
            let name = before.to_string();
            if platforms.contains(before) {
                continue;
            }
            if let Kept::Stays(since) = self.kept(child, &name) {
                platforms.insert(before.clone());
                desired.unused_since.0.extend(since.map(|since| (name, since)));
            }
        }
        platforms
    }
}

fn add(desired: &mut BTreeMap<ChildKey, Desired>, key: &ChildKey, one: &SourceRef, since: Option<Timestamp>) {
    let Some(tag) = one.name() else { return };
    let of_child = desired.entry(key.clone()).or_default();
    of_child.items.insert(tag.clone(), Item { what: one.clone(), platforms: BTreeSet::new() });
    let since = since.map(|since| (tag.to_string(), since));
    of_child.unused_since.0.extend(since);
}
