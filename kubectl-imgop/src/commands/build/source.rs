//! Where Dockerfile and context come from: the first argument of `docker build`, and the flags beside it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use imgop_core::api::{ConfigMapContext, Context, GitContext, GitCredentials};
use imgop_core::build::DockerfilePlace;
use imgop_core::build::step::MAX_STEP_INPUT_BYTES;

use super::standard_input::{self, is_archive};
use crate::args::BuilderArgs;
use crate::cli_error::CliError;

/// Bytes of a Dockerfile that is read: it goes into a Job.
const MAX_DOCKERFILE: u64 = MAX_STEP_INPUT_BYTES as u64;

/// Where the files of a build come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Source {
    /// The standard input, which is a Dockerfile without files, or an archive of them.
    Stdin,
    /// A folder of this machine.
    Folder(PathBuf),
    /// Something of the cluster, or git.
    Remote(Context),
}

/// A Dockerfile of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDockerfile {
    /// What users know it by.
    pub name: String,
    /// Where it is on this machine; none if it is text of the standard input.
    pub file: Option<PathBuf>,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Reads the first argument, or the flags that take its place.
    pub fn of(argument: Option<&str>, flags: &BuilderArgs) -> Result<Self, CliError> {
        let conflict = |flag: &str| {
            CliError::usage(format!(
                "{flag}: the first argument says already where files come from; give one of them"
            ))
        };
        let context = match (argument, &flags.git, &flags.config_map) {
            (Some(_), Some(_), _) => return Err(conflict("--git")),
            (Some(_), _, Some(_)) => return Err(conflict("--config-map")),
            (Some("-"), ..) => return Self::local(Self::Stdin, flags),
            (Some(text), None, None) => match git_of(text)? {
                Some(context) => context,
                None => return Self::local(folder(text)?, flags),
            },
            (None, Some(url), _) => git_of(url)?.unwrap_or_else(|| git(url, None)),
            (None, None, Some(name)) => {
                let config_map = ConfigMapContext { name: name.clone(), items: Vec::new() };
                Context { config_map: Some(config_map), ..Context::default() }
            }
            (None, None, None) => return Err(missing()),
        };
        with_flags(context, flags).map(Self::Remote)
    }

    fn local(source: Self, flags: &BuilderArgs) -> Result<Self, CliError> {
        let of_others = [
            ("--revision", flags.revision.is_some()),
            ("--git-credentials", flags.git_credentials.is_some()),
            ("--sub-path", flags.sub_path.is_some()),
        ];
        match of_others.into_iter().find(|(_, is_given)| *is_given) {
            Some(("--sub-path", _)) => Err(CliError::usage(
                "--sub-path: it goes with git and --config-map; give the folder itself as the context",
            )),
            Some((flag, _)) => Err(CliError::usage(format!("{flag}: it goes with a git repository only"))),
            None => Ok(source),
        }
    }

    /// Reads the Dockerfile, if it is a file of this machine, or the standard input beside a context.
    pub fn dockerfile(&self, file: Option<&str>) -> Result<Option<LocalDockerfile>, CliError> {
        match (self, file) {
            (Self::Stdin, _) => Ok(None),
            (_, Some("-")) => Ok(Some(stdin()?)),
            (Self::Folder(_), Some(file)) => read(Path::new(file)).map(Some),
            (Self::Folder(folder), None) => {
                let mut named = DockerfilePlace::DEFAULT_NAMES.iter().map(|name| folder.join(name));
                let path = named.find(|path| path.is_file()).ok_or_else(|| {
                    CliError::failed(format!(
                        "there is neither Dockerfile nor Containerfile in {}",
                        folder.display()
                    ))
                    .hinted("name another file with --file")
                })?;
                read(&path).map(Some)
            }
            (Self::Remote(_), _) => Ok(None),
        }
    }
}

/// Returns that there is nothing to build.
pub fn missing() -> CliError {
    CliError::usage("missing: PATH, URL or - (where the Dockerfile and its files come from)")
        .hinted("for example: kubectl imgop build . -t registry.example.com/team/app:1.4")
}

fn folder(text: &str) -> Result<Source, CliError> {
    let path = PathBuf::from(text);
    if path.is_dir() {
        return Ok(Source::Folder(path));
    }
    let what = if path.exists() { "is no folder" } else { "does not exist" };
    Err(CliError::failed(format!("{text} {what}")).hinted(
        "give the folder of the context, the URL of a git repository (https://…/app.git#ref:dir), or -",
    ))
}

/// Reads a URL as docker does: `https://host/app.git#ref:dir`. None if the text is no URL.
fn git_of(text: &str) -> Result<Option<Context>, CliError> {
    let (place, fragment) = text.split_once('#').unwrap_or((text, ""));
    let url = if let Some(rest) = place.strip_prefix("git@") {
        let (host, path) = rest.split_once(':').ok_or_else(|| CliError::usage(NO_URL))?;
        format!("ssh://git@{host}/{path}")
    } else if place.starts_with("github.com/") {
        format!("https://{place}")
    } else if place.starts_with("ssh://") {
        place.to_owned()
    } else if place.starts_with("https://") || place.starts_with("http://") {
        // Docker takes any other URL for an archive or a Dockerfile.
        if Path::new(place).extension().is_none_or(|extension| extension != "git") && fragment.is_empty() {
            return Err(CliError::usage(NO_URL));
        }
        place.to_owned()
    } else if place.starts_with("git://") {
        return Err(CliError::usage("git:// is neither encrypted nor authenticated; use https:// or ssh://"));
    } else {
        return Ok(None);
    };
    Ok(Some(git(&url, Some(fragment))))
}

