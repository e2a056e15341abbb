//! command-picture PICTURE COMMAND...
//! Runs a command in a terminal as wide as a page, and makes a picture of the command and all that it shows: written with
//! `IMGOP_UPDATE`, else compared with the one that is there. Ends as the command does. `make pictures` runs this.
use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::Path;
use std::process::{Command, ExitCode};

use imgop_terminal::{Terminal, keep};

/// How wide the terminal is: what a page of documentation has room for.
const COLUMNS: u16 = 132;

/// How long a line of the command may be.
const LONGEST: usize = 100;

fn main() -> Result<ExitCode, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [picture, program, rest @ ..] = arguments.as_slice() else {
        return Err("usage: command-picture PICTURE COMMAND...".to_owned());
    };
    let typed = typed(program, rest);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "printf '$ %s\\n' \"$1\"; shift; exec \"$@\"", "sh", &typed, program]);
    command.args(rest).envs(std::env::vars_os());
    let is_watched = stdout().is_terminal();
    let terminal = if is_watched {
        Terminal::start_beside(&command, COLUMNS, stdout())
    } else {
        Terminal::start(&command, COLUMNS)
    };
    let left = terminal.end();
    if !is_watched {
        writeln!(stdout(), "{}", left.text).map_err(|error| error.to_string())?;
    }
    keep(Path::new(picture), &left.picture)?;
    Ok(ExitCode::from(u8::try_from(left.code).unwrap_or(1)))
}

/// Returns a command as one would type it, in several lines if it is long.
fn typed(program: &str, rest: &[String]) -> String {
    let (mut text, mut column) = (program.to_owned(), program.len());
    for word in rest {
        if column + word.len() > LONGEST && word.starts_with('-') {
            text.push_str(" \\\n   ");
            column = 3;
        }
        text.push(' ');
        text.push_str(word);
        column += word.len() + 1;
    }
    text
}
