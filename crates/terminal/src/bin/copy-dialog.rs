//! copy-dialog SOURCE DESTINATION SECRET PICTURES COMMAND...
//! Answers the questions of `kubectl imgop copy`, which COMMAND runs, as a user who copies v2.13.x of
//! SOURCE to DESTINATION with the login of SECRET types them. Shows the terminal meanwhile, and
//! makes pictures of it in the folder PICTURES: written with `IMGOP_UPDATE`, else compared with those that are there; none without a
//! folder (""). `make demo` and `make pictures` run this.
use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use imgop_terminal::{CTRL_U, DOWN, ENTER, Terminal, keep};

/// How wide the terminal is: what a page of documentation has room for.
const COLUMNS: u16 = 100;

/// How long a key takes where a person watches.
const KEY: Duration = Duration::from_millis(70);

fn main() -> Result<ExitCode, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, destination, secret, pictures, program, rest @ ..] = arguments.as_slice() else {
        return Err("usage: copy-dialog SOURCE DESTINATION SECRET PICTURES COMMAND...".to_owned());
    };
    let mut command = Command::new(program);
    command.args(rest).envs(std::env::vars_os());
    let is_watched = stdout().is_terminal();
    let mut typist = Typist {
        terminal: if is_watched {
            Terminal::start_beside(&command, COLUMNS, stdout())
        } else {
            Terminal::start(&command, COLUMNS)
        },
        key: if is_watched { KEY } else { Duration::ZERO },
    };

    typist.answer("Copy from", source);
    typist.write("Version or pattern", "v2.13.x");
    typist.terminal.wait_for("v2.13.x selects");
    let pattern = picture(pictures, "copy-pattern.svg", &typist.terminal);
    typist.press(ENTER);
    typist.answer("leave any out?", "");
    typist.answer("Platforms", "");
    typist.answer("Copy to", &format!("{CTRL_U}{destination}"));
    typist.choose("Credentials for the destination", &format!("Secret {secret}"));
    typist.answer("When", "");
    typist.answer("Check the source every", "");
    typist.terminal.wait_for_question("Copy ");
    let plan = picture(pictures, "copy-plan.svg", &typist.terminal);
    typist.press("y");
    let left = typist.terminal.end();
    if !is_watched {
        writeln!(stdout(), "{}", left.text).map_err(|error| error.to_string())?;
    }
    pattern.and(plan)?;
    Ok(ExitCode::from(u8::try_from(left.code).unwrap_or(1)))
}

fn picture(folder: &str, name: &str, terminal: &Terminal) -> Result<(), String> {
    if folder.is_empty() { Ok(()) } else { keep(&Path::new(folder).join(name), &terminal.picture()) }
}

/// Types as fast as a reader can follow.
struct Typist {
    terminal: Terminal,
    key: Duration,
}

impl Typist {
    fn press(&mut self, key: &str) {
        sleep(self.key * 5);
        self.terminal.press(key);
    }

    /// Types, once it is asked, and leaves it open.
    fn write(&mut self, question: &str, text: &str) {
        self.terminal.wait_for_question(question);
        sleep(self.key * 10);
        for character in text.chars() {
            self.terminal.press(&character.to_string());
            sleep(self.key);
        }
    }

    /// Answers a question once it is asked.
    fn answer(&mut self, question: &str, text: &str) {
        self.write(question, text);
        self.press(ENTER);
    }

    /// Chooses a row, once it is asked. The chosen one stands behind `❯`.
    fn choose(&mut self, question: &str, row: &str) {
        self.terminal.wait_for_question(question);
        self.terminal.wait_for(row);
        let above = self
            .terminal
            .shown()
            .lines()
            .filter(|line| line.starts_with(['❯', ' ']))
            .position(|line| line.contains(row));
        for _ in 0..above.unwrap_or_default() {
            self.press(DOWN);
        }
        let is_chosen = |line: &str| line.starts_with('❯') && line.contains(row);
        self.terminal.wait_until(row, |shown| shown.lines().any(is_chosen));
        self.press(ENTER);
    }
}
