//! The agent's own program as a process of this machine, beside an API server alone.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::Condition as _;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::api_server::ApiServer;
use crate::{repository_root, testbed_scripts, wait};

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is 100 wherever Linux runs containers.
const TICKS: f64 = 100.0;

/// How long the agent's token holds, which is longer than any test.
const TOKEN_SECONDS: i64 = 6 * 60 * 60;

/// A running agent. It ends when this is dropped.
pub struct AgentProcess {
    process: Child,
    log: PathBuf,
    listen: SocketAddr,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// Resident, without the pages of the program's file, which the kernel can drop.
    pub anonymous: u64,
    /// The most that ever was resident.
    pub peak: u64,
}

impl AgentProcess {
    /// Starts a program with a kubeconfig and waits until it is ready. It is recorded in the folder of the
    /// API server, so that whatever ends that ends it too. It works whoever else does, unless a setting says otherwise.
    pub async fn start(
        program: &Path,
        kubeconfig: &Path,
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let agent = Self::launch(&Command::new(program), kubeconfig, folder, settings)?;
        agent.ready().await?;
        Ok(agent)
    }

    /// Starts a program as `start` does, with the environment of this command, and does not wait.
    pub fn launch(
        program: &Command,
        kubeconfig: &Path,
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        // A free port; nothing else here takes one at this moment.
        let listen = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.local_addr()?;
        let name = format!("agent-{}", listen.port());
        let log = folder.join(format!("log/{name}.log"));
        let mut command = Command::new(testbed_scripts().join("lib/launch"));
        command
            .arg(folder.join("run").join(name))
            .args([&log, &log])
            .arg("--")
            .arg(program.as_std().get_program())
            .env("KUBECONFIG", kubeconfig)
            .envs([("WATCH_NAMESPACES", "*"), ("SKOPEO_IMAGE", "unused"), ("LEADER_ELECT", "false")])
            // Registries of tests are on this machine too.
            .env("REGISTRY_LOOPBACK", "true")
            .envs(program.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))))
            .envs(settings.iter().copied())
            .env("LISTEN", listen.to_string())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        // The servers are on this machine.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let process = command.spawn().context("the agent does not start")?;
        Ok(Self { process, log, listen })
    }

    /// Waits until it is ready.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.says("", Duration::from_mins(1)).await
    }

    /// Waits until it is ready and says this of itself.
    pub async fn says(&self, text: &str, deadline: Duration) -> anyhow::Result<()> {
        let what = format!("the agent is ready and says {text:?}");
        wait::poll(&what, deadline, || async {
            self.pid()?;
            Ok(self.get("readyz").await.is_ok_and(|said| said.contains(text)).then_some(()))
        })
        .await
        .with_context(|| format!("see {}", self.log.display()))
    }

    /// Sends it a signal, such as `STOP`.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        // Every shell has its own `kill`; the program is not everywhere.
        let pid = self.pid()?.to_string();
        let status = Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", signal, &pid]).status().await?;
        ensure!(status.success(), "kill -{signal} {pid}: {status}");
        Ok(())
    }

    /// Waits until it has ended by itself, and returns its exit code.
    pub async fn ended(&mut self, deadline: Duration) -> anyhow::Result<Option<i32>> {
        let status = tokio::time::timeout(deadline, self.process.wait()).await;
        Ok(status.with_context(|| format!("the agent does not end: see {}", self.log.display()))??.code())
    }

    /// Where it serves its metrics.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Returns its metrics in Prometheus' format.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        self.get("metrics").await
    }

    /// Returns the value of a counter, of all its labels together.
    pub async fn counter(&self, name: &str) -> anyhow::Result<u64> {
        let metrics = self.metrics().await?;
        let values = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            rest.rsplit(' ').next()?.parse::<u64>().ok()
        });
        let values: Vec<u64> = values.collect();
        anyhow::ensure!(!values.is_empty(), "no counter {name}");
        Ok(values.iter().sum())
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let answer = http.get(format!("http://{}/{path}", self.listen)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Returns its memory now.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = self.proc("status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kibibytes: u64 = line
                .and_then(|line| line.trim().strip_suffix(" kB"))
                .context("the agent has ended")?
                .parse()?;
            Ok::<_, anyhow::Error>(kibibytes * 1024)
        };
        Ok(Memory { resident: field("VmRSS")?, anonymous: field("RssAnon")?, peak: field("VmHWM")? })
    }

    /// Returns the CPU seconds that it has used.
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

/// Installs what `manifests` has for an API server without nodes, waits until imgop's kinds are served, and returns a
/// kubeconfig with which the agent has its own service account and rights.
pub async fn install_account(server: &ApiServer) -> anyhow::Result<PathBuf> {
    apply_all(server, &["crds", "agent.yaml"]).await?;
    let crds: Api<CustomResourceDefinition> = Api::all(server.client().await?);
    for file in std::fs::read_dir(repository_root().join("manifests/crds"))? {
        let file = file?.path();
        let name = file.file_stem().and_then(OsStr::to_str).context("a file without a name")?;
        wait::until(&crds, name, "is established", Duration::from_secs(30), |crd| {
            is_crd_established().matches_object(Some(crd))
        })
        .await?;
    }
    kubeconfig_of_account(server).await
}

/// Applies a file or a folder of `manifests`, over whatever is there.
pub async fn apply(server: &ApiServer, manifest: &str) -> anyhow::Result<()> {
    apply_all(server, &[manifest]).await
}

/// Applies some of them, one after another.
async fn apply_all(server: &ApiServer, manifests: &[&str]) -> anyhow::Result<()> {
    let mut arguments = Vec::from(["apply", "--server-side", "--force-conflicts"].map(OsString::from));
    for manifest in manifests {
        arguments.push("-f".into());
        arguments.push(repository_root().join("manifests").join(manifest).into());
    }
    server.kubectl()?.run(arguments).await?.ok()?;
    Ok(())
}

/// Installs the agent's account and rights alone, and returns a kubeconfig of that account.
pub async fn account(server: &ApiServer) -> anyhow::Result<PathBuf> {
    apply(server, "agent.yaml").await?;
    kubeconfig_of_account(server).await
}

/// Writes a kubeconfig of the agent's account, which is there.
async fn kubeconfig_of_account(server: &ApiServer) -> anyhow::Result<PathBuf> {
    let accounts: Api<ServiceAccount> = Api::namespaced(server.client().await?, "imgop-system");
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let made = accounts.create_token_request("imgop-agent", &PostParams::default(), &request).await?;
    let token = made.status.context("there is no token")?.token;
    let mut config: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(server.kubeconfig())?)?;
    config["users"][0]["user"] = json!({ "token": token });
    config["contexts"][0]["context"]["namespace"] = "imgop-system".into();
    let file = server.folder().join("agent.kubeconfig");
    std::fs::write(&file, config.to_string())?;
    Ok(file)
}

/// Returns the memory that the shipped Deployment lets the agent have, in bytes.
pub fn memory_limit() -> anyhow::Result<u64> {
    let manifest = std::fs::read_to_string(repository_root().join("manifests/agent.yaml"))?;
    let limits = manifest.split_once("limits:").context("the manifest has no limits")?.1;
    let mebibytes = limits.lines().find_map(|line| line.trim().strip_prefix("memory: ")?.strip_suffix("Mi"));
    Ok(mebibytes.context("the manifest has no limit of memory in Mi")?.parse::<u64>()? << 20)
}
