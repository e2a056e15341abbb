//! One platform of a build: what the containers of its pod do, as processes of this program, one after the other, in a
//! folder that is removed afterwards.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use imgop_core::api::{ImageBuilderSpec, TlsMode};
use imgop_core::build::step::{PartInputs, StepFailure, StepInput, StepReport, place};
use imgop_core::build::{ArgValue, BuildCache, BuildRequest, ObservedInputs};
use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, RegistryHost};
use imgop_registry::{Credential, Tls, docker_config};
use imgop_step::Places;
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

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

    /// Runs one container to its end. What it prints goes to stderr. At a signal it ends what it has started.
    async fn process(
        &self,
        what: &str,
        folder: &Folder,
        document: &[String],
    ) -> Result<StepReport, CliError> {
        let cannot = |error: io::Error| CliError::failed(format!("cannot start the build: {error}"));
        let _ended_here = Uninterrupted::begin();
        let mut process = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg(STEP)
            .arg(folder.path())
            .arg(what)
            .args(document)
            .stdin(Stdio::null())
            .stdout(Stdio::from(io::stderr()))
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let ended = tokio::select! {
            ended = process.wait() => ended.map_err(cannot).map(drop),
            error = asked_to_end() => Err(end(&mut process, error).await),
            () = sleep(self.request.timeout) => {
                let error = CliError::failed("it took longer than spec.timeout");
                Err(end(&mut process, error).await)
            }
        };
        ended?;
        let report = fs::read_to_string(folder.path().join(REPORT)).unwrap_or_default();
        let report = StepReport::from_message(&report)
            .ok_or_else(|| CliError::failed(format!("{what} ended without a report")))?;
        match &report.failure {
            Some(failure) => Err(explained(failure)),
            None => Ok(report),
        }
    }
}

/// Lets a container end what it has started, and waits for it.
async fn end(process: &mut Child, error: CliError) -> CliError {
    if let Some(id) = process.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended just now.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    let _ = process.wait().await;
    error
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
        let place = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
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
