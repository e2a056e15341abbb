//! Debian's docker-registry, started for these tests alone.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;

/// A running registry. It ends when the process that runs the tests does.
pub struct Registry {
    /// Host and port. It speaks plain HTTP.
    pub address: String,
    log: PathBuf,
    /// The shell ends the registry when the kernel closes its standard input, which it does at the end of the process
    /// at the latest.
    shell: Child,
}

/// Returns the folder of these tests, below cargo's.
pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("containers-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Returns a script of the test cluster.
pub fn testbed(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testbed").join(script)
}

/// Installs what these tests run.
pub fn ensure_programs() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let status = Command::new(testbed("build-programs")).stdin(Stdio::null()).status().unwrap();
        assert!(status.success(), "Debian's packages for builds cannot be installed");
    });
}

/// Returns the registry that all tests share. `base/busybox:1` is in it, for linux/amd64 and linux/arm64.
pub fn shared() -> &'static Registry {
    static SHARED: OnceLock<Registry> = OnceLock::new();
    SHARED.get_or_init(|| {
        let registry = Registry::start(None);
        let filled = Command::new(testbed("fill-registry"))
            .args([&registry.address, "base/busybox", "1"])
            .output()
            .unwrap();
        assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
        registry
    })
}

/// Returns `base/busybox:1` as Dockerfiles name it.
pub fn busybox() -> String {
    format!("{}/base/busybox:1", shared().address)
}

/// Returns a repository that no other test uses.
pub fn new_repository(registry: &Registry) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{}/built/image-{}", registry.address, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns credentials for a registry, as its file has them.
pub fn auth_file(registry: &Registry, user: &str, password: &str) -> String {
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.address)
}

impl Registry {
    /// Starts a registry that anyone may use, or only who has this password.
    pub fn start(login: Option<(&str, &str)>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        ensure_programs();
        let folder = folder().join(format!("registry-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(&folder).unwrap();
        let at = folder.display();
        let auth = login.map_or_else(String::new, |(user, password)| {
            let lines = Command::new("htpasswd").args(["-nbB", user, password]).output().unwrap().stdout;
            fs::write(folder.join("htpasswd"), lines).unwrap();
            format!("auth: {{htpasswd: {{realm: test, path: {at}/htpasswd}}}}\n")
        });
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http: {{addr: '127.0.0.1:0'}}\n{auth}"
        );
        fs::write(folder.join("config.yml"), config).unwrap();
        let log = folder.join("access.log");
        let script = "docker-registry serve \"$1\" > \"$2\" & registry=$!; cat; kill $registry";
        let mut shell = Command::new("bash")
            .args(["-c", script, "bash"])
            .args([folder.join("config.yml"), log.clone()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(shell.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split(['"', ',']).next().unwrap().to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { address: address.expect("the registry listens"), log, shell }
    }

    /// Returns how many requests of this method it had whose path has this text.
    pub fn requests(&self, method: &str, text: &str) -> usize {
        let log = fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains(&format!("\"{method} ")) && line.contains(text)).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
