//! Files of other tools that say which image goes where: read, and written again as those tools write them. Pure.
//!
//! [`read`] takes any of them to the words of an `ImageMirror`; agent and plugin do the same with that.

mod adding;
pub mod autoupdate;
mod content;
mod dregsy;
mod error;
mod image_syncer;
pub mod images_list;
mod left_out;
mod pairs;
pub mod rancher;
pub mod regsync;
mod review;
pub mod skopeo_sync;
mod tag_file;
mod version_order;
pub(crate) mod yaml;

pub(crate) use adding::is_same;
pub use adding::{AddError, NewEntry, Wanted};
pub use content::{Content, Settings, detect, read, read_usable};
pub use error::{FormatError, Problem};
pub use left_out::fields_left_out;
pub use review::{NewRepository, NewTag};
pub use tag_file::{TagFile, lost_comments};

/// The largest file that is read.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// config.yaml of rancher's artifact-mirror or image-mirror
    Rancher,
    /// Lines of source, target and tag, as in rancher's images-list
    ImagesList,
    /// Configuration of regsync
    Regsync,
    /// The YAML of skopeo sync
    SkopeoSync,
    /// Configuration of dregsy
    Dregsy,
    /// Rules of image-syncer
    ImageSyncer,
}

#[cfg(test)]
mod tests;
