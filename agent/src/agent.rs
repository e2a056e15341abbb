//! What the passes of all kinds share.

use std::sync::Arc;
use std::time::Duration;

use imgop_core::schedule::Uptime;
use imgop_registry::ecr::{EcrRepositories, EcrSettings, EcrTokens};
use imgop_registry::{Registries, RequestLimits, Settings, WriteGate};
use jiff::Timestamp;
use kube::Client;

use crate::cluster::config_maps::ConfigMaps;
use crate::cluster::events::Events;
use crate::cluster::rights::Rights;
use crate::cluster::secrets::Secrets;
use crate::config::Config;
use crate::config::given_credentials::GivenCredentials;
use crate::jobs::Jobs;
use crate::jobs::budget::{Caps, KindCap};
use crate::metrics::Metrics;
use crate::notifications::Notifications;
use crate::object_room::ObjectRoom;
use crate::registry_access::default_destinations::DefaultDestinations;
use crate::registry_access::{AccessResolver, Policies};
use crate::turns::Turns;

/// How long a pass may take to its first Job, with its wait for a turn and without the pages of tag lists.
const PASS_TIME: Duration = Duration::from_mins(5);

/// What kinds bring of their own to what all share.
#[derive(Debug, Clone, Copy)]
pub struct OfKinds {
    /// The annotations that they read of their Jobs.
    pub job_annotations: &'static [&'static str],
    /// Returns the cap of the Jobs of one kind, if one has a cap of its own.
    pub job_cap: fn(&Config) -> Option<KindCap>,
}

/// What the passes of all kinds share: nothing in it belongs to a kind.
pub struct Agent {
    /// The API server.
    pub client: Client,
    /// The agent's settings.
    pub config: Config,
    /// Connections, tokens and limits of all registries.
    pub registries: Registries,
    /// Tokens of ECR, from the agent's own AWS identity.
    pub ecr: EcrTokens,
    /// Repositories of ECR that are created where they are missing.
    pub ecr_repositories: EcrRepositories,
    /// Secrets that objects name.
    pub secrets: Secrets,
    /// `ConfigMaps` that objects name.
    pub config_maps: ConfigMaps,
    /// Credentials of the agent's own variables, for its own namespace.
    pub given: Vec<GivenCredentials>,
    /// Where images go that name no registry as their destination.
    pub destinations: Arc<DefaultDestinations>,
    /// What administrators allow the agent.
    pub rights: Arc<Rights>,
    /// What administrators grant namespaces at registries.
    pub policies: Policies,
    /// All Jobs, and how many there may be.
    pub jobs: Jobs,
    /// The room that there is for objects.
    pub object_room: ObjectRoom,
    /// Where events go.
    pub events: Events,
    /// Where notifications go.
    pub notifications: Notifications,
    /// Counters.
    pub metrics: Metrics,
    /// Bounds how many passes run at once, in all namespaces together.
    pub turns: Turns,
    /// When this process began.
    pub started: Timestamp,
    /// When the process before it was last known to work.
    pub earlier_heartbeat: Option<Timestamp>,
}

impl Agent {
    /// Returns an agent that knows nothing yet, and that may always write.
    pub fn new(client: Client, config: Config, metrics: Metrics, of_kinds: OfKinds) -> Self {
        Self::gated(client, config, metrics, of_kinds, WriteGate::open())
    }

    /// Returns an agent that knows nothing yet, and that writes to registries only while the gate is open. What holds
    /// for the API server is up to the client.
    pub fn gated(
        client: Client,
        config: Config,
        metrics: Metrics,
        of_kinds: OfKinds,
        write_gate: WriteGate,
    ) -> Self {
        let user_agent = concat!("imgop-agent/", env!("CARGO_PKG_VERSION"));
        let rights = Arc::new(Rights::new(client.clone(), config.service_account.clone()));
        let caps = Caps {
            in_all: config.max_jobs.into(),
            per_namespace: config.max_jobs_per_namespace.into(),
            per_owner: config.max_jobs_per_image.into(),
            of_kind: (of_kinds.job_cap)(&config),
            wake_timeout: PASS_TIME + Duration::from_secs(config.registry_list_timeout.into()),
        };
        // With settings that contradict each other the process does not start.
        let of_all = config.default_destination().unwrap_or_default();
        let policies = Policies::new(client.clone());
        let limiting = policies.clone();
        let request_limits = RequestLimits::new(move |host, port| limiting.request_limit(host, port));
        let aws = EcrSettings::of_environment(user_agent, |name| std::env::var(name).ok());
        let max_pending = Duration::from_secs(config.job_pending_seconds.into());
        Self {
            registries: Registries::new(Settings { write_gate, request_limits, ..config.registries() }),
            ecr: EcrTokens::new(aws.clone()),
            ecr_repositories: EcrRepositories::new(aws),
            secrets: Secrets::new(client.clone()),
            config_maps: ConfigMaps::new(client.clone()),
            given: Vec::new(),
            destinations: Arc::new(DefaultDestinations::new(policies.clone(), of_all)),
            policies,
            jobs: Jobs::new(
                client.clone(),
                rights.clone(),
                caps,
                max_pending,
                of_kinds.job_annotations,
                config.lent_namespace().to_owned(),
            ),
            rights,
            object_room: ObjectRoom::of(&config),
            events: Events::new(client.clone()),
            notifications: Notifications::default(),
            turns: Turns::new(config.max_concurrent_reconciles.into()),
            started: Timestamp::now(),
            earlier_heartbeat: None,
            metrics,
            config,
            client,
        }
    }

    /// Returns when agents ran.
    pub fn uptime(&self) -> Uptime {
        Uptime { started: self.started, earlier_heartbeat: self.earlier_heartbeat }
    }

    /// Returns the same agent as the successor of one that was last known to work at this time.
    #[must_use]
    pub fn after(self, earlier_heartbeat: Option<Timestamp>) -> Self {
        Self { earlier_heartbeat, ..self }
    }

    /// Returns the same agent with these credentials for its own namespace.
    #[must_use]
    pub fn lending(self, given: Vec<GivenCredentials>) -> Self {
        Self { given, ..self }
    }

    /// Returns the same agent with another identity at AWS.
    #[cfg(test)]
    #[must_use]
    pub fn at_aws(self, settings: EcrSettings) -> Self {
        let (ecr, ecr_repositories) = (EcrTokens::new(settings.clone()), EcrRepositories::new(settings));
        Self { ecr, ecr_repositories, ..self }
    }

    /// Returns the same agent, which sends its notifications there.
    #[must_use]
    pub fn notifying(self, notifications: Notifications) -> Self {
        Self { notifications, ..self }
    }

    /// Returns what endpoints are resolved with.
    pub fn registry_access(&self) -> AccessResolver<'_> {
        AccessResolver {
            policies: &self.policies,
            agent_namespace: self.config.agent_namespace(),
            given: &self.given,
            secrets: &self.secrets,
            rights: &self.rights,
            ecr: &self.ecr,
        }
    }
}
