//! The cluster: the connection, and how objects of any kind are found, applied, watched and waited for.

pub mod agent;
mod answering;
pub mod apply;
pub mod awaited;
pub mod build_inputs;
pub mod changes;
mod connection;
mod credential_secrets;
pub mod errors;
pub mod lease;
pub mod objects;
pub mod pod_logs;
mod proxy;
pub mod registry_accesses;
mod time_limit;
pub mod wait_progress;
pub mod wait_until_ready;
pub mod waiting;
pub mod watch;
pub mod watch_faults;

pub use answering::{AnsweringCluster, CallError};
pub use connection::{Cluster, ConnectionArgs};
pub use time_limit::{TimeLimit, WaitLimit};

/// How long a cluster may take to answer a question that a command can do without.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
