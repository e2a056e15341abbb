//! Processes that elect, an API server that has one Lease, and a network between them that delays and loses. Time is
//! a number of milliseconds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// What happens to the next request, or to whoever sends it.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It takes this long to the server and back.
    Delay { there: u64, back: u64 },
    /// It is done, and the answer is lost.
    LostAnswer { there: u64 },
    /// It never arrives.
    LostRequest,
    /// The process is paused for this long before it goes on.
    Pause(u64),
    /// The process ends, and another one begins under another name.
    Restart,
    /// An administrator deletes the Lease.
    Deletion,
}

/// What happens at some time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A process goes on.
    Step { process: usize, turn: u64 },
    /// A request arrives at the server.
    Arrival { process: usize, turn: u64, request: Request, answered_after: Option<u64> },
    /// An answer arrives at a process.
    Answer { process: usize, turn: u64, answer: Answer },
    /// A process stops waiting for an answer.
    Timeout { process: usize, turn: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    Read,
    Write { holder: Option<String>, version: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Read(Option<(Option<String>, u64)>),
    Written(Option<String>, u64),
    Refused,
}

struct Process {
    elector: Elector,
    /// When its clock began, and how many hundredths of a second it goes in a second.
    clock: (u64, u64),
    /// When the request was sent that it waits for.
    sent: Moment,
    /// What of it comes later than this is from before.
    turn: u64,
    leads_since: Option<u64>,
    is_running: bool,
}

pub struct Network {
    timings: Timings,
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    processes: Vec<Process>,
    lease: Option<(Option<String>, u64)>,
    versions: u64,
    deleted: Option<u64>,
    faults: Vec<Fault>,
    next_fault: usize,
    both_led: Option<u64>,
}

impl Network {
    pub fn new(timings: Timings, clocks: [(u64, u64); 3], faults: Vec<Fault>) -> Self {
        let mut network = Self {
            timings,
            now: 0,
            events: BinaryHeap::new(),
            processes: Vec::new(),
            lease: None,
            versions: 0,
            deleted: None,
            faults,
            next_fault: 0,
            both_led: None,
        };
        for (process, clock) in clocks.into_iter().enumerate() {
            let elector = Elector::new(format!("{process}"), timings);
            let sent = Moment::ZERO;
            network.processes.push(Process {
                elector,
                clock,
                sent,
                turn: 0,
                leads_since: None,
                is_running: true,
            });
            network.after(0, Event::Step { process, turn: 0 });
        }
        network
    }

    pub fn now(&self) -> u64 {
        self.now
    }

    /// Returns when two processes first led at once, each by its own clock.
    pub fn both_led(&self) -> Option<u64> {
        self.both_led
    }

    /// Returns which process leads, and since when.
    pub fn leader(&self) -> Option<(usize, u64)> {
        (0..self.processes.len())
            .find(|process| self.leads(*process))
            .and_then(|process| Some((process, self.processes[process].leads_since?)))
    }

    pub fn kill(&mut self, process: usize) {
        self.processes[process].is_running = false;
    }

    /// Lets this number of events happen.
    pub fn run(&mut self, events: usize) {
        for _ in 0..events {
            self.happen();
        }
    }

    pub fn run_until(&mut self, time: u64) {
        while self.now < time {
            self.happen();
        }
    }

    fn happen(&mut self) {
        let Some(Reverse((time, event))) = self.events.pop() else { return };
        self.now = time;
        match event {
            Event::Step { process, turn } if self.waits(process, turn) => self.step(process),
            Event::Arrival { process, turn, request, answered_after } => {
                let answer = self.serve(request);
                if let Some(after) = answered_after {
                    self.after(after, Event::Answer { process, turn, answer });
                }
            }
            Event::Answer { process, turn, answer } if self.waits(process, turn) => {
                self.answered(process, answer);
            }
            Event::Timeout { process, turn } if self.waits(process, turn) => {
                let now = self.clock(process);
                self.processes[process].elector.failed(now);
                self.go_on(process, 0);
            }
            _ => {}
        }
        let leaders = (0..self.processes.len()).filter(|process| self.leads(*process)).count();
        if leaders > 1 {
            self.both_led.get_or_insert(self.now);
        }
    }

    fn waits(&self, process: usize, turn: u64) -> bool {
        self.processes[process].turn == turn && self.processes[process].is_running
    }

    fn leads(&self, process: usize) -> bool {
        let until = self.processes[process].elector.leads_until();
        self.processes[process].is_running && until.is_some_and(|until| self.clock(process) < until)
    }

    /// Returns what the clock of a process shows.
    fn clock(&self, process: usize) -> Moment {
        let (began, rate) = self.processes[process].clock;
        Moment::from_millis(began + self.now * rate / 100)
    }

    /// Returns how long a process takes for what is so long by its own clock.
    fn real(&self, process: usize, time: Duration) -> u64 {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        (millis * 100).div_ceil(self.processes[process].clock.1)
    }

    fn after(&mut self, millis: u64, event: Event) {
        self.events.push(Reverse((self.now + millis, event)));
    }

    fn go_on(&mut self, process: usize, millis: u64) {
        self.processes[process].turn += 1;
        let turn = self.processes[process].turn;
        self.after(millis, Event::Step { process, turn });
    }

    fn fault(&mut self) -> Fault {
        let fault = self.faults[self.next_fault % self.faults.len()];
        self.next_fault += 1;
        fault
    }

    fn step(&mut self, process: usize) {
        let now = self.clock(process);
        let request = match self.processes[process].elector.next(now) {
            Step::Wait(time) => {
                let millis = self.real(process, time).max(1);
                return self.go_on(process, millis);
            }
            Step::End(_) => return self.restart(process),
            Step::Read => Request::Read,
            Step::Write(LeaseWrite { holder, version, .. }) => Request::Write { holder, version },
        };
        let (there, back) = match self.fault() {
            Fault::Delay { there, back } => (Some(there), Some(back)),
            Fault::LostAnswer { there } => (Some(there), None),
            Fault::LostRequest => (None, None),
            Fault::Pause(millis) => return self.go_on(process, millis),
            Fault::Restart => return self.restart(process),
            Fault::Deletion => {
                if self.may_delete() {
                    self.lease = None;
                    self.deleted = Some(self.now);
                }
                return self.go_on(process, 1);
            }
        };
        let patience = self.processes[process].elector.patience(now);
        self.processes[process].sent = now;
        self.processes[process].turn += 1;
        let turn = self.processes[process].turn;
        let timeout = self.real(process, patience);
        self.after(timeout, Event::Timeout { process, turn });
        if let Some(there) = there {
            self.after(there, Event::Arrival { process, turn, request, answered_after: back });
        }
    }

    /// Who creates a Lease cannot name a version that it replaces, so one that is deleted while another process still
    /// thinks that there never was one, or has sent what creates it, has two holders for a moment.
    fn may_delete(&self) -> bool {
        let is_write = |Reverse((_, event)): &Reverse<(u64, Event)>| {
            matches!(event, Event::Arrival { request: Request::Write { .. }, .. })
        };
        self.deleted.is_none()
            && !self.events.iter().any(is_write)
            && self.processes.iter().all(|process| process.elector.has_been_there)
    }

    /// Another process begins. One that knows of no Lease cannot know that there was one a moment ago, so none begins
    /// soon after an administrator deleted it: that is what the manual says.
    fn restart(&mut self, process: usize) {
        let duration = u64::try_from(self.timings.duration.as_millis()).unwrap_or(u64::MAX) * 100 / 90;
        if let Some(deleted) = self.deleted.filter(|deleted| self.now < deleted + 2 * duration) {
            let wait = deleted + 2 * duration - self.now;
            return self.go_on(process, wait);
        }
        self.versions += 1;
        let identity = format!("{process}-{}", self.versions);
        self.processes[process].elector = Elector::new(identity, self.timings);
        self.go_on(process, 0);
    }

    fn serve(&mut self, request: Request) -> Answer {
        let Request::Write { holder, version } = request else { return Answer::Read(self.lease.clone()) };
        if self.lease.as_ref().map(|(_, version)| version.to_string()) != version {
            return Answer::Refused;
        }
        self.versions += 1;
        self.lease = Some((holder.clone(), self.versions));
        Answer::Written(holder, self.versions)
    }

    fn answered(&mut self, process: usize, answer: Answer) {
        let now = self.clock(process);
        let duration = self.timings.duration;
        let record = |holder: Option<String>, version: u64| LeaseRecord {
            holder,
            duration,
            transitions: 0,
            acquired: None,
            version: version.to_string(),
        };
        let led = self.leads(process);
        let Process { elector, sent, .. } = &mut self.processes[process];
        match answer {
            Answer::Read(lease) => elector.read(lease.map(|(holder, version)| record(holder, version)), now),
            Answer::Written(holder, version) => elector.wrote(record(holder, version), *sent, now),
            Answer::Refused => elector.failed(now),
        }
        if !led && self.leads(process) {
            self.processes[process].leads_since = Some(self.now);
        }
        self.go_on(process, 0);
    }
}
