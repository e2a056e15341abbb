//! One platform of a build: what the containers of its pod do, as processes of this program, one after the other, in a
//! folder that is removed afterwards.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use imgop_core::api::{ImageBuilderSpec, TlsMode};
use imgop_core::build::step::{PartInputs, StepFailure, StepInput, StepReport, place};
use imgop_core::build::{ArgValue, BuildCache, BuildRequest, ObservedInputs};
use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, RegistryHost};
use imgop_registry::{Credential, Tls, docker_config};
use imgop_step::Places;
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::Access;
use crate::cli_error::CliError;
use crate::interrupts::{Uninterrupted, asked_to_end};
use crate::registry::local_access::Reached;

/// The word that makes this program one container of a build.
pub const STEP: &str = "__build-step";
/// Where the report of a container stands, in the folder of a part.
const REPORT: &str = "report.json";

/// One platform that is built.
pub struct Part<'a> {
    pub spec: &'a ImageBuilderSpec,
    pub request: &'a BuildRequest,
    pub platform: &'a PlatformSelector,
    pub access: &'a Access,
    /// How a flag secures all connections.
    pub tls: Option<TlsMode>,
    pub started_at: Timestamp,
    /// When `spec.timeout` of the whole build is over.
    pub until: Instant,
}

/// Is one container of a build: its arguments are a folder, what is done, and a document.
pub fn step(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let Some(root) = arguments.next().map(PathBuf::from) else { return ExitCode::FAILURE };
    let arguments: Vec<String> = arguments.collect();
    imgop_step::process(&arguments, &Places::below(&root), &root.join(REPORT))
}

impl Part<'_> {
    /// Builds it, and pushes it by its digest, which is returned.
    pub async fn build(&self) -> Result<Digest, CliError> {
        let folder = Folder::new()?;
        self.write_access(&folder)?;
        let document = self.input().to_arguments().map_err(|error| CliError::failed(error.to_string()))?;
        let mut pushed = None;
        for what in ["prepare", "build", "push"] {
            let report = self.process(what, &folder, &document).await?;
            pushed = report.image.map(|image| image.digest);
        }
        pushed.ok_or_else(|| CliError::failed("the push reports no digest"))
    }

    fn input(&self) -> StepInput {
        let Self { spec, request, platform, started_at, .. } = *self;
        let text = |(name, value): (&String, &ArgValue)| match value {
            ArgValue::Text(text) => Some((name.clone(), text.clone())),
            ArgValue::ConfigMap(_) => None,
        };
        let arguments: BTreeMap<String, String> = request.arguments.iter().filter_map(text).collect();
        let inputs = ObservedInputs::default();
        let part = PartInputs { spec, request, platform, arguments: &arguments, inputs: &inputs, started_at };
        let mut input = StepInput::of(part);
        if let Some(mode) = self.tls {
            let push = request.destination.repository.host();
            let hosts = self.access.pulls.keys().chain([push]);
            input.tls_modes.extend(hosts.map(|host| (host.clone(), mode)));
        }
        input
    }

    /// Writes the credentials and certificates of this machine to where the containers look for them.
    fn write_access(&self, folder: &Folder) -> Result<(), CliError> {
        let Access { pulls, push, cache } = self.access;
        let destination = self.request.destination.repository.host();
        let of = |host: &RegistryHost, reached: &Reached| {
            reached.access.credential.clone().map(|credential| (host.to_string(), credential))
        };
        let all: Vec<(String, Credential)> = pulls.iter().filter_map(|(host, pull)| of(host, pull)).collect();
        folder.write(place::PULL_AUTH_FILE, docker_config(&all).as_bytes())?;
        let one: Vec<(String, Credential)> = of(destination, push).into_iter().collect();
        folder.write(place::PUSH_AUTH_FILE, docker_config(&one).as_bytes())?;
        if let (Some(cache), BuildCache::Registry { repository, .. }) = (cache, &self.request.cache) {
            let one: Vec<(String, Credential)> = of(repository.host(), cache).into_iter().collect();
            folder.write(place::CACHE_AUTH_FILE, docker_config(&one).as_bytes())?;
        }
        for (host, reached) in pulls.iter().chain([(destination, push)]) {
            if let Tls::Verify { extra_ca_pem: Some(pem) } = &reached.access.tls {
                folder.write(&format!("{}/{host}/ca.crt", place::CERTIFICATES), pem)?;
            }
        }
        Ok(())
    }

    /// Runs one container to its end, and with it what it has started. What it prints goes to stderr.
    async fn process(
        &self,
        what: &str,
        folder: &Folder,
        document: &[String],
    ) -> Result<StepReport, CliError> {
        let cannot = |error: io::Error| CliError::failed(format!("cannot start the build: {error}"));
        let _ended_here = Uninterrupted::begin();
        let report = folder.path().join(REPORT);
        // The report of the one before says nothing of this one.
        if let Err(error) = fs::remove_file(&report)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(cannot(error));
        }
        let mut process = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg(STEP)
            .arg(folder.path())
            .arg(what)
            .args(document)
            .stdin(Stdio::null())
            .stdout(Stdio::from(io::stderr()))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let group = Group::of(&process);
        let status = tokio::select! {
            ended = process.wait() => ended.map_err(cannot)?,
            error = asked_to_end() => return Err(end(&mut process, error).await),
            () = sleep_until(self.until) => {
                let error = CliError::failed("it took longer than spec.timeout");
                return Err(end(&mut process, error).await);
            }
        };
        drop(group);
        ended(what, status, &fs::read_to_string(report).unwrap_or_default())
    }
}

