//! From arguments to a spec: the flags of each kind, and those that several verbs share.

mod image;
mod image_spec;
mod selected;

pub use image::{ScheduleArgs, SelectionArgs};
pub use image_spec::image_spec;
pub use selected::SelectedArgs;
