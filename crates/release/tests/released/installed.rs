//! krew installs the archives by the manifest's own rules.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use imgop_release::pack::MANIFEST;
use imgop_release::target::{Arch, Os, TARGETS};
use tempfile::TempDir;

use crate::{VERSION, given, manifest, released};

/// A user's home folder without anything in it.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn installed(&self, path: &str) -> PathBuf {
        self.folder.path().join(".krew").join(path)
    }

    /// A command that knows this home, kubectl, and the plugins that krew has installed.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let paths = [self.installed("bin"), given("IMGOP_KUBECTL"), "/usr/bin".into(), "/bin".into()];
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.folder.path()).env("PATH", std::env::join_paths(paths).unwrap());
        command
    }

    /// Installs an archive on a machine of this platform.
    fn install(&self, archive: &Path, os: &str, arch: &str) -> Output {
        let mut krew = self.command(given("IMGOP_KREW"));
        krew.arg("install").arg("--manifest").arg(released(MANIFEST)).arg("--archive").arg(archive);
        krew.env("KREW_OS", os).env("KREW_ARCH", arch).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(os: Os, arch: Arch) -> (&'static str, &'static str) {
    let os = match os {
        Os::Linux => "linux",
        Os::Darwin => "darwin",
        Os::Windows => "windows",
    };
    let arch = match arch {
        Arch::Amd64 => "amd64",
        Arch::Arm64 => "arm64",
    };
    (os, arch)
}

#[test]
fn krew_installs_the_plugin_and_kubectl_runs_it() {
    let home = Home::new();
    let arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::Amd64 };
    let target = TARGETS.iter().find(|target| target.os == Os::Linux && target.arch == arch).unwrap();
    let (os, arch) = names(target.os, target.arch);
    let output = home.install(&released(&target.archive(VERSION)), os, arch);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = home.command("kubectl").args(["imgop", "version", "--client"]).output().unwrap();
    let printed = text(&output.stdout);
    // With the commit that it was built from.
    assert!(printed.starts_with(&format!("Client: v{VERSION} (")), "{printed}{}", text(&output.stderr));
}

#[test]
fn every_archive_is_installed_by_the_rules_of_its_platform() {
    for platform in manifest().spec.platforms {
        let (os, arch) = names(platform.selector.match_labels.os, platform.selector.match_labels.arch);
        let home = Home::new();
        let archive = released(platform.uri.rsplit('/').next().unwrap());
        let output = home.install(&archive, os, arch);
        assert!(output.status.success(), "{os} {arch}: {}", text(&output.stderr));
        let store = home.installed(&format!("store/imgop/v{VERSION}"));
        for file in [platform.bin.as_str(), "LICENSE"] {
            assert!(store.join(file).is_file(), "{os} {arch}: {file}");
        }
    }
}

#[test]
fn krew_refuses_an_archive_with_another_checksum() {
    let home = Home::new();
    let platform = &manifest().spec.platforms[0];
    let (os, arch) = names(platform.selector.match_labels.os, platform.selector.match_labels.arch);
    let mut content = std::fs::read(released(platform.uri.rsplit('/').next().unwrap())).unwrap();
    content.push(0);
    let archive = home.folder.path().join("changed.tar.gz");
    std::fs::write(&archive, content).unwrap();
    let output = home.install(&archive, os, arch);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("checksum does not match"), "{}", text(&output.stderr));
    assert!(!home.installed("bin/kubectl-imgop").exists());
}
