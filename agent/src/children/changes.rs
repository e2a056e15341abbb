//! What is to be done to the Images of an object. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use imgop_core::api::ImageSpec;
use imgop_registry::reference::Digest;
use serde_json::Value;

use super::mirrored::Mirrored;
use super::requests::Requests;
use crate::controller::NotKept;

/// From this many Images on, and this part of all in percent, their deletion in one step is held back.
const HELD_BEYOND: usize = 10;
const HELD_BEYOND_PERCENT: usize = 30;

/// An Image as its owner asks for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Desired {
    pub name: String,
    pub spec: ImageSpec,
    /// Annotations that it has beside those that all have.
    pub annotations: BTreeMap<&'static str, String>,
    /// Labels likewise.
    pub labels: BTreeMap<&'static str, String>,
    /// A hash of all that: with another one, what was written is to be written again.
    pub hash: String,
}

/// An Image that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written<'a> {
    pub desired: &'a Desired,
    /// The UID of the one that is there.
    pub uid: Option<String>,
    /// What of the spec of one that is taken over has to go.
    pub replaced: Option<Value>,
}

/// What is to be done to the Images of an object.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes<'a> {
    /// Those to be written: the oldest first, then those that are to be created.
    pub writes: Vec<Written<'a>>,
    /// Names and UIDs of those to be deleted.
    pub prune: Vec<(String, String)>,
    /// How many would be deleted if that were not held back.
    pub held: usize,
    /// Names that Images of others have.
    pub taken: Vec<String>,
    /// Names of Images that exist and that the agent does not keep, so that they cannot be compared.
    pub not_kept: Vec<(String, NotKept)>,
}

/// What another Image is that has a name which one of the object should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// It may be taken over.
    Adoptable {
        /// Its UID.
        uid: String,
        /// Its spec.
        spec: Value,
    },
    /// It belongs to a user.
    Foreign,
    /// It exists, and the agent does not keep it: whose it is and how it is are not known.
    NotKept(NotKept),
}

/// Hexadecimal digits of a hash of a spec.
const HASH_DIGITS: usize = 16;

impl Desired {
    /// Returns an Image of this name, spec and marks. The spec says nothing of suspension: with its owner it is suspended
    /// by a manager of its own.
    pub fn new(
        name: String,
        mut spec: ImageSpec,
        annotations: BTreeMap<&'static str, String>,
        labels: BTreeMap<&'static str, String>,
    ) -> Self {
        spec.suspend = false;
        // A spec that was read can be written.
        let mut json = serde_json::to_vec(&spec).unwrap_or_default();
        annotations.values().chain(labels.values()).for_each(|value| json.extend(value.as_bytes()));
        let hash = Digest::of(&json).hex()[..HASH_DIGITS].to_owned();
        Self { name, spec, annotations, labels, hash }
    }
}

/// What becomes of the owner's own Images that are not asked for any more, by their names. One that names the owner without
/// being one of these is another's, such as a copy that a user has made, and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone<'n> {
    /// All stay.
    Kept,
    /// They are deleted, unless their number suggests a mistake (the prune guard).
    DeletedUnlessMany(&'n [String]),
    /// They are deleted.
    Deleted(&'n [String]),
}

/// Everything that the changes are worked out from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a, 'd> {
    /// What is asked for.
    pub desired: &'d [Desired],
    /// What there is.
    pub mirrored: &'a [Mirrored],
    /// Images of others with names of these.
    pub occupants: &'a HashMap<String, Occupant>,
    /// What is handed on.
    pub requests: &'a Requests,
    /// What becomes of those that are not asked for.
    pub gone: Gone<'a>,
}

