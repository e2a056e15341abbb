//! Which of two objects came first, of whichever kinds they are.

use kube::api::ObjectMeta;

/// Returns whether an object came before another one; of one second, the one with the lower UID did.
pub fn is_older(this: &ObjectMeta, than: &ObjectMeta) -> bool {
    let age = |metadata: &ObjectMeta| (metadata.creation_timestamp.clone(), metadata.uid.clone());
    age(this) < age(than)
}
