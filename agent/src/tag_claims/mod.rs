//! Which object keeps a tag of a destination that several select: the oldest one, of whichever kind it is.

mod destinations;
mod of_image_builders;
mod of_images;
mod precedence;

pub use destinations::{BuilderDestination, ImageDestination};
pub use of_image_builders::BuilderClaims;
pub use of_images::Conflicts;
pub use precedence::is_older;
