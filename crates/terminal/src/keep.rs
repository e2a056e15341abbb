//! Pictures in the documents: written, or compared with what is there.

use std::path::Path;

use crate::shape::shape;

/// Writes a picture into the documents with `IMGOP_UPDATE`, else compares it with the one there.
///
/// # Errors
/// If it cannot be written, or shows other words than the one there.
pub fn keep(path: &Path, svg: &str) -> Result<(), String> {
    if std::env::var_os("IMGOP_UPDATE").is_some() {
        return std::fs::write(path, svg)
            .map_err(|error| format!("cannot write {}: {error}", path.display()));
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let (kept, new) = (shape(&kept), shape(svg));
    if kept == new {
        return Ok(());
    }
    let lacks = |of: &str, words: &str| {
        let there: Vec<&str> = of.split(' ').collect();
        words.split(' ').filter(|word| !there.contains(word)).collect::<Vec<_>>().join(" ")
    };
    Err(format!(
        "{} is out of date: it lacks {:?} and has {:?}; run IMGOP_UPDATE=1 make pictures",
        path.display(),
        lacks(&kept, &new),
        lacks(&new, &kept)
    ))
}