const NO_URL: &str =
    "the URL is no git repository: write https://host/app.git#ref:dir; archives are not fetched";

fn git(url: &str, fragment: Option<&str>) -> Context {
    let (revision, folder) =
        fragment.unwrap_or_default().split_once(':').unwrap_or((fragment.unwrap_or_default(), ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let git = GitContext { revision: some(revision), ..GitContext::new(url) };
    Context { git: Some(git), sub_path: some(folder), ..Context::default() }
}

/// Adds what flags say beside a URL.
fn with_flags(mut context: Context, flags: &BuilderArgs) -> Result<Context, CliError> {
    let twice = |flag: &str| CliError::usage(format!("{flag}: the URL has one too; give only one of them"));
    if let Some(path) = &flags.sub_path
        && context.sub_path.replace(path.clone()).is_some()
    {
        return Err(twice("--sub-path"));
    }
    let Some(git) = &mut context.git else {
        return Ok(context);
    };
    git.credentials = flags.git_credentials.clone().map(|secret_name| GitCredentials { secret_name });
    if let Some(revision) = &flags.revision
        && git.revision.replace(revision.clone()).is_some()
    {
        return Err(twice("--revision"));
    }
    Ok(context)
}

fn stdin() -> Result<LocalDockerfile, CliError> {
    let text = text_of(std::io::stdin().lock(), standard_input::NAME)?;
    Ok(LocalDockerfile { name: "stdin".to_owned(), file: None, text })
}

fn read(path: &Path) -> Result<LocalDockerfile, CliError> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path)
        .map_err(|error| CliError::failed(format!("cannot read the Dockerfile {name}: {error}")))?;
    Ok(LocalDockerfile { file: Some(path.to_owned()), text: text_of(file, &name)?, name })
}

/// Reads the text of a Dockerfile.
pub fn text_of(from: impl std::io::Read, name: &str) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| CliError::failed(format!("cannot read {name}: {error}")))?;
    if is_archive(&bytes) {
        let message = format!("{name} is an archive; what is read there is a Dockerfile");
        return Err(CliError::failed(message).hinted(
            "an archive of a folder takes the place of the folder: kubectl imgop build - -t … < FILE",
        ));
    }
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(CliError::failed(format!(
            "{name} is larger than {} KiB; a Dockerfile of this machine goes into a Job",
            MAX_DOCKERFILE >> 10
        ))
        .hinted("a longer one comes from git: kubectl imgop build https://host/app.git#branch -t …"));
    }
    String::from_utf8(bytes)
        .map_err(|_| CliError::failed(format!("{name} is not UTF-8, and so no Dockerfile")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_in_place_of_a_dockerfile_is_refused_with_what_to_do() {
        let mut tar = super::super::unpacked_archive::tests::tar(&[("Dockerfile", "FROM a")]);
        tar.resize(4 << 20, 0);
        for archive in [tar, b"\x1f\x8b\x08\x00".to_vec()] {
            let error = text_of(archive.as_slice(), "stdin").unwrap_err();
            assert_eq!(error.message, "stdin is an archive; what is read there is a Dockerfile");
            assert!(error.hints[0].contains("build - -t"), "{:?}", error.hints);
        }
        assert!(text_of(&b"FROM scratch\n"[..], "stdin").is_ok());
    }

    fn read_url(text: &str) -> Result<(String, Option<String>, Option<String>), String> {
        let source = Source::of(Some(text), &BuilderArgs::default()).map_err(|error| error.message)?;
        let Source::Remote(Context { git: Some(git), sub_path, .. }) = source else {
            return Err("local".into());
        };
        Ok((git.url, git.revision, sub_path))
    }

    #[test]
    fn urls_are_read_as_docker_reads_them() {
        let read = |url: &str, revision: &str, folder: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Ok((url.to_owned(), some(revision), some(folder)))
        };
        assert_eq!(read_url("https://h/a.git"), read("https://h/a.git", "", ""));
        assert_eq!(read_url("https://h/a.git#v1:src/x"), read("https://h/a.git", "v1", "src/x"));
        assert_eq!(read_url("https://h/a.git#:src"), read("https://h/a.git", "", "src"));
        assert_eq!(read_url("https://h/a#main"), read("https://h/a", "main", ""));
        assert_eq!(read_url("git@h:team/a.git#v1"), read("ssh://git@h/team/a.git", "v1", ""));
        assert_eq!(read_url("github.com/team/a"), read("https://github.com/team/a", "", ""));
        for bad in ["https://h/a.tar.gz", "git://h/a.git", "git@h", "/no/such/folder"] {
            assert!(read_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_revision_is_given_once() {
        let flags = BuilderArgs { revision: Some("v2".into()), ..BuilderArgs::default() };
        let error = Source::of(Some("https://h/a.git#v1"), &flags).unwrap_err();
        assert_eq!(error.message, "--revision: the URL has one too; give only one of them");
        let Ok(Source::Remote(context)) = Source::of(Some("https://h/a.git"), &flags) else { panic!() };
        assert_eq!(context.git.unwrap().revision.as_deref(), Some("v2"));
        let error = Source::of(Some("-"), &flags).unwrap_err();
        assert_eq!(error.message, "--revision: it goes with a git repository only");
    }
}
