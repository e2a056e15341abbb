//! What is still waited for, of several objects. Pure: from objects as they are seen to what is new.

use kube::core::DynamicObject;

use super::objects::FoundObject;
use crate::kinds::progress::{Goal, Progress};
use crate::kinds::{KindRef, ObjectRef};

/// What is still waited for.
#[derive(Debug)]
pub struct Awaited {
    open: Vec<Wait>,
    /// Whether the agent has had the time to notice what would end a block.
    is_noticed: bool,
}

/// One object.
#[derive(Debug)]
struct Wait {
    object: ObjectRef,
    uid: Option<String>,
    /// Whether it was seen since the wait began.
    is_seen: bool,
    goal: Goal,
    /// The agent's last message; nothing before it reconciled the object.
    message: Option<String>,
    /// The object as it was seen last, if the agent stopped for want of something that may have been done by now.
    blocked: Option<DynamicObject>,
    /// Whether the list that the watch began with holds it.
    is_listed: bool,
}

/// An object that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// Which.
    pub object: ObjectRef,
    /// Its UID, once it was seen.
    pub uid: Option<String>,
    /// The agent's last message; nothing before it reconciled the object.
    pub message: Option<String>,
}

/// What is new of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The agent has a new message.
    Message(String),
    /// What keeps it from being ready was reported before, and the agent checks it again; the agent's message. If it
    /// stays so, that is an error.
    CheckedAgain(String),
    /// It is ready; the agent's message.
    Ready(String),
    /// It ended otherwise; the agent's message.
    NotReady(String),
    /// This version cannot read it; why.
    Unreadable(String),
}

impl Wait {
    /// Returns whether this may have been reported before the wait began: it is what was seen first.
    fn may_be_old(&self, progress: &Result<Progress, String>) -> bool {
        let Ok(Progress::Unconfirmed(message)) = progress else { return false };
        self.message.as_ref().map_or(!self.is_seen, |known| known == message)
    }
}

impl Awaited {
    /// Nothing was seen yet.
    pub fn new(goals: &[(ObjectRef, Goal)]) -> Self {
        let wait = |(object, goal): &(ObjectRef, Goal)| Wait {
            object: object.clone(),
            uid: None,
            is_seen: false,
            goal: goal.clone(),
            message: None,
            blocked: None,
            is_listed: false,
        };
        let mut open: Vec<Wait> = Vec::new();
        for goal in goals {
            // Named twice is waited for once.
            if open.iter().all(|wait| wait.object != goal.0) {
                open.push(wait(goal));
            }
        }
        Self { open, is_noticed: false }
    }

    /// Returns whether nothing is waited for any more.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns those that the agent has not reconciled.
    pub fn unseen(&self) -> Vec<ObjectRef> {
        self.open.iter().filter(|wait| wait.message.is_none()).map(|wait| wait.object.clone()).collect()
    }

    /// Returns what is waited for still.
    pub fn under_way(&self) -> Vec<UnderWay> {
        let under_way = |wait: &Wait| UnderWay {
            object: wait.object.clone(),
            uid: wait.uid.clone(),
            message: wait.message.clone(),
        };
        self.open.iter().map(under_way).collect()
    }

    /// Takes note of an object as it is now; returns what is new of it.
    pub fn seen(&mut self, object: &ObjectRef, now: &DynamicObject) -> Option<News> {
        let index = self.open.iter().position(|wait| wait.object == *object)?;
        let wait = &mut self.open[index];
        wait.is_listed = true;
        wait.uid.clone_from(&now.metadata.uid);
        let progress = object.kind.progress(now, &wait.goal);
        let may_be_old = wait.may_be_old(&progress);
        wait.is_seen = true;
        let is_blocked = may_be_old || matches!(progress, Ok(Progress::Blocked(_)));
        wait.blocked = is_blocked.then(|| now.clone());
        let news = match progress {
            Ok(Progress::Unseen) => return None,
            Ok(Progress::Blocked(message)) if self.is_noticed => News::NotReady(message),
            Ok(Progress::Unconfirmed(message)) if self.is_noticed || !may_be_old => News::NotReady(message),
            Ok(Progress::Working(message) | Progress::Blocked(message) | Progress::Unconfirmed(message)) => {
                if wait.message.as_ref() == Some(&message) {
                    return None;
                }
                wait.message = Some(message.clone());
                return Some(if is_blocked { News::CheckedAgain(message) } else { News::Message(message) });
            }
            Ok(Progress::Ready(message)) => News::Ready(message),
            Ok(Progress::NotReady(message)) => News::NotReady(message),
            Err(why) => News::Unreadable(why),
        };
        self.open.remove(index);
        Some(news)
    }

