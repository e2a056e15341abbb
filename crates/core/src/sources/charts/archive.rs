//! The archive of a chart: its metadata and values, and those of its subcharts. It is foreign, and read within limits.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

/// Files of an archive, and of those in it.
const MAX_FILES: usize = 2_000;
/// Subcharts within subcharts.
const MAX_DEPTH: usize = 5;
/// Bytes of a path, with those of the archives that it is in.
const MAX_PATH: usize = 1 << 10;
/// Bytes of what precedes a file and says more of it, such as a path that is too long for its header.
const MAX_EXTENSION: u64 = 64 << 10;

/// How much is read of charts and of their repositories. They are foreign: a process that has little memory reads less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChartLimits {
    /// Bytes of the index of a repository.
    pub index_bytes: usize,
    /// Bytes of an archive, and of all archives in it together.
    pub archive_bytes: usize,
    /// Bytes of all files of an archive, and of those that are archives themselves.
    pub unpacked_bytes: u64,
    /// Bytes of a file that is read.
    pub file_bytes: u64,
}

impl Default for ChartLimits {
    fn default() -> Self {
        Self {
            index_bytes: 64 << 20,
            archive_bytes: 20 << 20,
            unpacked_bytes: 200 << 20,
            file_bytes: 4 << 20,
        }
    }
}

/// What of a chart matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartFiles {
    /// `Chart.yaml`.
    pub metadata: String,
    /// `values.yaml`; empty where there is none.
    pub values: String,
}

/// Why an archive is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive, or breaks off.
    #[error("it is no archive of a chart: {0}")]
    Unreadable(String),
    /// It has too many files.
    #[error("it has more than {MAX_FILES} files")]
    TooManyFiles,
    /// A path has too many bytes.
    #[error("it has a path of more than {MAX_PATH} bytes")]
    LongPath,
    /// What it says of a file has too many bytes.
    #[error("it has more than {} KiB of attributes of one file", MAX_EXTENSION >> 10)]
    LargeExtension,
    /// It has too many bytes.
    #[error("it has more than {} MiB", .0 >> 20)]
    TooLarge(u64),
    /// Subcharts are too deep.
    #[error("its subcharts have subcharts of more than {MAX_DEPTH} levels")]
    TooDeep,
    /// A file has too many bytes, or is no text.
    #[error("{path} is larger than {} KiB, or no text", limit >> 10)]
    File {
        /// Which one.
        path: String,
        /// Bytes that it may have.
        limit: u64,
    },
    /// It has no metadata.
    #[error("it has no Chart.yaml")]
    NoChart,
}

/// Returns the files of a chart and of its subcharts, the chart's own first. Links and what is beside charts are not read.
///
/// # Errors
/// Where it is no archive, has no chart, or passes a limit.
pub fn chart_files(bytes: &[u8], limits: &ChartLimits) -> Result<Vec<ChartFiles>, ArchiveError> {
    if bytes.len() > limits.archive_bytes {
        return Err(ArchiveError::TooLarge(limits.archive_bytes as u64));
    }
    let (left, archives_left) = (limits.unpacked_bytes, limits.archive_bytes as u64);
    let mut reader = Reader { limits: *limits, files: 0, left, archives_left, charts: Vec::new() };
    reader.archive(bytes, "", 0)?;
    let mut charts = reader.charts;
    charts.retain(|(_, chart)| !chart.metadata.is_empty());
    charts.sort_by_key(|(path, _)| (path.matches('/').count(), path.clone()));
    if charts.is_empty() {
        return Err(ArchiveError::NoChart);
    }
    Ok(charts.into_iter().map(|(_, chart)| chart).collect())
}

struct Reader {
    limits: ChartLimits,
    files: usize,
    left: u64,
    /// Bytes of archives within archives: each is in memory while it is read.
    archives_left: u64,
    /// By the path of their folder.
    charts: Vec<(String, ChartFiles)>,
}

impl Reader {
    fn archive(&mut self, bytes: &[u8], within: &str, depth: usize) -> Result<(), ArchiveError> {
        if depth > MAX_DEPTH {
            return Err(ArchiveError::TooDeep);
        }
        // One byte more, so that a limit is not taken for the end.
        let mut archive = Archive::new(GzDecoder::new(bytes).take(self.left + 1));
        let mut path_of_next = None;
        // As they stand there: else a path of any length is read before it is counted.
        for entry in archive.entries().map_err(unreadable)?.raw(true) {
            let mut entry = entry.map_err(unreadable)?;
            self.left = self
                .left
                .checked_sub(entry.size())
                .ok_or(ArchiveError::TooLarge(self.limits.unpacked_bytes))?;
            let kind = entry.header().entry_type();
            if is_extension(kind) {
                path_of_next = extended_path(&mut entry, kind)?.or(path_of_next);
                continue;
            }
            self.files += 1;
            if self.files > MAX_FILES {
                return Err(ArchiveError::TooManyFiles);
            }
            let path = path_of_next.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            if within.len() + path.len() > MAX_PATH {
                return Err(ArchiveError::LongPath);
            }
            if kind == EntryType::Regular {
                self.file(&mut entry, &String::from_utf8_lossy(&path), within, depth)?;
            }
        }
        Ok(())
    }

