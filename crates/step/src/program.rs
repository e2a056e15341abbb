//! Programs that are waited for, whose output is read.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::Places;

/// Bytes of output that are read. A repository with 100,000 refs has 7 MB of them.
const MAX_OUTPUT: u64 = 64 << 20;
/// Bytes of a program's errors that are kept: the last ones.
const MAX_ERRORS: usize = 16 << 10;

/// Proxies are for every program that reaches the network.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/// A program with its arguments, an environment of our own, and no input.
#[derive(Debug)]
pub struct Program(Command);

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote.
    pub output: Vec<u8>,
    /// The end of what it wrote as errors.
    pub errors: String,
}

impl Program {
    /// Returns a program without arguments. Of the container's environment it has the proxies and the path of
    /// programs.
    pub fn new(name: &str, places: &Places) -> Self {
        let mut command = Command::new(name);
        command.env_clear().stdin(Stdio::null()).current_dir(places.scratch());
        let kept = PROXIES.iter().chain(&["PATH"]);
        command.envs(kept.filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("HOME", places.scratch()).env("TMPDIR", places.scratch()).env("LC_ALL", "C.UTF-8");
        Self(command)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Puts temporary files, which are large, into this folder.
    #[must_use]
    pub fn temporary_files(self, folder: &Path) -> Self {
        self.env("TMPDIR", folder)
    }

    /// Starts it with both outputs as pipes.
    pub fn start(mut self) -> io::Result<Child> {
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Runs it to its end. One that writes too much is ended.
    pub fn run(self) -> io::Result<Finished> {
        let mut child = self.start()?;
        let errors = child.stderr.take().map(|errors| thread::spawn(move || last_of(errors)));
        let mut output = Vec::new();
        if let Some(out) = child.stdout.take() {
            out.take(MAX_OUTPUT).read_to_end(&mut output)?;
            if output.len() as u64 == MAX_OUTPUT {
                // It may have ended by itself just now.
                let _ = child.kill();
            }
        }
        let code = child.wait()?.code();
        let errors = errors.and_then(|reader| reader.join().ok()).unwrap_or_default();
        Ok(Finished { code, output, errors })
    }
}

impl Finished {
    /// Whether it did what it was started for.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns its output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

/// Reads to the end and returns the last bytes.
fn last_of(mut reader: impl Read) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count) = reader.read(&mut buffer) {
        if count == 0 {
            break;
        }
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if kept.len() > 2 * MAX_ERRORS {
            kept.drain(..kept.len() - MAX_ERRORS);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Finished {
        let places = Places::of_container("/tmp");
        Program::new("/bin/sh", &places).arg("-c").arg(script).run().unwrap()
    }

    #[test]
    fn a_program_sees_nothing_of_our_environment_but_what_it_needs() {
        let names = shell("env | cut -d= -f1 | sort | tr '\\n' ' '").text();
        let extra: Vec<&str> = names
            .split_whitespace()
            .filter(|name| {
                !PROXIES.contains(name)
                    && !["HOME", "LC_ALL", "PATH", "PWD", "OLDPWD", "SHLVL", "TMPDIR", "_"].contains(name)
            })
            .collect();
        assert_eq!(extra, Vec::<&str>::new());
    }

    #[test]
    fn both_outputs_are_read_to_the_end_however_much_there_is() {
        let finished = shell("yes | head -c 300000 >&2; yes | head -c 300000; echo last >&2; exit 7");
        assert_eq!((finished.code, finished.output.len()), (Some(7), 300_000));
        assert!(finished.errors.len() <= 2 * MAX_ERRORS && finished.errors.ends_with("y\nlast\n"));
    }
}
