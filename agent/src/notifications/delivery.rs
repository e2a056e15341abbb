//! Delivers notifications one after the other, each again until the receiver takes it or it is given up.

use std::time::Duration;

use imgop_core::time::backoff;
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep;

use super::{Counts, Notification, Webhook, WebhookError, count};

/// How often a notification is sent at most: with these pauses, for about two minutes. Others wait meanwhile.
const MAX_TRIES: u32 = 7;
/// The first pause; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest one.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// What delivers notifications.
#[derive(Debug)]
pub struct Delivery {
    webhook: Webhook,
    waiting: Receiver<Notification>,
    counts: Counts,
    first_pause: Duration,
}

impl Delivery {
    pub(super) fn new(webhook: Webhook, waiting: Receiver<Notification>, counts: Counts) -> Self {
        Self { webhook, waiting, counts, first_pause: FIRST_PAUSE }
    }

    /// The same with another first pause.
    #[cfg(test)]
    pub(super) fn pausing(self, first_pause: Duration) -> Self {
        Self { first_pause, ..self }
    }

    /// Delivers until nothing can come any more.
    pub async fn run(mut self) {
        while let Some(notification) = self.waiting.recv().await {
            let result = self.deliver(&notification).await;
            let word = match &result {
                Ok(()) => "delivered",
                Err(error) if error.is_transient() => "failed",
                Err(_) => "refused",
            };
            count(&self.counts, notification.event, word);
            if let Err(error) = result {
                let event = notification.event.as_str();
                tracing::warn!(%error, event, "a notification is given up");
            }
        }
    }

    async fn deliver(&self, notification: &Notification) -> Result<(), WebhookError> {
        let mut tries = 1;
        loop {
            match self.webhook.send(notification).await {
                Err(error) if error.is_transient() && tries < MAX_TRIES => {
                    tracing::debug!(%error, count = tries, "a notification is sent again");
                }
                result => return result,
            }
            sleep(backoff(self.first_pause, MAX_PAUSE, tries - 1)).await;
            tries += 1;
        }
    }
}
