//! What `build -` reads: a Dockerfile, or an archive of a folder with one. As docker does, the first bytes tell which.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::source::{LocalDockerfile, text_of};
use super::unpacked_archive::UnpackedArchive;
use crate::cli_error::CliError;

/// What the standard input is called in messages.
pub const NAME: &str = "the standard input";
/// Bytes of the first header of an archive.
const HEADER: usize = 512;

/// What is on the standard input.
#[derive(Debug)]
pub enum StandardInput {
    /// A Dockerfile without files.
    Dockerfile(LocalDockerfile),
    /// A folder, and the Dockerfile in it.
    Archive(UnpackedArchive, LocalDockerfile),
}

/// What its first bytes say that something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Tar,
    Gzip,
    /// Compressed so that this program cannot read it; the program that can.
    Other(&'static str),
}

impl StandardInput {
    /// Reads it to its end. `file` is the Dockerfile that the user names.
    pub fn read(mut input: impl Read, file: Option<&str>) -> Result<Self, CliError> {
        let (kind, first) = begin(&mut input)?;
        let all = Cursor::new(first).chain(input);
        let archive = match (kind, file) {
            (Kind::Text, None | Some("-")) => {
                let text = text_of(all, NAME)?;
                let dockerfile = LocalDockerfile { name: "stdin".to_owned(), file: None, text };
                return Ok(Self::Dockerfile(dockerfile));
            }
            (Kind::Text, Some(_)) => {
                return Err(CliError::usage(
                    "--file: the Dockerfile is read from the standard input already; give the folder of the context in \
                     place of -",
                ));
            }
            (_, Some("-")) => {
                return Err(CliError::usage(
                    "--file: the standard input is the archive of the context already; name the Dockerfile in it",
                ));
            }
            (Kind::Other(program), _) => return Err(other_compression(program)),
            (Kind::Tar, _) => UnpackedArchive::unpack(all)?,
            (Kind::Gzip, _) => {
                let mut tar = MultiGzDecoder::new(all);
                let (kind, first) = begin(&mut tar)?;
                if kind != Kind::Tar {
                    let message = format!("{NAME} is compressed with gzip, and no tar archive is in it");
                    return Err(CliError::failed(message).hinted(ARCHIVE));
                }
                UnpackedArchive::unpack(Cursor::new(first).chain(tar))?
            }
        };
        let dockerfile = archive.dockerfile(file)?;
        Ok(Self::Archive(archive, dockerfile))
    }
}

/// How an archive of a folder is given.
const ARCHIVE: &str = "for example: tar -C FOLDER -cz . | kubectl imgop build - -t …";

fn other_compression(program: &str) -> CliError {
    CliError::failed(format!("{NAME} is compressed otherwise than with gzip"))
        .hinted(format!("decompress it on its way: {program} -dc FILE | kubectl imgop build - -t …"))
}

/// Reads the first bytes, and returns them too.
fn begin(input: &mut impl Read) -> Result<(Kind, Vec<u8>), CliError> {
    let mut first = Vec::with_capacity(HEADER);
    let read = input.take(HEADER as u64).read_to_end(&mut first);
    read.map_err(|error| CliError::failed(format!("cannot read {NAME}: {error}")))?;
    Ok((Kind::of(&first), first))
}

impl Kind {
    fn of(first: &[u8]) -> Self {
        const COMPRESSED: [(&[u8], Kind); 4] = [
            (b"\x1f\x8b", Kind::Gzip),
            (b"BZh", Kind::Other("bzip2")),
            (b"\xfd7zXZ", Kind::Other("xz")),
            (b"\x28\xb5\x2f\xfd", Kind::Other("zstd")),
        ];
        let compressed = COMPRESSED.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, kind)| *kind);
        compressed.unwrap_or(if is_header(first) { Self::Tar } else { Self::Text })
    }
}

/// Whether these are the first bytes of a tar archive, or of one that is compressed as Docker takes it.
pub fn is_archive(first: &[u8]) -> bool {
    Kind::of(first) != Kind::Text
}

/// Whether this begins with the header of a tar archive, of whatever age: the sum of its bytes stands in it.
fn is_header(first: &[u8]) -> bool {
    let Some((sum, header)) = first.get(148..156).zip(first.get(..HEADER)) else { return false };
    let digits = sum.iter().skip_while(|byte| **byte == b' ').take_while(|byte| byte.is_ascii_digit());
    let written = digits.fold(0, |value: u32, digit| value.wrapping_mul(8) + u32::from(digit - b'0'));
    // In the sum, its own bytes are taken for spaces.
    let all: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let own: u32 = sum.iter().map(|byte| u32::from(*byte)).sum();
    written != 0 && written == all - own + 8 * u32::from(b' ')
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::unpacked_archive::tests::tar;
    use super::*;

    fn read(bytes: &[u8], file: Option<&str>) -> Result<StandardInput, String> {
        StandardInput::read(bytes, file).map_err(|error| error.message)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn an_archive_plain_or_with_gzip_is_a_folder_and_text_is_a_dockerfile() {
        let plain = tar(&[("./Dockerfile", "FROM a"), ("./sub/other", "FROM b")]);
        for archive in [plain.clone(), gzip(&plain)] {
            let Ok(StandardInput::Archive(_, found)) = read(&archive, None) else { panic!() };
            assert_eq!((found.name.as_str(), found.text.as_str()), ("Dockerfile", "FROM a"));
            let Ok(StandardInput::Archive(_, found)) = read(&archive, Some("sub/other")) else { panic!() };
            assert_eq!(found.text, "FROM b");
            assert!(read(&archive, Some("-")).unwrap_err().starts_with("--file: the standard input is"));
        }
        for text in ["FROM scratch\n", &"# long\n".repeat(200)] {
            let Ok(StandardInput::Dockerfile(found)) = read(text.as_bytes(), None) else { panic!() };
            assert_eq!(found.text, text);
        }
        assert!(read(b"FROM a", Some("x")).unwrap_err().starts_with("--file: the Dockerfile is read"));
    }

    #[test]
    fn what_is_compressed_otherwise_or_is_no_archive_is_refused_with_what_to_do() {
        let error = StandardInput::read(&b"\xfd7zXZ\0rest"[..], None).unwrap_err();
        assert_eq!(error.message, "the standard input is compressed otherwise than with gzip");
        assert!(error.hints[0].contains("xz -dc FILE |"), "{:?}", error.hints);
        let error = read(&gzip(b"FROM a\n"), None).unwrap_err();
        assert!(error.contains("no tar archive is in it"), "{error}");
        let cut = tar(&[("Dockerfile", &"x".repeat(4096))]);
        let error = StandardInput::read(&cut[..1024], None).unwrap_err();
        assert!(error.hints[0].starts_with("is the archive whole?"), "{error} {:?}", error.hints);
    }

    #[test]
    fn an_archive_is_known_by_its_first_header() {
        let old = {
            let mut header = tar::Header::new_old();
            header.set_path("Dockerfile").unwrap();
            header.set_size(0);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        assert_eq!(Kind::of(&old), Kind::Tar);
        assert_eq!(Kind::of(&[0; 512]), Kind::Text);
        assert_eq!(Kind::of(&[b' '; 512]), Kind::Text);
        assert_eq!(Kind::of(b"FROM a"), Kind::Text);
    }
}
