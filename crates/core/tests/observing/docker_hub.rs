//! Docker Hub counts pulls: what a pass without work costs.

use imgop_core::copy::TagState;

use crate::bulk::{Case, all, heads};
use imgop_fakes::numbered_tags;
use imgop_fakes::{DockerHub, json};

#[tokio::test]
async fn a_no_op_counts_no_pull_whether_the_website_answers_or_not() {
    let tags = numbered_tags("1.0.", 120); // more than the pulls of six hours
    let with = DockerHub::start(tags.clone()).await;
    let without = DockerHub::answering(tags.clone(), |_| json(403, "{}")).await;
    for (hub, asked) in [(with, 0), (without, 120)] {
        let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
        assert_eq!(all(&case.observe(&tags).await, TagState::UpToDate), 120);
        assert_eq!((heads(&hub.registry), hub.pulls()), (asked, 0));
    }
}

#[tokio::test]
async fn a_no_op_within_the_reserve_costs_no_pull_and_is_no_failure() {
    let tags = numbered_tags("1.0.", 3);
    let hub = DockerHub::answering(tags.clone(), |_| json(500, "")).await;
    hub.leave(0);
    let pulls = hub.pulls();
    let case = Case::hub(&hub, "1.0.x", tags.clone()).await;
    let observed = case.observe(&tags).await;
    assert!(observed.tags.iter().all(|tag| tag.source.digest().is_some()));
    assert_eq!(hub.pulls(), pulls);
}
