//! From arguments to a spec: the flags of each kind, and those that several verbs share.

mod builder;
mod command_line;
mod endpoints;
mod explicit;
mod image;
mod image_spec;
mod job;
mod other_builders;
pub mod pick;
mod schedule;
mod selected;
mod sort_path;
mod submit;
mod written;

pub use builder::BuilderArgs;
pub use command_line::Words;
pub use explicit::explicit_fields;
pub use image::{ImageArgs, unlisted};
pub use image_spec::image_spec;
pub use job::{JOB_FLAGS, flag_of_job};
pub use other_builders::OtherBuildersArgs;
pub use selected::{Selected, SelectedArgs, selected};
pub use sort_path::SortPath;
pub use submit::{DryRun, SubmitArgs};
pub use written::{is_registry, reference_problem};
