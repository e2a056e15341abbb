//! A file that an argument names: read, and written again.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use imgop_core::formats::{FormatError, MAX_FILE_BYTES};

use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::text::count;
use crate::preview::files::{MAX_FILE_BYTES as MAX_MANIFEST_BYTES, shown};

/// A file that was read; `-` is the standard input.
#[derive(Debug)]
pub struct InputFile {
    path: PathBuf,
    /// Its name in messages.
    shown: String,
    /// What it says.
    pub text: String,
}

impl InputFile {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        Self::read_as(path, shown(path))
    }

    /// Reads it under another name than its path: that of the file whose copy it is.
    pub fn read_as(path: &Path, shown: String) -> Result<Self, CliError> {
        Self::read_up_to(path, shown, MAX_FILE_BYTES)
    }

    /// Reads a file that may have manifests, of which all of a cluster's are more than a file of another tool.
    pub fn read_manifests(path: &Path) -> Result<Self, CliError> {
        Self::read_up_to(path, shown(path), MAX_MANIFEST_BYTES)
    }

    fn read_up_to(path: &Path, shown: String, most: usize) -> Result<Self, CliError> {
        let input = Self { path: path.to_owned(), shown, text: String::new() };
        let text = input.limited(most).map_err(|error| input.failed("read", &error))?;
        Ok(Self { text, ..input })
    }

    /// Returns what stands for an object of the cluster, which is no file: its name in messages.
    pub fn of_object(name: &str) -> Self {
        Self { path: name.into(), shown: name.to_owned(), text: String::new() }
    }

    fn limited(&self, most: usize) -> std::io::Result<String> {
        let mut text = String::new();
        let mut limited: Box<dyn std::io::Read> = if self.is_stdin() {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(&self.path)?)
        };
        limited.by_ref().take(most as u64 + 1).read_to_string(&mut text)?;
        if text.len() > most {
            let problem = format!("it is larger than {} MiB; split it", most >> 20);
            return Err(std::io::Error::other(problem));
        }
        Ok(text)
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the standard input.
    pub fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Returns its name in messages.
    pub fn name(&self) -> String {
        self.shown.clone()
    }

    /// Returns a name for an object that is made of it.
    pub fn object_name(&self) -> String {
        let stem =
            self.path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
        let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = stem.chars().map(legal).take(40).collect();
        match name.trim_matches('-') {
            "" => "mirror".to_owned(),
            name => name.to_owned(),
        }
    }

    /// Returns what is wrong in it, as compilers write it.
    pub fn error(&self, error: &FormatError) -> CliError {
        CliError::failed(error.in_file(&self.name()))
    }

    /// Warns of what is worth a look in it.
    pub fn warn(&self, ui: Ui, warnings: &[FormatError]) {
        for warning in warnings {
            ui.warning(&warning.in_file(&self.name()));
        }
    }

    /// Fails if comments are lost when it is written, unless that is wanted. They are named before.
    pub fn check_comments(&self, lost: &[FormatError], force: bool) -> Result<(), CliError> {
        if lost.is_empty() || force {
            return Ok(());
        }
        let what =
            format!("{} would be lost, so {} is left as it is", count(lost.len(), "comment"), self.name());
        Err(CliError::failed(what).hinted("--force writes the file without them"))
    }

    /// Replaces it, unless it is another one by now: what others write meanwhile is not lost.
    pub fn replace(&self, text: &str) -> Result<(), CliError> {
        let now = self.limited(MAX_MANIFEST_BYTES).map_err(|error| self.failed("read", &error))?;
        if now != self.text {
            let problem =
                format!("{} was changed meanwhile, and is left as it is; run it again", self.name());
            return Err(CliError::failed(problem));
        }
        write_whole(&self.path, text).map_err(|error| self.failed("write", &error))
    }

    fn failed(&self, what: &str, error: &std::io::Error) -> CliError {
        CliError::failed(format!("cannot {what} {}: {error}", self.name()))
    }
}

/// Writes a file as a whole: whoever reads it meanwhile, or after a crash, sees the old text or the new one. A link stays one,
/// and so do permissions.
pub fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let (path, permissions) = match path.canonicalize() {
        Ok(path) => {
            let permissions = std::fs::metadata(&path)?.permissions();
            if permissions.readonly() {
                return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "it is read-only"));
            }
            (path, Some(permissions))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut new = builder.tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    if let Some(permissions) = permissions {
        new.as_file().set_permissions(permissions)?;
    }
    new.as_file().sync_all()?;
    new.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, "read\n").unwrap();
        let file = InputFile::read(&path).unwrap();
        std::fs::write(&path, "theirs\n").unwrap();
        let error = file.replace("ours\n").unwrap_err();
        assert!(error.message.ends_with("was changed meanwhile, and is left as it is; run it again"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs\n");
        InputFile::read(&path).unwrap().replace("ours\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ours\n");
    }

    #[test]
    fn a_file_that_is_read_only_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, "read\n").unwrap();
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        let error = InputFile::read(&path).unwrap().replace("ours\n").unwrap_err();
        assert!(error.message.ends_with("config.yaml: it is read-only"), "{}", error.message);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "read\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_written_has_usual_permissions_and_a_link_stays_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("hosts.toml"), folder.path().join("link"));
        write_whole(&path, "one").unwrap();
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o700;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_whole(&link, "two").unwrap();
        assert!(link.is_symlink());
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), mode()), ("two", 0o600));
    }
}
