//! `run -f` with ImageBuilders, by the Buildah of this machine.

use imgop_fakes::{Background, StoringRegistry};
use serde_json::Value;

use crate::program::Program;

const REAL: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

fn builder(registry: &StoringRegistry, more: &str) -> String {
    let address = registry.address;
    format!(
        "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: app}}\nspec:\n  \
         source: |\n    FROM scratch\n    LABEL a=b\n  image: {{name: \"{address}/team/app\", version: v1, additionalTags: [latest]}}\n  {more}\n"
    )
}

#[test]
#[ignore = "needs Buildah and Skopeo: make test-builds"]
fn real_buildah_builds_each_platform_and_all_tags_show_one_index() {
    let registry = Background::of(StoringRegistry::start());
    let program = Program::new().variable("PATH", REAL);
    let file = program.file("app.yaml", &builder(&registry, "platforms: [linux/amd64, linux/arm64]"));
    let run = program.run(&format!("run -f {} -o json", file.display()));
    assert_eq!(run.code, 0, "{run}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let built = &document["builds"][0];
    assert_eq!(
        (&built["name"], built["references"].as_array().unwrap().len()),
        (&"app".into(), 2),
        "{document}"
    );
    let manifests = registry.manifests("team/app");
    let (v1, latest) = (&manifests["v1"], &manifests["latest"]);
    assert_eq!(v1, latest);
    let index: Value = serde_json::from_slice(&v1.1).unwrap();
    let platforms: Vec<&Value> =
        index["manifests"].as_array().unwrap().iter().map(|m| &m["platform"]["architecture"]).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
}

#[test]
#[ignore = "needs Buildah and Skopeo: make test-builds"]
fn real_buildah_puts_the_manifest_itself_of_one_platform_and_says_why_a_step_fails() {
    let registry = Background::of(StoringRegistry::start());
    let program = Program::new().variable("PATH", REAL);
    let file = program.file("app.yaml", &builder(&registry, "architecture: amd64"));
    let run = program.run(&format!("run -f {}", file.display()));
    assert_eq!(run.code, 0, "{run}");
    let address = registry.address;
    assert_eq!(run.stdout, format!("{address}/team/app:v1 built\n{address}/team/app:latest built\n"));
    let (_, bytes) = &registry.manifests("team/app")["v1"];
    let manifest: Value = serde_json::from_slice(bytes).unwrap();
    assert!(manifest["config"]["digest"].is_string(), "{manifest}");
    let fails = builder(&registry, "architecture: amd64").replace("LABEL a=b", "COPY nothing /");
    let run = program.run(&format!("run -f {}", program.file("fails.yaml", &fails).display()));
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run}");
    assert!(run.stderr.contains("ImageBuilder app: ") && run.stderr.contains("nothing"), "{run}");
}

/// A file with this build, and programs of which one does what this script says and the others do nothing.
#[cfg(target_os = "linux")]
fn scripted(name: &str, script: &str, build: &str) -> (Program, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::new();
    let version =
        "[ \"$1\" = --version ] && echo 'buildah version 1.41.0 (image-spec 1.1.1, runtime-spec 1.2.1)'";
    for (other, script) in [("buildah", version), ("skopeo", ""), ("git", ""), (name, script)] {
        let file = program.file(&format!("bin/{other}"), &format!("#!/bin/sh\n{script}\nexit 0\n"));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let file = program.file(
        "app.yaml",
        &format!(
            "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: app}}\nspec: {{architecture: amd64, \
             image: {{name: r.example.com/a/app, version: v1}}, {build}}}\n"
        ),
    );
    let path = format!("{}/bin:{REAL}", program.home().display());
    (program.variable("PATH", &path), file)
}

#[cfg(target_os = "linux")]
#[test]
fn a_step_that_is_killed_is_no_success_and_accuses_no_run_of_anything() {
    let script =
        "case \" $* \" in *' --version '*) echo 'buildah version 1.41.0';; *' build '*) kill -9 $PPID;; esac";
    let (program, file) = scripted("buildah", script, "source: FROM scratch");
    let run = program.run(&format!("run -f {}", file.display()));
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("ImageBuilder app: build was killed before its end"), "{run}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_build_has_started_ends_with_it() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let (program, file) = scripted("git", "", "context: {git: {url: 'https://git.example.com/a'}}");
    let started = program.home().join("started");
    let pid_file = started.display().to_string();
    program.file(
        "bin/git",
        &format!("#!/bin/sh\necho $$ > {pid_file}.new\nmv {pid_file}.new {pid_file}\nexec sleep 1000\n"),
    );
    let mut process = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kubectl-imgop"))
        .env_clear()
        .envs(program.environment())
        .args(["run", "-f"])
        .arg(file)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("git runs", || started.exists());
    let git: i32 = std::fs::read_to_string(&started).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(143));
    // It is not ours to reap.
    let has_ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{git}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    wait_until("git has ended", has_ended);
}

/// Waits for something that happens without a word.
#[cfg(target_os = "linux")]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_dry_run_says_what_would_be_pushed_and_what_is_wrong() {
    let registry = Background::of(StoringRegistry::start());
    let program = Program::new();
    let file = program.file("app.yaml", &builder(&registry, "architecture: amd64"));
    let dry = program.run(&format!("run -f {} --dry-run", file.display()));
    assert_eq!(dry.code, 0, "{dry}");
    assert!(dry.stdout.contains("Would push") && dry.stdout.contains("team/app"), "{dry}");
    assert_eq!(registry.count("P"), 0, "nothing is written");
    let wrong = builder(&registry, "architecture: amd64").replace("LABEL a=b", "COPPY a b");
    let dry = program.run(&format!("run -f {} --dry-run", program.file("wrong.yaml", &wrong).display()));
    assert_eq!(dry.code, 1, "{dry}");
}
