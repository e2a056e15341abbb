//! Which object keeps a tag of a destination that several of a namespace select, and which objects say what the policies of its
//! repository are: the oldest one goes first, of whichever kind it is, and of policies first those that adopt the repository.
//! Between namespaces, administrators decide (docs/decisions/0020-administrators-decide-between-namespaces.md).

mod claimants;
mod destinations;
mod disputes;
mod of_image_builders;
mod of_images;
mod of_repositories;
mod precedence;

pub use claimants::{is_building, name_of};
pub use destinations::{BuilderDestination, ImageDestination};
pub use disputes::{Disputes, dispute_message};
pub use of_image_builders::BuilderClaims;
pub use of_images::Conflicts;
pub use of_repositories::other_creations;
pub use precedence::is_older;
