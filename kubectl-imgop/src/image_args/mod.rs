//! From arguments to a spec: what `copy` submits and `preview` works out.

mod flags;
mod spec;

pub use flags::{ScheduleArgs, SelectionArgs, TlsArg};
pub use spec::image_spec;
