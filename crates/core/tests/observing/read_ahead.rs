//! Manifests that are read instead of looked up, where the tag is missing at the destination.

use std::time::Duration;

use imgop_core::copy::{Known, ReadAhead};
use imgop_fakes::Content;

use super::two_sides::Case;

const TTL: Duration = Duration::from_mins(1);

async fn case() -> Case {
    let mut source = Content::default();
    for tag in ["1.0", "1.1", "1.2"] {
        source.push(tag, &["linux/amd64"]);
    }
    let mut destination = Content::default();
    destination.put("1.0", source.bytes("1.0"));
    Case::new(source, destination, "1.x", |_| {}).await
}

fn keeping(read_ahead: ReadAhead) -> Known {
    Known { read_ahead: Some(read_ahead), ..Known::default() }
}

#[tokio::test]
async fn what_the_destination_lacks_is_read_in_the_place_of_a_look() {
    let (case, read_ahead) = (case().await, ReadAhead::new(1 << 20, TTL));
    let observed = case.observe(&keeping(read_ahead.clone())).await;
    let kept = observed.tags.iter().filter(|tag| read_ahead.get(tag.digest().unwrap()).is_some());
    assert_eq!(kept.map(|tag| tag.destination_tag.as_str()).collect::<Vec<_>>(), ["1.2", "1.1"]);
    let lookups = case.source.count("HEAD /v2/app/manifests/");
    assert_eq!((case.read(), lookups), ((2, 0), 1), "one request a tag");
    assert_eq!(observed, case.observe(&Known::default()).await);
}

#[tokio::test]
async fn what_would_not_be_kept_is_looked_up() {
    let case = case().await;
    case.observe(&keeping(ReadAhead::new(10, TTL))).await;
    assert_eq!((case.read(), case.source.count("HEAD /v2/app/manifests/")), ((0, 0), 3));
}
