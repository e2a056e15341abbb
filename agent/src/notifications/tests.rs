use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use clap::Parser as _;
use imgop_core::api::conditions::{NewCondition, STALLED, merge, reasons};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::config::Config;

/// What a receiver does with a request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Never,
}

type Script = (UnboundedSender<serde_json::Value>, Arc<parking_lot::Mutex<Vec<Answer>>>);

/// A receiver that answers as it is told, and then well. Returns its address, and what it receives.
async fn receiver(answers: &[Answer]) -> (String, UnboundedReceiver<serde_json::Value>) {
    let (received, requests) = unbounded_channel();
    let script: Script = (received, Arc::new(parking_lot::Mutex::new(answers.to_vec())));
    let take = |State((received, answers)): State<Script>, body: String| async move {
        received.send(serde_json::from_str(&body).unwrap()).unwrap();
        let answer = {
            let mut answers = answers.lock();
            if answers.is_empty() { Answer::Status(204) } else { answers.remove(0) }
        };
        match answer {
            Answer::Status(status) => StatusCode::from_u16(status).unwrap(),
            Answer::Never => std::future::pending().await,
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/hook", axum::routing::post(take)).with_state(script);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}/hook?token=hunter2"), requests)
}

fn settings(arguments: &[&str]) -> NotificationSettings {
    let required = ["imgop-agent", "--watch-namespaces=*", "--skopeo-image=a:1"];
    Config::parse_from(required.iter().chain(arguments)).notifications
}

/// What a case has.
struct Case {
    notifications: Notifications,
    metrics: Metrics,
    told: Option<Box<Told>>,
    delivery: Option<Delivery>,
}

impl Case {
    fn new(arguments: &[&str]) -> Self {
        let (settings, metrics) = (settings(arguments), Metrics::new());
        let webhook = Webhook::with_timeout(&settings, Duration::from_secs(3)).unwrap();
        let (notifications, delivery) = Notifications::new(&settings, webhook, &metrics);
        let delivery = delivery.map(|delivery| delivery.pausing(Duration::from_millis(1)));
        Self { notifications, metrics, told: None, delivery }
    }

    fn tell(&mut self, reason: &'static str, is_stalled: bool, completed: u32) {
        let of = |type_, status| NewCondition {
            type_,
            status: Some(status),
            reason,
            message: "says so".to_owned(),
        };
        let ready = of(READY, reason == reasons::SUCCEEDED);
        let new = [ready].into_iter().chain(is_stalled.then(|| of(STALLED, true))).collect();
        let after = merge(&[], new, Some(1), Timestamp::UNIX_EPOCH);
        let owner = Owner {
            api_version: "skopeo.io/v1alpha1".into(),
            kind: "Image".into(),
            namespace: "team-a".to_owned(),
            name: "argocd".to_owned(),
            uid: "u".to_owned(),
        };
        let tags = ["v1".to_owned()];
        let completed = Completed { count: completed, tags: &tags[..completed.min(1) as usize] };
        self.notifications.tell(&owner, (&[], &after), completed, &mut self.told, Timestamp::UNIX_EPOCH);
    }

    /// Delivers what waits, until all of it is done.
    async fn deliver(mut self) -> String {
        let delivery = self.delivery.take().unwrap();
        self.notifications = Notifications::default();
        delivery.run().await;
        self.metrics.text().unwrap()
    }
}

fn has(text: &str, event: &str, result: &str) -> bool {
    text.contains(&format!("imgop_notifications_total{{event=\"{event}\",result=\"{result}\"}} 1\n"))
}

#[tokio::test]
async fn a_webhook_receives_what_happened_as_json_with_the_tags_that_are_new() {
    let (url, mut requests) = receiver(&[]).await;
    let mut case = Case::new(&[&format!("--notification-url={url}")]);
    case.tell(reasons::SUCCEEDED, false, 1);
    let text = case.deliver().await;
    assert!(has(&text, "succeeded", "delivered"), "{text}");
    insta::assert_json_snapshot!(requests.recv().await.unwrap());
}

