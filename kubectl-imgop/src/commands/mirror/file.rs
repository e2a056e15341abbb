//! A file that an argument names: read, and written again.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use imgop_core::formats::{FormatError, MAX_FILE_BYTES};

use crate::cli_error::CliError;
use crate::output::Ui;

/// A file that was read; `-` is the standard input.
#[derive(Debug)]
pub struct InputFile {
    path: PathBuf,
    /// What it says.
    pub text: String,
}

impl InputFile {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let input = Self { path: path.to_owned(), text: String::new() };
        let text = input.limited().map_err(|error| input.failed("read", &error))?;
        Ok(Self { text, ..input })
    }

    fn limited(&self) -> std::io::Result<String> {
        let mut text = String::new();
        let mut limited: Box<dyn std::io::Read> = if self.is_stdin() {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(&self.path)?)
        };
        limited.by_ref().take(MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text)?;
        if text.len() > MAX_FILE_BYTES {
            let problem = format!("it is larger than {} MiB; split it", MAX_FILE_BYTES >> 20);
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
        if self.is_stdin() { "stdin".to_owned() } else { self.path.display().to_string() }
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

    /// Replaces it as a whole: whoever reads it meanwhile sees the old text or the new one. A link stays one.
    pub fn replace(&self, text: &str) -> Result<(), CliError> {
        self.written(text).map_err(|error| self.failed("write", &error))
    }

    fn written(&self, text: &str) -> std::io::Result<()> {
        let path = self.path.canonicalize()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
        new.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }

    fn failed(&self, what: &str, error: &std::io::Error) -> CliError {
        CliError::failed(format!("cannot {what} {}: {error}", self.name()))
    }
}
