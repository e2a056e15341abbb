use std::time::Instant;

use super::*;

const WAKE_TIMEOUT: Duration = Duration::from_mins(10);
pub(super) const CAPS: Caps =
    Caps { in_all: 7, per_namespace: 5, per_owner: 3, of_kind: None, wake_timeout: WAKE_TIMEOUT };

pub(super) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(super) fn owner(namespace: &str, uid: &str) -> Owner {
    Owner {
        api_version: "v1".into(),
        kind: "Kind".into(),
        namespace: namespace.into(),
        name: uid.into(),
        uid: uid.into(),
    }
}

/// A budget, and who was woken.
pub(super) struct Scene {
    pub(super) budget: JobBudget,
    woken: Arc<Mutex<Vec<String>>>,
    pub(super) places: Vec<Place>,
}

impl Scene {
    pub(super) fn new(caps: Caps) -> Self {
        let woken = Arc::<Mutex<Vec<String>>>::default();
        let wakes = woken.clone();
        let budget = JobBudget::new(caps, move |owner| wakes.lock().push(owner.uid.clone()));
        Self { budget, woken, places: Vec::new() }
    }

    fn take_at(
        &mut self,
        namespace: &str,
        uid: &str,
        wanted: usize,
        now: Timestamp,
    ) -> (usize, Option<Full>) {
        let granted = self.budget.take(&owner(namespace, uid), wanted, now);
        let number = granted.places.len();
        self.places.extend(granted.places);
        (number, granted.full)
    }

    pub(super) fn take(&mut self, namespace: &str, uid: &str, wanted: usize) -> (usize, Option<Full>) {
        self.take_at(namespace, uid, wanted, now())
    }

    /// The Jobs of all places exist.
    pub(super) fn fill(&mut self) {
        for place in self.places.drain(..) {
            let (namespace, uid) = place.key.clone();
            let unfinished = self.budget.0.state.lock().owners[&place.key].unfinished;
            self.budget.set(&namespace, &uid, unfinished + 1);
            place.fill();
        }
    }

    pub(super) fn room(&self, namespace: &str, uid: &str, wanted: usize) -> (usize, Option<Full>) {
        self.budget.room(&owner(namespace, uid), wanted, now())
    }

    pub(super) fn woken(&self) -> Vec<String> {
        std::mem::take(&mut self.woken.lock())
    }
}

#[test]
fn b20_no_owner_no_namespace_and_no_crowd_passes_its_cap() {
    let mut scene = Scene::new(CAPS);
    assert_eq!(scene.take("x", "a", 2), (2, None));
    assert_eq!(scene.take("x", "a", 5), (1, Some(Full::Owner(3))));
    assert_eq!(scene.take("x", "b", 3), (2, Some(Full::Namespace(5))));
    assert_eq!(scene.take("y", "c", 3), (2, Some(Full::Agent(7))));
    assert_eq!(scene.room("z", "d", 1), (0, Some(Full::Agent(7))));
    scene.fill();
    scene.budget.leave("b");
    scene.budget.leave("c");
    scene.budget.set("x", "a", 0);
    assert_eq!(scene.take("z", "d", 1), (1, None));
    scene.places.clear();
    assert_eq!(scene.take("z", "e", 3), (3, None), "a place without a Job is free again");
}

#[test]
fn forged_jobs_of_many_owners_take_no_more_places_than_their_namespace_has() {
    let mut scene = Scene::new(CAPS);
    for owner in ["a", "b", "c", "d"] {
        scene.budget.set("x", owner, 3);
    }
    assert_eq!(scene.take("y", "e", 2), (2, None));
    assert_eq!(scene.take("z", "f", 1), (0, Some(Full::Agent(7))), "x counts for five of them");
    assert_eq!(scene.room("x", "a", 1), (0, Some(Full::Owner(3))));
    assert_eq!(scene.room("x", "g", 1), (0, Some(Full::Namespace(5))));
}

