//! Runs the program in a place of its own: no cluster, no credentials, nothing of whoever runs the
//! tests.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use tempfile::TempDir;

use crate::schemas;

/// A home folder and what stands in it.
pub struct Program {
    home: TempDir,
    variables: Vec<(String, String)>,
    input: String,
}

/// What a run printed and how it ended.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: Vec::new(), input: String::new() }
    }

    /// Writes a file into the home folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn stdin(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    /// Runs it with arguments that are written as in a shell, but only spaces separate.
    pub fn run(&self, arguments: &str) -> Run {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Returns the home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns its environment: nothing else is set.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.home.path();
        let kubeconfig = home.join("kubeconfig");
        let own = [
            ("HOME", home.display().to_string()),
            ("PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/bin").to_owned()),
            ("KUBECONFIG", kubeconfig.display().to_string()),
            ("COLUMNS", "100".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("TZ", "UTC".to_owned()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        own.chain(self.variables.clone()).collect()
    }

    pub fn run_with<Argument: AsRef<OsStr>>(&self, arguments: &[Argument]) -> Run {
        let home = self.home.path();
        let mut command = cargo_bin_cmd!("kubectl-imgop");
        command
            .env_clear()
            .envs(self.environment())
            .current_dir(home)
            .args(arguments)
            .write_stdin(self.input.clone());
        let output = command.output().unwrap();
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&home.display().to_string(), "[HOME]");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        schemas::check(&stdout);
        Run { code: output.status.code().unwrap(), stdout, stderr }
    }
}

impl Run {
    /// Puts a name in the place of a registry's address. It is as long as an address with a port of
    /// five digits, so that tables stay aligned.
    pub fn naming(mut self, address: &str, name: &str) -> Self {
        for text in [&mut self.stdout, &mut self.stderr] {
            *text = text.replace(address, &format!("{name:.<15}"));
        }
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code: {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "----- {name} -----\n{text}")?;
            }
        }
        Ok(())
    }
}
