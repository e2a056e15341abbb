//! Where notifications go, and which.

use clap::{Args, ValueEnum};
use secrecy::SecretString;
use serde::Serialize;

/// Where notifications go, and which.
#[derive(Debug, Clone, Args)]
pub struct NotificationSettings {
    /// Address of a webhook that is sent what becomes of objects, as JSON; none if empty. One with a token belongs in
    /// `NOTIFICATION_URL_FILE`.
    #[arg(long, env = "NOTIFICATION_URL", default_value = "", hide_env_values = true)]
    pub notification_url: SecretString,

    /// File with that address, as a mounted Secret has it. It is read again for each notification.
    #[arg(long, env = "NOTIFICATION_URL_FILE", default_value = "")]
    pub notification_url_file: String,

    /// Which notifications are sent, separated by commas: failed (it is tried again), stalled (a user must change
    /// something), recovered, and succeeded (with something new).
    #[arg(
        long,
        env = "NOTIFICATION_EVENTS",
        default_value = "failed,stalled,recovered,succeeded",
        value_delimiter = ','
    )]
    pub notification_events: Vec<NotificationEvent>,
}

/// What has happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NotificationEvent {
    /// Something failed, and is tried again.
    Failed,
    /// Nothing more happens until a user changes something.
    Stalled,
    /// All is well again.
    Recovered,
    /// A sync or a build ended well, with something new.
    Succeeded,
}

impl NotificationEvent {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stalled => "stalled",
            Self::Recovered => "recovered",
            Self::Succeeded => "succeeded",
        }
    }
}
