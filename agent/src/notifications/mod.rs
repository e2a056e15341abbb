//! Notifications of what becomes of objects, sent to a webhook.
//!
//! ```text
//! controller ─▶ news (pure) ─▶ queue (bounded) ─▶ delivery (one at a time, retried) ─▶ webhook
//! ```
//!
//! No pass waits for any of it: what has no room in the queue is dropped and counted.

mod delivery;
mod news;
mod webhook;

use imgop_core::api::conditions::{READY, find};
use imgop_core::text::shorten;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::cluster::owner::Owner;
use crate::config::{NotificationEvent, NotificationSettings};
use crate::metrics::Metrics;
pub use delivery::Delivery;
pub use news::Told;
pub use webhook::{Webhook, WebhookError};

/// Notifications that wait at most.
const MAX_WAITING: usize = 256;
/// Bytes of the message of a notification.
const MAX_MESSAGE_BYTES: usize = 1024;
/// What becomes of notifications.
const RESULTS: [&str; 4] = ["delivered", "refused", "failed", "dropped"];
/// What a notification is, for whoever reads several kinds of them.
const VERSION: &str = "imgop.notification/v1";

/// What a webhook receives, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    version: &'static str,
    /// What has happened.
    pub event: NotificationEvent,
    api_version: String,
    kind: String,
    namespace: String,
    /// The name of the object.
    pub name: String,
    uid: String,
    /// The reason of the Ready condition.
    pub reason: String,
    message: String,
    /// The first of the tags that are new.
    pub tags: Vec<String>,
    /// How many tags are new.
    completed: u32,
    time: Timestamp,
}

/// What a pass completed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Completed<'a> {
    /// How many tags.
    pub count: u32,
    /// The first of them.
    pub tags: &'a [String],
}

/// Where notifications go. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Notifications {
    queue: Option<Sender<Notification>>,
    events: Vec<NotificationEvent>,
    counts: Counts,
}

/// Notifications by what became of them.
type Counts = Family<OfNotification, Counter>;

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfNotification {
    event: &'static str,
    result: &'static str,
}

fn count(counts: &Counts, event: NotificationEvent, result: &'static str) {
    counts.get_or_create(&OfNotification { event: event.as_str(), result }).inc();
}

impl Notifications {
    /// Returns where notifications go that these settings want, and what delivers them; nothing does where no webhook is
    /// set.
    pub fn new(
        settings: &NotificationSettings,
        webhook: Option<Webhook>,
        metrics: &Metrics,
    ) -> (Self, Option<Delivery>) {
        let counts = Counts::default();
        let Some(webhook) = webhook else { return (Self::default(), None) };
        let help = "Notifications: delivered, refused by the receiver, failed in all tries, or dropped for want of room";
        metrics.register("notifications", help, counts.clone());
        // Without a zero before it, the first one would be no increase.
        for (event, result) in
            settings.notification_events.iter().flat_map(|event| RESULTS.map(|result| (event, result)))
        {
            drop(counts.get_or_create(&OfNotification { event: event.as_str(), result }));
        }
        let (queue, waiting): (_, Receiver<Notification>) = channel(MAX_WAITING);
        let delivery = Delivery::new(webhook, waiting, counts.clone());
        (Self { queue: Some(queue), events: settings.notification_events.clone(), counts }, Some(delivery))
    }

    /// Tells what is new with conditions that were written, if anything is; `told` is what was told of the object before.
    pub fn tell(
        &self,
        owner: &Owner,
        (before, after): (&[Condition], &[Condition]),
        completed: Completed<'_>,
        told: &mut Option<Box<Told>>,
        now: Timestamp,
    ) {
        let Some(queue) = &self.queue else { return };
        let (event, now_told) = news::news(told.take().map(|told| *told), before, after, completed.count);
        *told = now_told.map(Box::new);
        let Some(event) = event.filter(|event| self.events.contains(event)) else { return };
        let Some(ready) = find(after, READY) else { return };
        let notification = Notification {
            version: VERSION,
            event,
            api_version: owner.api_version.clone().into_owned(),
            kind: owner.kind.clone().into_owned(),
            namespace: owner.namespace.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
            reason: ready.reason.clone(),
            message: shorten(&ready.message, MAX_MESSAGE_BYTES).into_owned(),
            tags: completed.tags.to_vec(),
            completed: completed.count,
            time: now,
        };
        if queue.try_send(notification).is_err() {
            count(&self.counts, event, "dropped");
        }
    }
}

#[cfg(test)]
mod tests;
