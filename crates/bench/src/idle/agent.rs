//! The agent as a process of this machine.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgop_tests::{testbed_scripts, wait};
use tokio::process::{Child, Command};

use crate::setup::Setup;

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is 100 wherever Linux runs containers.
const TICKS: f64 = 100.0;

/// A running agent. It ends when this is dropped.
pub struct Agent {
    process: Child,
    log: PathBuf,
}

/// Memory in MB (of 1,000,000 bytes), to a tenth.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident.
    pub resident: f64,
    /// Resident, without the pages of the program's file, which the kernel can drop.
    pub anonymous: f64,
    /// The most that ever was resident.
    pub peak: f64,
}

impl Agent {
    /// Starts one and waits until it has read all Images.
    pub async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let log = setup.api_server.join("log/agent.log");
        // A free port; nothing else here takes one at this moment.
        let listen = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.local_addr()?;
        let mut command = Command::new(testbed_scripts().join("lib/launch"));
        command
            .arg(setup.api_server.join("run/agent"))
            .args([&log, &log])
            .arg("--")
            .arg(&setup.agent)
            .env("KUBECONFIG", setup.api_server.join("agent.kubeconfig"))
            .envs([("WATCH_NAMESPACES", "*"), ("SKOPEO_IMAGE", "unused")])
            .env("LISTEN", listen.to_string())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        // The servers are on this machine.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let process = command.spawn().context("the agent does not start")?;
        let agent = Self { process, log };
        agent
            .ready(listen)
            .await
            .with_context(|| format!("the agent does not get ready: see {}", agent.log.display()))?;
        Ok(agent)
    }

    async fn ready(&self, listen: SocketAddr) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        wait::poll("the agent is ready", Duration::from_mins(1), || async {
            self.pid()?;
            let answer = http.get(format!("http://{listen}/readyz")).send().await;
            Ok(answer.is_ok_and(|a| a.status().is_success()).then_some(()))
        })
        .await
    }

    /// Its memory now.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = self.proc("status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kilobytes: f64 =
                line.and_then(|l| l.trim().strip_suffix(" kB")).context("the agent has ended")?.parse()?;
            Ok::<_, anyhow::Error>((kilobytes * 1024.0 / 100_000.0).round() / 10.0)
        };
        Ok(Memory { resident: field("VmRSS")?, anonymous: field("RssAnon")?, peak: field("VmHWM")? })
    }

    /// The CPU seconds that it has used.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.proc("stat")?;
        // Behind the name, which may hold anything, stands the third field.
        let fields = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace();
        let ticks: Vec<f64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        ensure!(ticks.len() == 2, "no times in stat");
        Ok(ticks.iter().sum::<f64>() / TICKS)
    }

    /// Ends it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.process.kill().await.context("the agent does not end")
    }

    fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().with_context(|| format!("the agent has ended: see {}", self.log.display()))
    }

    fn proc(&self, name: &str) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{name}", self.pid()?))?)
    }
}