#[test]
fn forged_jobs_take_no_more_places_than_an_owner_has_and_none_of_another_namespace() {
    let mut scene = Scene::new(CAPS);
    scene.budget.set("x", "a", 1000);
    assert_eq!(scene.take("y", "b", 3), (3, None));
    let mut scene = Scene::new(CAPS);
    scene.budget.set("forger", "a", 3);
    assert_eq!(scene.take("x", "a", 3), (3, None), "its own UID, in its own namespace");
}

#[test]
fn a_place_that_becomes_free_goes_to_the_namespace_that_has_least() {
    let mut scene = Scene::new(CAPS);
    assert_eq!(scene.take("x", "a", 3), (3, None));
    assert_eq!(scene.take("y", "b", 3), (3, None));
    assert_eq!(scene.take("z", "c", 3), (1, Some(Full::Agent(7))));
    scene.fill();
    assert_eq!(scene.woken(), [""; 0]);
    scene.budget.set("x", "a", 2);
    assert_eq!(scene.woken(), ["c"]);
    assert_eq!(scene.take("y", "d", 2), (0, Some(Full::Queue)), "z waits and has less");
    assert_eq!(scene.take("x", "a", 1), (0, Some(Full::Queue)));
    assert_eq!(scene.take("z", "c", 2), (1, Some(Full::Agent(7))));
    scene.fill();
    // All have two and wait: the one that has waited longest is next.
    scene.budget.set("y", "b", 2);
    assert_eq!(scene.woken(), ["d"]);
    assert_eq!(scene.room("x", "a", 1), (0, Some(Full::Queue)));
    assert_eq!(scene.room("y", "d", 1), (1, None));
    let later = now() + WAKE_TIMEOUT;
    scene.budget.expire(later);
    assert_eq!(scene.woken(), ["a"], "d did not come");
    assert_eq!(scene.take_at("x", "a", 1, later), (1, None));
}

#[test]
fn an_owner_that_has_a_place_and_cannot_use_it_does_not_keep_others_from_theirs() {
    let mut scene = Scene::new(Caps { in_all: 1, ..CAPS });
    assert_eq!(scene.take("quota", "q", 2), (1, Some(Full::Agent(1))));
    scene.places.clear();
    assert_eq!(scene.take("x", "a", 1), (1, None));
    assert_eq!(scene.woken(), [""; 0]);
}

#[test]
fn within_a_namespace_whoever_came_first_is_next_and_asking_again_costs_no_turn() {
    let mut scene = Scene::new(Caps { in_all: 1, ..CAPS });
    assert_eq!(scene.take("x", "a", 1), (1, None));
    scene.fill();
    for uid in ["b", "c", "b"] {
        assert_eq!(scene.take("x", uid, 1), (0, Some(Full::Agent(1))));
    }
    scene.budget.set("x", "a", 0);
    assert_eq!(scene.woken(), ["b"]);
    scene.budget.leave("b");
    assert_eq!(scene.woken(), ["c"], "a suspended or deleted one hands its turn on");
    assert_eq!(scene.take("x", "c", 1), (1, None));
}

#[test]
fn ten_thousand_that_wait_cost_nothing_until_a_place_is_free() {
    let mut scene = Scene::new(Caps { in_all: 50, per_namespace: 10, per_owner: 5, ..CAPS });
    for number in 0..10_050 {
        scene.take(&format!("n{}", number % 200), &format!("u{number}"), 1);
    }
    assert_eq!(scene.places.len(), 50);
    scene.fill();
    assert_eq!(scene.woken(), [""; 0]);
    let began = Instant::now();
    for number in 0..1000 {
        scene.budget.set(&format!("n{}", number % 50), &format!("u{}", number % 50), 0);
        let woken = scene.woken();
        for uid in &woken {
            let namespace = format!("n{}", uid[1..].parse::<usize>().unwrap() % 200);
            scene.take(&namespace, uid, 1);
        }
        scene.fill();
    }
    let each = began.elapsed() / 1000;
    assert!(
        each < Duration::from_millis(20),
        "{each:?}; at one Job a second that is less than 2 % of a core"
    );
}