    /// The agent has had the time to notice what would end a block. Returns those that are blocked still, as they were
    /// seen last, with the agent's message; they are not waited for any more.
    pub fn end_blocks(&mut self) -> Vec<(FoundObject, String)> {
        self.is_noticed = true;
        let blocked = self.open.extract_if(.., |wait| wait.blocked.is_some());
        let as_seen = |wait: Wait| {
            let object = FoundObject { kind: wait.object.kind, object: wait.blocked? };
            Some((object, wait.message.unwrap_or_default()))
        };
        blocked.filter_map(as_seen).collect()
    }

    /// Stops waiting for an object. Returns whether it was waited for.
    pub fn remove(&mut self, object: &ObjectRef) -> bool {
        let before = self.open.len();
        self.open.retain(|wait| wait.object != *object);
        self.open.len() < before
    }

    /// A watch of this kind begins, with a list of all objects.
    pub fn begin_list(&mut self, kind: KindRef) {
        for wait in self.open.iter_mut().filter(|wait| wait.object.kind == kind) {
            wait.is_listed = false;
        }
    }

    /// The list of this kind is complete. Returns those that it does not hold, which are not waited for any
    /// more.
    pub fn end_list(&mut self, kind: KindRef) -> Vec<ObjectRef> {
        let is_missing = |wait: &Wait| wait.object.kind == kind && !wait.is_listed;
        self.open.extract_if(.., |wait| is_missing(wait)).map(|wait| wait.object).collect()
    }

    /// Returns what is left, with the agent's last message.
    pub fn left(self) -> impl Iterator<Item = (ObjectRef, Option<String>)> {
        self.open.into_iter().map(|wait| (wait.object, wait.message))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::DEFAULT_KIND;

    fn image(status: &str) -> DynamicObject {
        let conditions = json!([{ "type": "Ready", "status": status, "reason": "Why", "message": "so it is",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
        serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "x", "generation": 1 },
            "spec": { "mode": "OneShot", "source": { "name": "a/b", "version": "1" }, "destination": { "name": "c/d" } },
            "status": { "observedGeneration": 1, "conditions": conditions },
        }))
        .unwrap()
    }

    fn object(name: &str) -> ObjectRef {
        ObjectRef::parse(name).unwrap()
    }

    fn ended(awaited: &mut Awaited) -> Vec<(DynamicObject, String)> {
        awaited.end_blocks().into_iter().map(|(found, message)| (found.object, message)).collect()
    }

    fn awaited() -> Awaited {
        Awaited::new(&["a", "b", "c"].map(|name| (object(name), Goal::Generation(1))))
    }

    #[test]
    fn each_is_waited_for_until_it_is_ready_and_prints_nothing_twice() {
        let mut awaited = awaited();
        assert_eq!(awaited.seen(&object("other"), &image("True")), None);
        assert_eq!(awaited.seen(&object("a"), &image("False")), Some(News::Message("so it is".into())));
        assert_eq!(awaited.seen(&object("a"), &image("False")), None);
        assert_eq!(awaited.unseen(), [object("b"), object("c")]);
        assert_eq!(awaited.seen(&object("b"), &image("True")), Some(News::Ready("so it is".into())));
        assert_eq!(awaited.seen(&object("b"), &image("False")), None, "it was ready once, which is enough");
        let left: Vec<_> = awaited.left().collect();
        assert_eq!(left, [(object("a"), Some("so it is".to_owned())), (object("c"), None)]);
    }

