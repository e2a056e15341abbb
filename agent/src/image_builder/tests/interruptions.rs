//! Builds whose agent is killed at each of its writes, or stands still there while another one builds.

use imgop_core::api::{BuildResult, ImageBuilderStatus};
use imgop_fakes::{Interruption, Moment};

use super::world::{BUILDER, EVENTS, JOBS, Outcome, Place, SECRETS, World};

/// The build whose writes are counted.
#[derive(Debug, Clone, Copy)]
enum Scenario {
    /// The first one.
    First,
    /// One for a new spec and a new Secret, after another one that has succeeded.
    AfterAnother,
    /// The same, which replaces one that runs.
    ReplacesAnother,
}

impl Scenario {
    const ALL: [Self; 3] = [Self::First, Self::AfterAnother, Self::ReplacesAnother];

    /// Goes on to the moment from which on writes are counted.
    async fn prepare(self, world: &mut World<'_>) {
        let agent = &mut world.start(None);
        match self {
            Self::First => return,
            Self::AfterAnother => _ = world.until_rest(agent).await.unwrap(),
            Self::ReplacesAnother => {
                world.until_quiet(agent).await;
                assert!(world.end_a_job(1));
                world.until_quiet(agent).await;
                assert_eq!(world.api.list(JOBS).len(), 2);
            }
        }
        world.edit();
    }

    /// The number of the build.
    fn build(self) -> u64 {
        match self {
            Self::First => 1,
            Self::AfterAnother | Self::ReplacesAnother => 2,
        }
    }

    /// Some of its writes, so that none of these kinds is missed. Each write is a moment of the test, whatever it is.
    fn writes(self) -> Vec<String> {
        let manifests =
            ["app/manifests/sha256:", "app/manifests/v1", "app/manifests/latest", "copy/manifests/v1"];
        let mut writes = manifests.map(|path| format!("PUT /v2/{path}")).to_vec();
        writes.extend([format!("POST {JOBS}"), format!("PATCH {BUILDER}/status"), format!("POST {EVENTS}")]);
        writes.extend(match self {
            Self::First => vec![format!("POST {SECRETS}")],
            Self::AfterAnother | Self::ReplacesAnother => {
                vec![format!("DELETE {JOBS}/"), format!("PUT {SECRETS}/")]
            }
        });
        writes
    }
}

/// What comes of a build whose agent is not interrupted.
struct Undisturbed {
    outcome: Outcome,
    events: Vec<String>,
    /// The writes of the agent.
    writes: Vec<String>,
}

impl Undisturbed {
    async fn run(place: &Place, scenario: Scenario) -> Self {
        let mut world = World::new(place);
        scenario.prepare(&mut world).await;
        let agent = &mut world.start(None);
        let writes = world.until_rest(agent).await.unwrap();
        for wanted in scenario.writes() {
            assert!(
                writes.iter().any(|line| line.starts_with(&wanted)),
                "{scenario:?}: no {wanted} in {writes:#?}"
            );
        }
        let status: ImageBuilderStatus = serde_json::from_value(world.status()).unwrap();
        assert_eq!(
            status.history.last().map(|build| build.result),
            Some(BuildResult::Succeeded),
            "{status:?}"
        );
        Self { outcome: world.outcome(), events: world.events(), writes }
    }

    /// Each write, before and after the server does it, with what it is.
    fn moments(&self) -> impl Iterator<Item = (Moment, &String)> {
        let both = |(write, line)| [false, true].map(|is_done| (Moment { write, is_done }, line));
        (1..).zip(&self.writes).flat_map(both)
    }
}

/// Runs a build whose agent is killed. `meanwhile` says whether the Jobs of the build end before the next one starts.
async fn killed(place: &Place, scenario: Scenario, moment: Moment, meanwhile: bool) -> World<'_> {
    let mut world = World::new(place);
    scenario.prepare(&mut world).await;
    let agent = &mut world.start(Some((moment, Interruption::Kill)));
    assert_eq!(world.until_rest(agent).await, None, "{scenario:?}: it was not killed at {moment:?}");
    while meanwhile && world.end_a_job(scenario.build()) {}
    let next = &mut world.start(None);
    world.until_rest(next).await.unwrap();
    world
}

async fn kill_at_each_write(scenario: Scenario) {
    let place = Place::start().await;
    let wanted = Undisturbed::run(&place, scenario).await;
    for (moment, line) in wanted.moments() {
        for meanwhile in [false, true] {
            let world = killed(&place, scenario, moment, meanwhile).await;
            let when = format!("{scenario:?}: killed at {moment:?}, {line} (Jobs end: {meanwhile})");
            assert_eq!(world.outcome(), wanted.outcome, "{when}");
            let mut left = wanted.events.clone();
            for event in world.events() {
                let place = left.iter().position(|wanted| *wanted == event);
                left.remove(place.unwrap_or_else(|| panic!("{when}: {event} is one too many")));
            }
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_write_of_a_build_loses_and_repeats_nothing() {
    kill_at_each_write(Scenario::First).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_write_of_a_rebuild_loses_and_repeats_nothing() {
    kill_at_each_write(Scenario::AfterAnother).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_write_of_a_build_that_replaces_one_loses_and_repeats_nothing() {
    kill_at_each_write(Scenario::ReplacesAnother).await;
}

/// Another agent starts and builds; then the first one, which stands still, goes on.
async fn another_builds(world: &mut World<'_>) -> bool {
    let second = &mut world.start(None);
    world.until_rest(second).await.unwrap();
    world.writes.resume();
    true
}

/// Runs a build whose agent stands still while another one builds, and goes on then.
async fn beside_another(place: &Place, scenario: Scenario, moment: Moment) -> World<'_> {
    let mut world = World::new(place);
    scenario.prepare(&mut world).await;
    let first = &mut world.start(Some((moment, Interruption::Pause)));
    while let Some((_, wrote)) = world.pass(first, another_builds).await {
        assert!(wrote || world.end_a_job(1), "{scenario:?}: it was not paused at {moment:?}");
    }
    world.until_rest(first).await.unwrap();
    world
}

#[tokio::test]
async fn an_agent_that_stands_still_at_any_write_while_another_one_builds_harms_nothing() {
    let place = Place::start().await;
    for scenario in Scenario::ALL {
        let wanted = Undisturbed::run(&place, scenario).await;
        for (moment, line) in wanted.moments() {
            let mut outcome = beside_another(&place, scenario, moment).await.outcome();
            // The same once more changes nothing.
            outcome.tags.values_mut().for_each(Vec::dedup);
            assert_eq!(outcome, wanted.outcome, "{scenario:?}: paused at {moment:?}, {line}");
        }
    }
}