#[test]
fn one_that_is_woken_and_does_not_come_is_asked_again_after_all_others() {
    let mut scene = Scene::new(Caps { in_all: 1, ..CAPS });
    assert_eq!(scene.take("x", "a", 1), (1, None));
    scene.fill();
    for (namespace, uid) in [("idle", "ghost"), ("x", "b"), ("x", "c")] {
        assert_eq!(scene.take(namespace, uid, 1), (0, Some(Full::Agent(1))));
    }
    scene.budget.set("x", "a", 0);
    assert_eq!(scene.woken(), ["ghost"]);
    let later = now() + WAKE_TIMEOUT;
    scene.budget.expire(later);
    assert_eq!(scene.woken(), ["b"], "its namespace has as few places");
    scene.budget.leave("b");
    assert_eq!(scene.woken(), ["c"]);
    scene.budget.leave("c");
    assert_eq!(scene.woken(), ["ghost"], "it is still in the queue");
    assert_eq!(scene.take_at("idle", "ghost", 1, later), (1, None));
}

#[test]
fn an_owner_whose_pass_is_slow_keeps_its_turn_while_it_asks_for_its_room() {
    let mut scene = Scene::new(Caps { in_all: 1, ..CAPS });
    assert_eq!(scene.take("x", "a", 1), (1, None));
    scene.fill();
    for uid in ["slow", "b"] {
        assert_eq!(scene.take("x", uid, 1), (0, Some(Full::Agent(1))));
    }
    scene.budget.set("x", "a", 0);
    assert_eq!(scene.woken(), ["slow"]);
    let mut time = now();
    for _ in 0..3 {
        time += WAKE_TIMEOUT.checked_sub(Duration::from_secs(1)).unwrap();
        assert_eq!(scene.budget.room(&owner("x", "slow"), 1, time), (1, None));
        scene.budget.expire(time);
    }
    assert_eq!(scene.take_at("x", "b", 1, time), (0, Some(Full::Queue)));
    assert_eq!((scene.take_at("x", "slow", 1, time), scene.woken().len()), ((1, None), 0));
}

#[test]
fn an_owner_that_was_woken_and_gets_no_place_keeps_its_turn() {
    let mut scene = Scene::new(Caps { in_all: 1, ..CAPS });
    assert_eq!(scene.take("x", "a", 1), (1, None));
    scene.fill();
    for uid in ["b", "c"] {
        assert_eq!(scene.take("x", uid, 1), (0, Some(Full::Agent(1))));
    }
    scene.budget.set("x", "a", 0);
    scene.budget.set("x", "a", 1);
    assert_eq!(scene.woken(), ["b"]);
    assert_eq!(scene.take("x", "b", 1), (0, Some(Full::Agent(1))), "the place was taken by an adopted Job");
    scene.budget.set("x", "a", 0);
    assert_eq!(scene.woken(), ["b"]);
}

#[test]
fn a_pass_that_took_nothing_leaves_the_queue_and_one_that_asked_does_not() {
    let mut scene = Scene::new(Caps { in_all: 1, ..CAPS });
    assert_eq!(scene.take("x", "a", 1), (1, None));
    scene.fill();
    for uid in ["b", "c"] {
        assert_eq!(scene.take("x", uid, 1), (0, Some(Full::Agent(1))));
        scene.budget.end_pass(uid);
    }
    scene.budget.end_pass("b");
    scene.budget.set("x", "a", 0);
    assert_eq!(scene.woken(), ["c"]);
    scene.budget.end_pass("c");
    assert_eq!(scene.room("y", "d", 1), (1, None), "no place is kept for it");
}

#[test]
fn owners_that_do_not_exist_any_more_leave_the_queue() {
    let mut scene = Scene::new(Caps { in_all: 1, ..CAPS });
    assert_eq!(scene.take("x", "a", 1), (1, None));
    scene.fill();
    for uid in ["ghost", "other", "b"] {
        assert_eq!(scene.take("x", uid, 1), (0, Some(Full::Agent(1))));
    }
    scene.budget.set("x", "a", 0);
    assert_eq!(scene.woken(), ["ghost"]);
    scene.budget.retain_waiting(|owner| owner.uid == "b");
    assert_eq!(scene.woken(), ["b"]);
}
