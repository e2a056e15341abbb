//! Everything that is printed: tables, documents, ages, and [`Ui`], the only printer.

pub mod age;
pub mod documents;
mod redrawn;
pub mod table;
pub mod text;
mod ui;
pub mod wording;

pub use redrawn::Redrawn;
pub use ui::Ui;
