//! A terminal with a program in it.

use std::fs::File;
use std::io::{Read as _, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rexpect::process::{PtyProcess, Signal, WaitStatus};
use rustix::process::{Pid, Signal as SystemSignal, kill_process};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

/// How long something may take to be shown.
const DEADLINE: Duration = Duration::from_mins(1);

/// How many rows are visible, and how many of all that was ever shown are kept.
const ROWS: [u16; 2] = [24, 500];

/// The key that takes what is typed or chosen.
pub const ENTER: &str = "\r";
/// The key that goes back.
pub const ESC: &str = "\u{1b}";
/// The key that interrupts.
pub const CTRL_C: &str = "\u{3}";
/// The key that deletes what is typed.
pub const CTRL_U: &str = "\u{15}";
/// The key that goes to the next row.
pub const DOWN: &str = "\u{1b}[B";

/// A terminal of 24 rows.
pub struct Terminal {
    process: PtyProcess,
    keyboard: File,
    /// What is shown, and everything as on a terminal that never scrolls.
    screens: Arc<Mutex<[vt100::Parser; 2]>>,
    reader: JoinHandle<()>,
}

/// How a program left its terminal.
pub struct Left {
    /// Its exit code.
    pub code: i32,
    /// All that was shown.
    pub text: String,
    /// An SVG of the same.
    pub picture: String,
    /// Whether the cursor is shown, and keys are again.
    pub is_restored: bool,
}

impl Terminal {
    /// Runs a program whose environment is that of the command.
    #[must_use]
    pub fn start(program: &Command, columns: u16) -> Self {
        Self::start_beside(program, columns, std::io::sink())
    }

    /// The same, and writes all that the program writes to a second place while it runs.
    #[must_use]
    pub fn start_beside(program: &Command, columns: u16, mut second: impl Write + Send + 'static) -> Self {
        let mut command = Command::new("/bin/sh");
        // A new terminal has no echo.
        command.args(["-c", "/usr/bin/stty sane; exec \"$@\"", "sh"]);
        command.arg(program.get_program()).args(program.get_args());
        // An environment that was cleared cannot be told from one that was not.
        command.env_clear().env("TERM", "xterm");
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        let process = PtyProcess::new(command).unwrap();
        let keyboard = process.get_file_handle().unwrap();
        let parser = |rows: u16| vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let screens = Arc::new(Mutex::new(ROWS.map(parser)));
        let (mut output, shown) = (process.get_file_handle().unwrap(), Arc::clone(&screens));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The terminal ends with the program.
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().iter_mut().for_each(|screen| screen.process(&buffer[..read]));
                let _ = second.write_all(&buffer[..read]).and_then(|()| second.flush());
            }
        });
        let terminal = Self { process, keyboard, screens, reader };
        terminal.resize(columns);
        terminal
    }

    /// Gives the terminal another width.
    pub fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: ROWS[0], ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keyboard, size).unwrap();
        for (screen, rows) in self.screens.lock().unwrap().iter_mut().zip(ROWS) {
            screen.screen_mut().set_size(rows.try_into().unwrap(), columns.try_into().unwrap());
        }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Returns an SVG of all that was shown and not erased.
    #[must_use]
    pub fn picture(&self) -> String {
        crate::picture(self.screens.lock().unwrap()[1].screen())
    }

    /// Returns what is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        self.screens.lock().unwrap()[0].screen().contents()
    }

    /// Waits until something is shown.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |shown| shown.contains(text));
    }

    /// Waits until this holds of what is shown.
    pub fn wait_until(&self, what: &str, is_met: impl Fn(&str) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_met(&self.shown()) {
            assert!(Instant::now() < end, "{what} is not shown:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a question is asked. What was answered before stands above it, with another mark.
    pub fn wait_for_question(&self, question: &str) {
        let is_asked = |line: &str| line.starts_with("? ") && line.contains(question);
        self.wait_until(question, |shown| shown.lines().any(is_asked));
    }

    /// Answers a question once it is asked.
    pub fn answer(&mut self, question: &str, keys: &str) {
        self.wait_for_question(question);
        self.press(keys);
    }

    /// Tells the program of another size once for each of its threads, each time by that thread if it takes signals.
    pub fn interrupt_each_thread(&self) {
        let program = tcgetpgrp(&self.keyboard).unwrap().as_raw_nonzero();
        for thread in std::fs::read_dir(format!("/proc/{program}/task")).unwrap() {
            let thread = thread.unwrap().file_name().into_string().unwrap().parse().unwrap();
            kill_process(Pid::from_raw(thread).unwrap(), SystemSignal::WINCH).unwrap();
            // A signal that comes while the same one is pending is lost.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the program as a system does that shuts down.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM).unwrap();
    }

    /// Waits until the program ends.
    #[must_use]
    pub fn end(self) -> Left {
        let end = Instant::now() + DEADLINE;
        let code = loop {
            match self.process.status() {
                Some(WaitStatus::Exited(_, code)) => break code,
                Some(WaitStatus::StillAlive) => {}
                other => panic!("the program ended with {other:?}:\n{}", self.shown()),
            }
            assert!(Instant::now() < end, "the program does not end:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(5));
        };
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        let is_echoed = modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        // What was written last is read to its end.
        self.reader.join().unwrap();
        let screens = self.screens.lock().unwrap();
        let is_restored = is_echoed && !screens[0].screen().hide_cursor();
        let screen = screens[1].screen();
        Left { code, text: screen.contents(), picture: crate::picture(screen), is_restored }
    }
}
