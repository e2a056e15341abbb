//! Where uploads are remembered that broke off.

use std::ffi::OsString;
use std::path::PathBuf;

/// Returns the file in this user's cache folder; `None` where the environment names no such folder.
pub fn file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME");
    let folder = set("XDG_CACHE_HOME").or_else(|| match std::env::consts::OS {
        "windows" => set("LOCALAPPDATA"),
        "macos" => home().map(|home| home.join("Library/Caches")),
        _ => home().map(|home| home.join(".cache")),
    })?;
    Some(folder.join("imgop").join("uploads.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_folder_is_that_of_the_environment() {
        let given = |name: &str| (name == "XDG_CACHE_HOME").then(|| OsString::from("/cache"));
        assert_eq!(file(given), Some(PathBuf::from("/cache/imgop/uploads.json")));
        assert_eq!(file(|_| None), None);
        assert_eq!(file(|_| Some(OsString::new())), None);
    }
}
