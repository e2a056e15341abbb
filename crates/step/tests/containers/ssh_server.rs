//! Debian's sshd, started for these tests alone: git over ssh, with a key.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::registry::ensure_programs;

/// A running server. It ends when the process that runs the tests does.
pub struct SshServer {
    port: u16,
    folder: PathBuf,
    /// The shell ends the server when the kernel closes its standard input.
    shell: Child,
}

impl SshServer {
    /// Starts a server that lets in who has its key, and keeps its files in this folder.
    pub fn start(folder: &Path) -> Self {
        ensure_programs();
        fs::create_dir_all(folder).unwrap();
        for name in ["host", "user", "other"] {
            let file = folder.join(name);
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status();
            assert!(made.unwrap().success());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = folder.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\nStrictModes no\n\
             UsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\n"
        );
        fs::write(folder.join("sshd_config"), config).unwrap();
        let script = "mkdir -p /run/sshd; /usr/sbin/sshd -D -e -f \"$1/sshd_config\" 2> \"$1/log\" & server=$!; cat; kill $server";
        let shell = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { port, folder: folder.to_owned(), shell };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(20), "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Returns the URL of a repository of this machine.
    pub fn url(&self, repository: &Path) -> String {
        format!("ssh://root@127.0.0.1:{}{}", self.port, repository.display())
    }

    /// Returns the key that it lets in, or another one.
    pub fn key(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// Returns a line for `known_hosts` with its own key, or another one.
    pub fn known_hosts(&self, name: &str) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.key(&format!("{name}.pub")))
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.shell.stdin.take().map(|mut stdin| stdin.flush());
        let _ = self.shell.wait();
    }
}