/// A container and what it has started. In a cluster the kernel ends all of that with the container; here this does.
struct Group(Option<Pid>);

impl Group {
    /// Returns that of a process which begins one.
    fn of(process: &Child) -> Self {
        Self(process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Mostly nothing is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Asks a container to end, and waits for it.
async fn end(process: &mut Child, error: CliError) -> CliError {
    if let Some(id) = process.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended just now.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    let _ = process.wait().await;
    error
}

/// Returns the report of a container, if it did what it was started for.
fn ended(what: &str, status: ExitStatus, report: &str) -> Result<StepReport, CliError> {
    match StepReport::from_message(report) {
        Some(StepReport { failure: Some(failure), .. }) => Err(explained(&failure)),
        Some(report) if status.success() => Ok(report),
        _ if status.signal() == Some(Signal::SIGKILL as i32) => {
            let error = CliError::failed(format!("{what} was killed before its end"));
            Err(error.hinted("the kernel does that where memory runs out: dmesg"))
        }
        _ => Err(CliError::failed(format!("{what} ended without a report: {status}"))),
    }
}

fn explained(failure: &StepFailure) -> CliError {
    let step = failure.step.as_ref().map_or_else(String::new, |step| format!(" ({step})"));
    CliError::failed(format!("{}{step}", failure.message))
}

/// The folder of a part, as the volumes of its pod.
struct Folder(TempDir);

impl Folder {
    /// Makes one where large files that are temporary belong.
    fn new() -> Result<Self, CliError> {
        let place = place_of(std::env::var_os("TMPDIR"));
        let folder = tempfile::Builder::new().prefix("imgop-build-").tempdir_in(&place);
        let folder = folder.map_err(|error| {
            CliError::failed(format!("cannot make a folder in {}: {error}", place.display()))
        })?;
        let folder = Self(folder);
        for below in [place::WORK, place::PREPARED, place::SECRETS, "/tmp"] {
            make(&folder.at(below))?;
        }
        Ok(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, place: &str) -> PathBuf {
        self.path().join(place.trim_start_matches('/'))
    }

    /// Writes a file for this user's eyes only.
    fn write(&self, place: &str, bytes: &[u8]) -> Result<(), CliError> {
        let file = self.at(place);
        if let Some(folder) = file.parent() {
            make(folder)?;
        }
        let mut options = fs::OpenOptions::new();
        let written = options.write(true).create(true).truncate(true).mode(0o600).open(&file);
        let written = written.and_then(|mut open| io::Write::write_all(&mut open, bytes));
        written.map_err(|error| CliError::failed(format!("cannot write {}: {error}", file.display())))
    }
}

/// Returns where the folder of a part is made, by the value of `TMPDIR`: one that is empty names no place.
fn place_of(variable: Option<OsString>) -> PathBuf {
    variable.filter(|place| !place.is_empty()).map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}

impl Drop for Folder {
    /// Layers have files of other users, which only a user namespace with them can remove.
    fn drop(&mut self) {
        if fs::metadata(self.path()).is_ok_and(|folder| folder.uid() != 0) {
            let mut remove = std::process::Command::new("buildah");
            remove.args(["unshare", "rm", "-rf"]).arg(self.path());
            // What is left is removed as far as this user may.
            let _ = remove.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

fn make(folder: &Path) -> Result<(), CliError> {
    fs::create_dir_all(folder)
        .map_err(|error| CliError::failed(format!("cannot make {}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_killed_or_failed_is_no_success_whatever_stands_in_its_report() {
        let said = |status: i32, report: &str| {
            ended("build", ExitStatus::from_raw(status), report).map(drop).map_err(|error| error.message)
        };
        assert_eq!(said(0, "{}"), Ok(()));
        assert_eq!(said(9, ""), Err("build was killed before its end".to_owned()));
        assert_eq!(said(9, "{}"), Err("build was killed before its end".to_owned()));
        assert_eq!(said(1 << 8, "{}"), Err("build ended without a report: exit status: 1".to_owned()));
        assert_eq!(said(0, ""), Err("build ended without a report: exit status: 0".to_owned()));
        let report = r#"{"failure":{"reason":"StepFailed","message":"no"}}"#;
        assert_eq!(said(1 << 8, report), Err("no".to_owned()));
    }

    #[test]
    fn large_files_go_where_tmpdir_says_unless_it_is_empty() {
        assert_eq!(place_of(Some("/scratch".into())), PathBuf::from("/scratch"));
        assert_eq!(
            [None, Some(OsString::new())].map(place_of),
            [PathBuf::from("/var/tmp"), PathBuf::from("/var/tmp")]
        );
    }
}