impl<'d> Situation<'_, 'd> {
    /// Works out what is to be done.
    pub(crate) fn changes(self) -> Changes<'d> {
        let there: BTreeMap<&str, &Mirrored> =
            self.mirrored.iter().map(|mirrored| (mirrored.name.as_str(), mirrored)).collect();
        let mut changes = Changes::default();
        let (mut older, mut new) = (Vec::new(), Vec::new());
        for desired in self.desired {
            match (there.get(desired.name.as_str()), self.occupants.get(&desired.name)) {
                (Some(mirrored), _) if differs(desired, mirrored) || self.is_asked_of(mirrored) => {
                    older.push((
                        mirrored.created,
                        Written { desired, uid: Some(mirrored.uid.clone()), replaced: None },
                    ));
                }
                (Some(_), _) => {}
                (None, Some(Occupant::Foreign)) => changes.taken.push(desired.name.clone()),
                (None, Some(Occupant::NotKept(why))) => {
                    changes.not_kept.push((desired.name.clone(), why.clone()));
                }
                (None, Some(Occupant::Adoptable { uid, spec })) => {
                    let replaced = serde_json::to_value(&desired.spec).ok();
                    let replaced = replaced.map(|desired| replacement(spec, &desired));
                    new.push(Written { desired, uid: Some(uid.clone()), replaced });
                }
                (None, None) => new.push(Written { desired, uid: None, replaced: None }),
            }
        }
        // Those of one destination follow each other, so that one list of its tags serves all of them.
        let destination = |written: &Written<'d>| written.desired.spec.destination.name.as_str();
        older.sort_by(|(created, one), (then, other)| {
            created.cmp(then).then_with(|| destination(one).cmp(destination(other)))
        });
        new.sort_by(|one, other| destination(one).cmp(destination(other)));
        changes.writes = older.into_iter().map(|(_, written)| written).chain(new).collect();
        self.prune(&mut changes);
        changes
    }

    /// Returns whether a request is yet to be handed to an Image.
    fn is_asked_of(&self, mirrored: &Mirrored) -> bool {
        let is_open = |asked: &Option<String>, has: &Option<String>| asked.is_some() && asked != has;
        is_open(&self.requests.sync, &mirrored.requested_at) || is_open(&self.requests.reset, &mirrored.reset)
    }

    fn prune(&self, changes: &mut Changes<'_>) {
        let (names, is_guarded) = match self.gone {
            Gone::Kept => return,
            Gone::DeletedUnlessMany(names) => (names, true),
            Gone::Deleted(names) => (names, false),
        };
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let gone: Vec<&Mirrored> =
            self.mirrored.iter().filter(|mirrored| names.contains(mirrored.name.as_str())).collect();
        let is_many =
            gone.len() > HELD_BEYOND && gone.len() * 100 > self.mirrored.len() * HELD_BEYOND_PERCENT;
        let is_all = self.desired.is_empty() && !gone.is_empty();
        if (is_many || is_all) && is_guarded {
            changes.held = gone.len();
        } else {
            changes.prune = gone.iter().map(|gone| (gone.name.clone(), gone.uid.clone())).collect();
        }
    }
}

/// Returns whether an Image is not as it should be: what was written is something else, or others have changed a field
/// of it. Fields that the owner does not write are theirs.
fn differs(desired: &Desired, mirrored: &Mirrored) -> bool {
    if mirrored.written.as_ref() != Some(&desired.hash) {
        return true;
    }
    if desired.spec == mirrored.spec {
        return false;
    }
    match (serde_json::to_value(&desired.spec), serde_json::to_value(&mirrored.spec)) {
        (Ok(desired), Ok(there)) => !holds(&there, &desired),
        _ => true,
    }
}

/// Returns the merge patch that makes one value another one.
fn replacement(there: &Value, wanted: &Value) -> Value {
    let (Value::Object(there), Value::Object(wanted)) = (there, wanted) else { return wanted.clone() };
    let gone = there.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let kept = wanted.iter().map(|(key, value)| {
        let before = there.get(key).unwrap_or(&Value::Null);
        (key.clone(), replacement(before, value))
    });
    Value::Object(gone.chain(kept).collect())
}

/// Returns whether one value has all of another one.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| holds(whole, part)))
        }
        (whole, part) => whole == part,
    }
}
