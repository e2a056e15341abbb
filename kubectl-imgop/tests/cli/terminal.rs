//! The program in a terminal.

use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use imgop_terminal::Terminal;

use crate::program::Program;

/// Runs the program with arguments that are written as in a shell, but only spaces separate.
pub fn start(program: &Program, arguments: &str, columns: u16) -> Terminal {
    let mut command = Command::new(cargo_bin!("kubectl-imgop"));
    command.args(arguments.split_whitespace()).envs(program.environment()).current_dir(program.home());
    Terminal::start(&command, columns)
}
