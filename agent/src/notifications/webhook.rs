//! The webhook, and one request to it. Its address may hold a token, so that no error and no line of the log has it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::Notification;
use crate::config::NotificationSettings;

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a file with an address.
const MAX_URL_BYTES: usize = 8 * 1024;

/// Why there is no webhook, or no request to it.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is not known which one counts.
    #[error("NOTIFICATION_URL and NOTIFICATION_URL_FILE are both set; leave one of them out")]
    Both,
    /// The address is none.
    #[error("{0} holds no http:// or https:// address")]
    NoUrl(&'static str),
    /// The file with the address cannot be read.
    #[error("NOTIFICATION_URL_FILE cannot be read: {0}")]
    File(std::io::Error),
    /// TLS cannot be set up.
    #[error("cannot set up the webhook: {0}")]
    Client(reqwest::Error),
    /// The receiver does not answer.
    #[error("{host}: {what}")]
    NoAnswer {
        /// The host and the port.
        host: String,
        /// Why.
        what: &'static str,
    },
    /// The receiver answers that it has not taken it.
    #[error("{host} answers {status}")]
    Status {
        /// The host and the port.
        host: String,
        /// The answer.
        status: StatusCode,
    },
}

impl WebhookError {
    /// Returns whether the same notification may be taken later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                let of_client =
                    [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
                status.is_server_error() || of_client.contains(status)
            }
            Self::NoAnswer { .. } | Self::File(_) | Self::NoUrl(_) => true,
            Self::Both | Self::Client(_) => false,
        }
    }
}

/// Where the address stands.
enum Address {
    /// In a variable.
    Given(SecretString),
    /// In a file, which may change.
    File(PathBuf),
}

/// A webhook.
pub struct Webhook {
    address: Address,
    http: Client,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    /// Returns the webhook of these settings; none if none is set. An address that cannot be used is an error, so that it
    /// is noticed when the agent starts.
    pub fn new(settings: &NotificationSettings) -> Result<Option<Self>, WebhookError> {
        Self::with_timeout(settings, TIMEOUT)
    }

    pub(super) fn with_timeout(
        settings: &NotificationSettings,
        timeout: Duration,
    ) -> Result<Option<Self>, WebhookError> {
        let url = Some(&settings.notification_url).filter(|url| !url.expose_secret().is_empty());
        let file = Some(&settings.notification_url_file).filter(|file| !file.is_empty());
        let address = match (url, file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(WebhookError::Both),
            (Some(url), None) => Address::Given(url.clone()),
            (None, Some(file)) => Address::File(file.into()),
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let user_agent = concat!("imgop-agent/", env!("CARGO_PKG_VERSION"));
        // What it is sent is for one host alone.
        let builder = Client::builder().user_agent(user_agent).redirect(Policy::none()).referer(false);
        let builder = builder.retry(reqwest::retry::never()).timeout(timeout);
        let webhook = Self { address, http: builder.build().map_err(WebhookError::Client)? };
        webhook.url()?;
        Ok(Some(webhook))
    }

    /// Returns the host, which is all of the address that is shown.
    pub fn host(&self) -> String {
        self.url().map_or_else(|_| "the webhook".to_owned(), |url| host(&url))
    }

    /// Returns the address as it is now.
    fn url(&self) -> Result<Url, WebhookError> {
        let (text, setting) = match &self.address {
            Address::Given(url) => (url.clone(), "NOTIFICATION_URL"),
            Address::File(path) => {
                let text = std::fs::read_to_string(path).map_err(WebhookError::File)?;
                (SecretString::from(text), "NOTIFICATION_URL_FILE")
            }
        };
        let text = Some(text.expose_secret().trim()).filter(|text| text.len() <= MAX_URL_BYTES);
        let url = text.and_then(|text| Url::parse(text).ok());
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or(WebhookError::NoUrl(setting))
    }

    /// Sends a notification once.
    pub(super) async fn send(&self, notification: &Notification) -> Result<(), WebhookError> {
        let url = self.url()?;
        let host = host(&url);
        let body = serde_json::to_vec(notification).unwrap_or_default();
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(body);
        // The words of its errors have the address.
        let answer = request.send().await.map_err(|error| {
            let what = match error {
                _ if error.is_timeout() => "no answer in time",
                _ if error.is_connect() => "no connection",
                _ => "no answer",
            };
            WebhookError::NoAnswer { host: host.clone(), what }
        })?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(WebhookError::Status { host, status }) }
    }
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