    #[test]
    fn what_is_blocked_is_waited_for_until_the_agent_has_had_the_time_to_notice() {
        let blocked = |name: &str| {
            let mut image = image("False");
            image.data["status"]["conditions"][0]["reason"] = json!("NamespaceNotEnabled");
            image.data["status"]["conditions"][0]["message"] = json!(name);
            image
        };
        let mut awaited = awaited();
        assert_eq!(awaited.seen(&object("a"), &blocked("a!")), Some(News::CheckedAgain("a!".into())));
        assert_eq!(awaited.seen(&object("b"), &blocked("b!")), Some(News::CheckedAgain("b!".into())));
        assert_eq!(awaited.seen(&object("b"), &image("True")), Some(News::Ready("so it is".into())));
        let mut seen_last = blocked("a!");
        seen_last.data["spec"]["suspend"] = json!(true);
        assert_eq!(awaited.seen(&object("a"), &seen_last), None);
        assert_eq!(ended(&mut awaited), [(seen_last, "a!".to_owned())]);
        assert_eq!(awaited.seen(&object("c"), &blocked("c!")), Some(News::NotReady("c!".into())));
        assert!(awaited.is_over());
    }

    #[test]
    fn a_cause_that_was_reported_before_the_wait_is_waited_for_until_the_agent_reports_again() {
        let of_secret = |message: &str| {
            let mut image = image("False");
            image.data["status"]["conditions"][0]["reason"] = json!("SecretUnusable");
            image.data["status"]["conditions"][0]["message"] = json!(message);
            image
        };
        let mut awaited = awaited();
        assert_eq!(
            awaited.seen(&object("a"), &of_secret("absent")),
            Some(News::CheckedAgain("absent".into()))
        );
        assert_eq!(awaited.seen(&object("a"), &of_secret("absent")), None, "a new list has the same report");
        assert_eq!(
            awaited.seen(&object("a"), &of_secret("no password")),
            Some(News::NotReady("no password".into()))
        );
        let mut unseen = of_secret("absent");
        unseen.data["status"]["observedGeneration"] = json!(0);
        assert_eq!(awaited.seen(&object("b"), &unseen), None);
        assert_eq!(awaited.seen(&object("b"), &of_secret("absent")), Some(News::NotReady("absent".into())));
        assert_eq!(
            awaited.seen(&object("c"), &of_secret("absent")),
            Some(News::CheckedAgain("absent".into()))
        );
        assert_eq!(ended(&mut awaited), [(of_secret("absent"), "absent".to_owned())]);
    }

    #[test]
    fn an_object_that_is_named_twice_is_waited_for_once() {
        let goal = || (object("a"), Goal::Generation(1));
        let mut awaited = Awaited::new(&[goal(), goal()]);
        assert!(awaited.seen(&object("a"), &image("True")).is_some() && awaited.is_over());
    }

    #[test]
    fn what_a_new_list_does_not_name_is_gone() {
        let mut awaited = awaited();
        awaited.seen(&object("a"), &image("False"));
        awaited.begin_list(DEFAULT_KIND);
        awaited.seen(&object("b"), &image("False"));
        assert_eq!(awaited.end_list(DEFAULT_KIND), [object("a"), object("c")]);
        assert!(awaited.remove(&object("b")) && !awaited.remove(&object("b")) && awaited.is_over());
    }

    #[test]
    fn an_object_that_cannot_be_read_is_not_waited_for() {
        let mut awaited = awaited();
        let mut unreadable = image("True");
        unreadable.data["spec"]["mode"] = json!("Never");
        assert!(matches!(awaited.seen(&object("a"), &unreadable), Some(News::Unreadable(_))));
        assert_eq!(awaited.seen(&object("a"), &unreadable), None);
        assert_eq!(awaited.unseen(), [object("b"), object("c")]);
    }
}