    /// Reads a file, if it is one that matters.
    fn file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        path: &str,
        within: &str,
        depth: usize,
    ) -> Result<(), ArchiveError> {
        let Some((folder, name)) = path.rsplit_once('/') else { return Ok(()) };
        let level = levels(folder);
        if !is_chart_folder(folder, name) {
            return Ok(());
        }
        if depth + level > MAX_DEPTH {
            return Err(ArchiveError::TooDeep);
        }
        let folder = format!("{within}{folder}");
        match name {
            "Chart.yaml" => {
                let metadata = text(entry, path, self.limits.file_bytes)?;
                self.chart(folder).metadata = metadata;
            }
            "values.yaml" => {
                let values = text(entry, path, self.limits.file_bytes)?;
                self.chart(folder).values = values;
            }
            _ => {
                self.archives_left = self
                    .archives_left
                    .checked_sub(entry.size())
                    .ok_or(ArchiveError::TooLarge(self.limits.archive_bytes as u64))?;
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(unreadable)?;
                self.archive(&bytes, &format!("{folder}/"), depth + level + 1)?;
            }
        }
        Ok(())
    }

    fn chart(&mut self, folder: String) -> &mut ChartFiles {
        let at = self.charts.iter().position(|(known, _)| *known == folder).unwrap_or_else(|| {
            self.charts.push((folder, ChartFiles::default()));
            self.charts.len() - 1
        });
        &mut self.charts[at].1
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it on")]
fn unreadable(error: std::io::Error) -> ArchiveError {
    ArchiveError::Unreadable(error.to_string())
}

/// Whether it is no file, but says something of the next one or of all.
fn is_extension(kind: EntryType) -> bool {
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
}

/// Returns the path of the next file, if it stands here.
fn extended_path<R: Read>(
    entry: &mut Entry<'_, R>,
    kind: EntryType,
) -> Result<Option<Vec<u8>>, ArchiveError> {
    if !kind.is_gnu_longname() && !kind.is_pax_local_extensions() {
        return Ok(None);
    }
    if entry.size() > MAX_EXTENSION {
        return Err(ArchiveError::LargeExtension);
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(unreadable)?;
    if kind.is_gnu_longname() {
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        return Ok(Some(bytes));
    }
    let mut extensions = PaxExtensions::new(&bytes).filter_map(Result::ok);
    Ok(extensions.find(|one| one.key_bytes() == b"path").map(|path| path.value_bytes().to_vec()))
}

/// Whether a file is one of a chart that matters: `web/Chart.yaml`, `web/charts/db/values.yaml`, `web/charts/db.tgz`.
fn is_chart_folder(folder: &str, name: &str) -> bool {
    let parts: Vec<&str> = folder.split('/').collect();
    let is_nested = |parts: &[&str]| {
        parts.len() % 2 == 1 && parts.iter().skip(1).step_by(2).all(|part| *part == "charts")
    };
    match name {
        "Chart.yaml" | "values.yaml" => is_nested(&parts),
        _ if Path::new(name).extension().is_some_and(|of| of == "tgz") => {
            parts.last() == Some(&"charts") && is_nested(&parts[..parts.len() - 1])
        }
        _ => false,
    }
}

fn levels(folder: &str) -> usize {
    folder.split('/').filter(|part| *part == "charts").count()
}

fn text(from: &mut impl Read, path: &str, limit: u64) -> Result<String, ArchiveError> {
    let mut text = String::new();
    let error = || ArchiveError::File { path: path.to_owned(), limit };
    from.take(limit + 1).read_to_string(&mut text).map_err(|_| error())?;
    if text.len() as u64 > limit {
        return Err(error());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, bytes) in files {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn read(archive: &[u8]) -> Result<Vec<ChartFiles>, ArchiveError> {
        chart_files(archive, &ChartLimits::default())
    }

    fn values(archive: &[u8]) -> Vec<String> {
        read(archive).unwrap().into_iter().map(|chart| chart.values).collect()
    }

    #[test]
    fn subcharts_are_read_as_folders_and_as_archives() {
        let cache = archive(&[("cache/Chart.yaml", b"name: cache"), ("cache/values.yaml", b"c: 3")]);
        let all = archive(&[
            ("web/charts/db/values.yaml", b"b: 2"),
            ("web/charts/db/Chart.yaml", b"name: db"),
            ("web/templates/values.yaml", b"no: 1"),
            ("web/charts/cache-1.0.tgz", &cache),
            ("web/Chart.yaml", b"name: web"),
            ("web/values.yaml", b"a: 1"),
        ]);
        assert_eq!(values(&all), ["a: 1", "c: 3", "b: 2"]);
    }

    #[test]
    fn what_passes_a_limit_is_an_error() {
        let names: Vec<String> = (0..=MAX_FILES).map(|number| format!("web/{number}")).collect();
        let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        assert_eq!(read(&archive(&many)), Err(ArchiveError::TooManyFiles));
        let zeros = vec![0; 101 << 20];
        let large = archive(&[("web/a", &zeros), ("web/b", &zeros)]);
        assert_eq!(read(&large), Err(ArchiveError::TooLarge(200 << 20)));
        let mut deep = archive(&[("web/Chart.yaml", b"name: web")]);
        for _ in 0..=MAX_DEPTH {
            deep = archive(&[("web/Chart.yaml", b"name: web"), ("web/charts/web.tgz", &deep)]);
        }
        assert_eq!(read(&deep), Err(ArchiveError::TooDeep));
        let long = "x".repeat(5 << 20);
        let file = archive(&[("web/Chart.yaml", long.as_bytes())]);
        assert_eq!(
            read(&file),
            Err(ArchiveError::File { path: "web/Chart.yaml".to_owned(), limit: 4 << 20 })
        );
        assert_eq!(read(&archive(&[("web/x", b"")])), Err(ArchiveError::NoChart));
        let noise: Vec<u8> =
            (0_u32..1 << 10).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let inner = archive(&[("db/Chart.yaml", b"name: db"), ("db/noise", &noise)]);
        let nested = archive(&[("web/charts/a.tgz", &inner), ("web/charts/b.tgz", &inner)]);
        // The second copy of it takes hardly any room in the archive, and as much memory.
        let little = ChartLimits { archive_bytes: inner.len() * 2 - 1, ..ChartLimits::default() };
        assert!(nested.len() < little.archive_bytes);
        let too_large = ArchiveError::TooLarge(little.archive_bytes as u64);
        assert_eq!(chart_files(&nested, &little), Err(too_large));
        assert!(matches!(read(b"<html>"), Err(ArchiveError::Unreadable(_))));
    }

    /// Returns an archive of one file, preceded by this much of an extension.
    fn extended(kind: EntryType, extension: &[u8]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (kind, bytes) in [(kind, extension), (EntryType::Regular, b"name: web")] {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(bytes.len() as u64);
            header.set_path("web/Chart.yaml").unwrap();
            header.set_cksum();
            builder.append(&header, bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_path_of_any_length_takes_no_memory() {
        for kind in [EntryType::GNULongName, EntryType::XHeader] {
            let large = extended(kind, &vec![b'/'; 15 << 20]);
            assert!(large.len() < 200 << 10, "little is enough");
            assert_eq!(read(&large), Err(ArchiveError::LargeExtension), "{kind:?}");
        }
        let long = vec![b'/'; MAX_PATH + 1];
        assert_eq!(read(&extended(EntryType::GNULongName, &long)), Err(ArchiveError::LongPath));
        // What is of no use is not read.
        assert_eq!(read(&extended(EntryType::GNULongLink, &vec![b'/'; 1 << 20])).map(|all| all.len()), Ok(1));
    }

    #[test]
    fn a_path_that_is_too_long_for_a_header_is_read_before_its_file() {
        let name = "n".repeat(150);
        let path = format!("web/charts/{name}/Chart.yaml");
        let long = archive(&[("web/Chart.yaml", b"name: web"), (&path, b"name: db")]);
        assert_eq!(read(&long).unwrap()[1].metadata, "name: db");
        let attribute = format!("{} path={path}\n", path.len() + 10);
        let all = read(&extended(EntryType::XHeader, attribute.as_bytes())).unwrap();
        assert_eq!(all[0].metadata, "name: web");
        let nested = archive(&[("web/Chart.yaml", b"name: web"), ("web/charts/a.tgz", &long)]);
        assert_eq!(read(&nested).unwrap().len(), 3);
    }

    #[test]
    fn a_link_is_not_followed() {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "web/Chart.yaml", "/etc/passwd").unwrap();
        let bytes = builder.into_inner().unwrap().finish().unwrap();
        assert_eq!(read(&bytes), Err(ArchiveError::NoChart));
    }
}
