//! Flags of other builders that change nothing here, or cannot be done: wrappers and Makefiles give them.

use clap::{ArgAction, Args};

use crate::cli_error::CliError;
use crate::output::Ui;

/// Flags that are taken and ignored, and flags that are refused with what to do instead.
#[derive(Debug, Clone, Default, Args)]
pub struct OtherBuildersArgs {
    #[command(flatten)]
    ignored: IgnoredArgs,

    /// Accepted: what is built is always pushed
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        hide_possible_values = true, help_heading = "As for docker build")]
    push: Option<bool>,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    load: bool,
    #[arg(long, hide = true, num_args = 0..=1)]
    ssh: Vec<String>,
    #[arg(long, hide = true)]
    allow: Vec<String>,
    #[arg(long, hide = true)]
    network: Option<String>,
    #[arg(long, hide = true)]
    add_host: Vec<String>,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    squash: bool,
    #[arg(long, hide = true)]
    build_context: Vec<String>,
}

/// Flags that change nothing: each build has a pod of its own, whose limits the ImageBuilder has.
#[derive(Debug, Clone, Default, Args)]
struct IgnoredArgs {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_rm: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compress: Option<String>,
    #[arg(long, hide = true)]
    ulimit: Vec<String>,
    #[arg(short = 'm', long, hide = true)]
    memory: Option<String>,
    #[arg(long, hide = true)]
    memory_swap: Option<String>,
    #[arg(long, hide = true)]
    shm_size: Option<String>,
    #[arg(short = 'c', long, hide = true)]
    cpu_shares: Option<String>,
    #[arg(long, hide = true)]
    cpu_period: Option<String>,
    #[arg(long, hide = true)]
    cpu_quota: Option<String>,
    #[arg(long, hide = true)]
    cpuset_cpus: Option<String>,
    #[arg(long, hide = true)]
    cpuset_mems: Option<String>,
    #[arg(long, hide = true)]
    cgroup_parent: Option<String>,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[arg(long, hide = true)]
    security_opt: Vec<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disable_content_trust: Option<String>,
}

impl OtherBuildersArgs {
    /// Notes what is ignored, and fails for what cannot be done.
    pub fn check(&self, ui: Ui) -> Result<(), CliError> {
        if let Some((flag, instead)) = self.refused() {
            return Err(CliError::usage(format!("{flag}: {instead}")));
        }
        let is_limit = |flag: &&str| flag.starts_with("--memory") || flag.starts_with("--cpu-");
        let (limits, others): (Vec<&str>, Vec<&str>) = self.ignored.given().into_iter().partition(is_limit);
        if !others.is_empty() {
            ui.note(&format!("ignored, since it changes nothing here: {}", others.join(", ")));
        }
        if !limits.is_empty() {
            ui.note(&format!(
                "ignored: {}; memory and CPU of a build are limited by spec.resources of the ImageBuilder, or by --job-memory and --job-cpu",
                limits.join(", ")
            ));
        }
        Ok(())
    }

    /// Returns the first flag that cannot be done, and what to do instead.
    fn refused(&self) -> Option<(&'static str, &'static str)> {
        let has_other_network = self.network.as_deref().is_some_and(|network| network != "default");
        let refused = [
            (
                self.push == Some(false),
                "--push=false",
                "an image that is built in the cluster is there only once it is pushed; leave it out, or check the \
                 Dockerfile with --check",
            ),
            (self.load, "--load", "no node is given the image; pull it by the digest that is printed"),
            (
                !self.ssh.is_empty(),
                "--ssh",
                "no agent of this machine reaches the cluster; give the key as a file with --secret id=…,src=…",
            ),
            (
                !self.allow.is_empty(),
                "--allow",
                "a build has no more rights than its pod; leave it out, and what needs host network or privileges too",
            ),
            (
                has_other_network,
                "--network",
                "a build has the network of its pod; restrict that by a NetworkPolicy",
            ),
            (
                !self.add_host.is_empty(),
                "--add-host",
                "names are resolved by the cluster's DNS; add the name there",
            ),
            (
                self.squash,
                "--squash",
                "layers of base images are kept as they are; merge the RUNs in the Dockerfile",
            ),
            (
                !self.build_context.is_empty(),
                "--build-context",
                "there is one context; name an image or a stage with COPY --from in the Dockerfile",
            ),
        ];
        refused.into_iter().find(|(is_given, ..)| *is_given).map(|(_, flag, instead)| (flag, instead))
    }
}

impl IgnoredArgs {
    /// Returns the flags that are given.
    fn given(&self) -> Vec<&'static str> {
        let given = [
            (self.rm.is_some(), "--rm"),
            (self.force_rm.is_some(), "--force-rm"),
            (self.compress.is_some(), "--compress"),
            (!self.ulimit.is_empty(), "--ulimit"),
            (self.memory.is_some(), "--memory"),
            (self.memory_swap.is_some(), "--memory-swap"),
            (self.shm_size.is_some(), "--shm-size"),
            (self.cpu_shares.is_some(), "--cpu-shares"),
            (self.cpu_period.is_some(), "--cpu-period"),
            (self.cpu_quota.is_some(), "--cpu-quota"),
            (self.cpuset_cpus.is_some(), "--cpuset-cpus"),
            (self.cpuset_mems.is_some(), "--cpuset-mems"),
            (self.cgroup_parent.is_some(), "--cgroup-parent"),
            (self.isolation.is_some(), "--isolation"),
            (!self.security_opt.is_empty(), "--security-opt"),
            (self.disable_content_trust.is_some(), "--disable-content-trust"),
        ];
        given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, flag)| flag).collect()
    }
}
