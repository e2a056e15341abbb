//! How long a key takes while a version is typed over 10,000 known tags: from the key to what it selects on the
//! terminal.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use imgop_fakes::Catalog;
use imgop_terminal::{CTRL_C, CTRL_U, Terminal};

/// Tags that the source has: 100 release lines of 100 tags.
const TAGS: u32 = 10_000;
/// What is typed, key by key.
const TYPED: [&str; 2] = ["v0.5.x", ">=0.5 <0.7"];
const RUNS: usize = 5;

/// Returns the milliseconds of the slowest key, each key as the median of all runs.
pub async fn slowest_key_ms(plugin: &Path, home: &Path) -> f64 {
    let tags: Vec<String> = (0..TAGS).map(|n| format!("v0.{}.{}", n / 100, n % 100)).collect();
    let tags: Vec<(&str, &str)> = tags.iter().map(|tag| (tag.as_str(), "content")).collect();
    let source = Catalog::default().with("team/app", &tags).start().await;
    let mut command = Command::new(plugin);
    command.args(["copy", "--dry-run=client", &format!("{}/team/app", source.address)]).env("HOME", home);
    let runs: Vec<Vec<f64>> = tokio::task::block_in_place(|| (0..RUNS).map(|_| keys_ms(&command)).collect());
    let keys = 0..runs.first().map_or(0, Vec::len);
    let medians =
        keys.map(|key| super::median(runs.iter().filter_map(|run| run.get(key)).copied().collect()));
    medians.fold(0.0, f64::max)
}

/// Returns the milliseconds of each key.
fn keys_ms(command: &Command) -> Vec<f64> {
    let mut terminal = Terminal::start(command, 100);
    terminal.wait_for_question("Version or pattern");
    let mut times = Vec::new();
    for text in TYPED {
        terminal.press(CTRL_U);
        terminal.wait_for("; a tag, a pattern");
        for (start, key) in text.char_indices() {
            let typed = &text[..start + key.len_utf8()];
            let began = Instant::now();
            terminal.press(&key.to_string());
            terminal.wait_until(typed, |shown| shown.lines().any(|line| is_of(line, typed)));
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    terminal.press(CTRL_C);
    let _ = terminal.end();
    times
}

/// Returns whether a line says what a text selects.
fn is_of(line: &str, typed: &str) -> bool {
    let (line, typed) = (line.trim(), typed.trim());
    line.starts_with(&format!("{typed} selects ")) || line.ends_with(&format!(" begin with {typed}"))
}
