//! Archives whose bytes depend on nothing but the files in them: no time, no user, no machine.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;

use crate::target::Format;

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file to be packed.
    #[error("cannot read {path}: {source}", path = .0.display(), source = .1)]
    Read(PathBuf, #[source] std::io::Error),
    /// The archive itself.
    #[error("cannot write the archive: {0}")]
    Write(#[from] std::io::Error),
    /// The archive itself.
    #[error("cannot write the archive: {0}")]
    Zip(#[from] zip::result::ZipError),
}

/// A file to be packed, at the top of the archive.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its name in the archive.
    pub name: &'a str,
    /// Where it is.
    pub path: &'a Path,
    /// Whether it may be run.
    pub executable: bool,
}

impl Entry<'_> {
    fn mode(&self) -> u32 {
        if self.executable { 0o755 } else { 0o644 }
    }

    fn content(&self) -> Result<Vec<u8>, Error> {
        std::fs::read(self.path).map_err(|error| Error::Read(self.path.to_owned(), error))
    }
}

/// Packs `entries`, in this order.
pub fn write(format: Format, entries: &[Entry<'_>], out: &Path) -> Result<(), Error> {
    let file = BufWriter::new(File::create(out)?);
    match format {
        Format::TarGz => tar_gz(entries, file),
        Format::Zip => zip(entries, file),
    }
}

fn tar_gz(entries: &[Entry<'_>], file: BufWriter<File>) -> Result<(), Error> {
    // Without a time and the name of an operating system in its header.
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for entry in entries {
        let content = entry.content()?;
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(entry.mode());
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, entry.name, content.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(())
}

fn zip(entries: &[Entry<'_>], file: BufWriter<File>) -> Result<(), Error> {
    let mut archive = zip::ZipWriter::new(file);
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .compression_level(Some(9))
            // The oldest time that the format has.
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(entry.mode());
        archive.start_file(entry.name, options)?;
        archive.write_all(&entry.content()?)?;
    }
    archive.finish()?.flush()?;
    Ok(())
}
