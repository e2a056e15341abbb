//! What is still waited for, of several Images. Pure: from Images as they are seen to what is said.

use std::collections::BTreeMap;

use imgop_core::api::Image;

use crate::progress::{Goal, Progress, judge};

/// What is still waited for.
#[derive(Debug)]
pub struct Waiting {
    open: BTreeMap<String, Wait>,
}

/// One Image.
#[derive(Debug)]
struct Wait {
    goal: Goal,
    /// What the agent said last; empty before it looked at it.
    said: String,
    /// Whether it was there since the watch began anew.
    is_there: bool,
}

/// What an Image came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The agent says something new.
    Says(String),
    /// Every tag is at the destination; what the agent says.
    Ready(String),
    /// It ended otherwise; what the agent says.
    NotReady(String),
}

impl Waiting {
    /// Nothing was seen yet.
    pub fn new(goals: &[(String, Goal)]) -> Self {
        let wait = |goal: &Goal| Wait { goal: goal.clone(), said: String::new(), is_there: false };
        Self { open: goals.iter().map(|(name, goal)| (name.clone(), wait(goal))).collect() }
    }

    /// Whether nothing is waited for any more.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Those that the agent has not looked at.
    pub fn unseen(&self) -> Vec<String> {
        self.open.iter().filter(|(_, wait)| wait.said.is_empty()).map(|(name, _)| name.clone()).collect()
    }

    /// An Image as it is now; what is new of it.
    pub fn seen(&mut self, name: &str, image: &Image) -> Option<News> {
        let wait = self.open.get_mut(name)?;
        wait.is_there = true;
        match judge(image, &wait.goal) {
            Progress::Unseen => None,
            Progress::Working(message) if message == wait.said => None,
            Progress::Working(message) => {
                wait.said.clone_from(&message);
                Some(News::Says(message))
            }
            Progress::Ready(message) => {
                self.open.remove(name);
                Some(News::Ready(message))
            }
            Progress::NotReady(message) => {
                self.open.remove(name);
                Some(News::NotReady(message))
            }
        }
    }

    /// It is not waited for any more. Whether it was.
    pub fn gone(&mut self, name: &str) -> bool {
        self.open.remove(name).is_some()
    }

    /// The watch begins anew, and will name all that there are.
    pub fn begins_anew(&mut self) {
        self.open.values_mut().for_each(|wait| wait.is_there = false);
    }

    /// Those that the watch did not name since it began anew; they are not waited for any more.
    pub fn missing(&mut self) -> Vec<String> {
        let is_missing = |wait: &Wait| !wait.is_there;
        self.open.extract_if(.., |_, wait| is_missing(wait)).map(|(name, _)| name).collect()
    }

    /// Those that are left, with what the agent said last.
    pub fn left(self) -> impl Iterator<Item = (String, Option<String>)> {
        self.open.into_iter().map(|(name, wait)| (name, Some(wait.said).filter(|said| !said.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(status: &str) -> Image {
        let conditions = json!([{ "type": "Ready", "status": status, "reason": "Why", "message": "so it is",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
        serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "x", "generation": 1 },
            "spec": { "mode": "OneShot", "source": { "name": "a/b", "version": "1" }, "destination": { "name": "c/d" } },
            "status": { "observedGeneration": 1, "conditions": conditions },
        }))
        .unwrap()
    }

    fn waiting() -> Waiting {
        Waiting::new(&["a", "b", "c"].map(|name| (name.to_owned(), Goal::Generation(1))))
    }

    #[test]
    fn each_is_waited_for_until_it_is_ready_and_says_nothing_twice() {
        let mut waiting = waiting();
        assert_eq!(waiting.seen("other", &image("True")), None);
        assert_eq!(waiting.seen("a", &image("False")), Some(News::Says("so it is".into())));
        assert_eq!(waiting.seen("a", &image("False")), None);
        assert_eq!(waiting.unseen(), ["b", "c"]);
        assert_eq!(waiting.seen("b", &image("True")), Some(News::Ready("so it is".into())));
        assert_eq!(waiting.seen("b", &image("False")), None, "it was ready once, which is enough");
        let left: Vec<_> = waiting.left().collect();
        assert_eq!(left, [("a".to_owned(), Some("so it is".to_owned())), ("c".to_owned(), None)]);
    }

    #[test]
    fn what_a_new_list_does_not_name_is_gone() {
        let mut waiting = waiting();
        waiting.seen("a", &image("False"));
        waiting.begins_anew();
        waiting.seen("b", &image("False"));
        assert_eq!(waiting.missing(), ["a", "c"]);
        assert!(waiting.gone("b") && !waiting.gone("b") && waiting.is_over());
    }
}