#[tokio::test]
async fn a_receiver_that_is_slow_or_fails_is_sent_it_again_and_takes_it_once() {
    let faults = [Answer::Status(500), Answer::Never, Answer::Status(429)];
    let (url, mut requests) = receiver(&faults).await;
    let mut case = Case::new(&[&format!("--notification-url={url}")]);
    case.tell(reasons::REGISTRY_UNREACHABLE, false, 0);
    let text = case.deliver().await;
    assert!(has(&text, "failed", "delivered"), "{text}");
    let mut received = 0;
    while requests.try_recv().is_ok() {
        received += 1;
    }
    assert_eq!(received, faults.len() + 1);
}

#[tokio::test]
async fn a_notification_that_is_refused_or_fails_for_long_is_given_up_and_the_next_is_sent() {
    let faults = [[Answer::Status(400)].as_slice(), &[Answer::Status(503); 7]].concat();
    let (url, _requests) = receiver(&faults).await;
    let mut case = Case::new(&[&format!("--notification-url={url}")]);
    case.tell(reasons::REGISTRY_UNREACHABLE, false, 0);
    case.tell(reasons::INVALID_SPEC, true, 0);
    case.tell(reasons::SUCCEEDED, false, 0);
    let text = case.deliver().await;
    for (event, result) in [("failed", "refused"), ("stalled", "failed"), ("recovered", "delivered")] {
        assert!(has(&text, event, result), "{event} {result}: {text}");
    }
}

#[tokio::test]
async fn what_has_no_room_is_dropped_and_counted_and_nothing_waits_for_it() {
    let (url, _requests) = receiver(&[]).await;
    let mut case = Case::new(&[&format!("--notification-url={url}"), "--notification-events=succeeded"]);
    for _ in 0..=MAX_WAITING {
        case.tell(reasons::SUCCEEDED, false, 1);
        case.tell(reasons::INVALID_SPEC, true, 0);
        case.told = None;
    }
    let text = case.metrics.text().unwrap();
    assert!(has(&text, "succeeded", "dropped") && !text.contains("stalled"), "{text}");
}

#[tokio::test]
async fn the_address_is_read_from_its_file_each_time_and_is_in_no_error() {
    let (url, mut requests) = receiver(&[]).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"http://127.0.0.1:1/hook?token=hunter2\n").unwrap();
    let path = format!("--notification-url-file={}", file.path().display());
    let webhook = Webhook::new(&settings(&[&path])).unwrap().unwrap();
    let notification = Notification {
        version: VERSION,
        event: NotificationEvent::Failed,
        api_version: String::new(),
        kind: String::new(),
        namespace: String::new(),
        name: String::new(),
        uid: String::new(),
        reason: String::new(),
        message: String::new(),
        tags: Vec::new(),
        completed: 0,
        time: Timestamp::UNIX_EPOCH,
    };
    let error = webhook.send(&notification).await.unwrap_err();
    let shown = format!("{error} {error:?} {webhook:?} {}", webhook.host());
    assert!(!shown.contains("hunter2") && shown.starts_with("127.0.0.1:1: no connection"), "{shown}");
    std::fs::write(file.path(), url).unwrap();
    webhook.send(&notification).await.unwrap();
    assert!(requests.recv().await.is_some());
}

#[test]
fn an_address_that_is_none_is_an_error_without_it() {
    for (arguments, said) in [
        (
            vec!["--notification-url=hooks.example.com/hunter2"],
            "NOTIFICATION_URL holds no http:// or https:// address",
        ),
        (
            vec!["--notification-url=ftp://hunter2@example.com"],
            "NOTIFICATION_URL holds no http:// or https:// address",
        ),
        (vec!["--notification-url=http://a", "--notification-url-file=b"], "both set"),
        (vec!["--notification-url-file=/no/such/file"], "NOTIFICATION_URL_FILE cannot be read"),
    ] {
        let settings = settings(&arguments);
        let error = Webhook::new(&settings).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
    assert!(Webhook::new(&settings(&[])).unwrap().is_none());
}
