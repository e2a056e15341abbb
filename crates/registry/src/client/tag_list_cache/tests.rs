//! Lists that are shared and kept, and how long.

use futures::FutureExt as _;

use super::*;
use crate::credentials::Access;

const TTL: Duration = Duration::from_secs(10);

fn key(path: &str) -> ListKey {
    let account =
        Account { host: "r.example".parse().unwrap(), connection: Access::default().connection(), who: None };
    ListKey { account, path: path.to_owned() }
}

fn numbers(of: usize) -> TagList {
    (0..of).map(|n| n.to_string().parse().unwrap()).collect::<Vec<_>>().into()
}

async fn is_new(lists: &TagListCache, path: &str, tags: usize) -> bool {
    lists.get(&key(path), WhenFull::Fail, async || Ok(numbers(tags))).await.is_new
}

fn held(lists: &TagListCache) -> usize {
    lists.state.lock().lists.len()
}

#[tokio::test(start_paused = true)]
async fn expired_lists_are_dropped_when_another_is_requested() {
    let lists = TagListCache::new(TTL);
    assert!(is_new(&lists, "a", 1).await && is_new(&lists, "b", 1).await);
    assert!(!is_new(&lists, "a", 1).await, "it is shared");
    assert_eq!(held(&lists), 2);
    tokio::time::advance(TTL).await;
    assert!(is_new(&lists, "c", 1).await);
    assert_eq!(held(&lists), 1);
}

#[tokio::test(start_paused = true)]
async fn all_lists_together_hold_no_more_bytes_than_the_bound() {
    let lists = TagListCache::new(TTL);
    // Few tags with long names.
    let number = MAX_BYTES / 5 * 2 / (128 + TAG_OVERHEAD);
    let many = async || {
        let tags: Vec<_> = (0..number).map(|n| format!("{n:0>128}").parse().unwrap()).collect();
        Ok(tags.into())
    };
    for path in ["a", "b", "c"] {
        assert_eq!(lists.get(&key(path), WhenFull::Fail, many).await.outcome.unwrap().len(), number);
    }
    assert_eq!(held(&lists), 2, "the oldest is gone");
    assert!(lists.get(&key("a"), WhenFull::Fail, many).await.is_new);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_under_way_during_a_write_is_not_shared() {
    let lists = TagListCache::new(TTL);
    let fetch = async || {
        lists.invalidate(&key("a"));
        Ok(TagList::default())
    };
    assert!(!lists.get(&key("a"), WhenFull::Fail, fetch).await.is_new);
    assert!(is_new(&lists, "a", 0).await, "it was not kept");
    assert!(!is_new(&lists, "a", 0).await);
    assert!(is_new(&lists, "b", 0).await);
    lists.invalidate(&key("a"));
    assert!(!is_new(&lists, "b", 0).await, "another repository's");
    assert!(is_new(&lists, "a", 0).await);
}

#[tokio::test(start_paused = true)]
async fn a_caller_after_a_write_does_not_join_a_list_from_before_it() {
    let (lists, gate) = (TagListCache::new(TTL), tokio::sync::Semaphore::new(0));
    let (a, slow) = (key("a"), async || {
        let _ = gate.acquire().await;
        Ok(numbers(1))
    });
    let mut first = Box::pin(lists.get(&a, WhenFull::Fail, slow));
    assert!(first.as_mut().now_or_never().is_none());
    lists.invalidate(&a);
    let second = lists.get(&a, WhenFull::Fail, async || Ok(numbers(2)));
    let (first, second, ()) = tokio::join!(first, second, async { gate.close() });
    assert_eq!((first.outcome.unwrap().len(), second.outcome.unwrap().len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn one_list_serves_all_who_waited_for_it_whatever_is_written_meanwhile() {
    let (lists, a, fetched) = (TagListCache::new(TTL), key("a"), std::cell::Cell::new(0));
    let (old, new) = (tokio::sync::Semaphore::new(0), tokio::sync::Semaphore::new(0));
    let mut first = Box::pin(lists.get(&a, WhenFull::Fail, async || {
        let _ = old.acquire().await;
        Ok(numbers(1))
    }));
    assert!(first.as_mut().now_or_never().is_none());
    lists.invalidate(&a);
    // All of them came after the write, and wait for a list from after it.
    let list = async || {
        fetched.set(fetched.get() + 1);
        lists.invalidate(&a);
        let _ = new.acquire().await;
        Ok(numbers(2))
    };
    let waiters = futures::future::join_all((0..10).map(|_| lists.get(&a, WhenFull::Fail, list)));
    let end = async {
        old.close();
        // Until all of them wait for the second list.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        new.close();
    };
    let (_, waiters, ()) = tokio::join!(first, waiters, end);
    assert!(waiters.iter().all(|list| list.outcome.as_ref().unwrap().len() == 2));
    assert!(waiters.iter().all(|list| !list.is_new), "it may lack what was written");
    assert_eq!(fetched.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_list_is_shared_too() {
    let lists = TagListCache::new(TTL);
    let error = lists
        .get(&key("a"), WhenFull::Fail, async || Err(Failure::protocol("no")))
        .await
        .outcome
        .unwrap_err();
    assert_eq!(error.detail, "no");
    assert!(lists.get(&key("a"), WhenFull::Fail, async || Ok(TagList::default())).await.outcome.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_long_list_is_cheap_only_while_it_is_shared() {
    let lists = TagListCache::new(TTL);
    assert!(lists.is_cheap(&key("a")), "nothing is known of it");
    is_new(&lists, "a", ONE_PAGE + 1).await;
    assert!(lists.is_cheap(&key("a")));
    tokio::time::advance(TTL).await;
    assert!(!lists.is_cheap(&key("a")));
    is_new(&lists, "a", 0).await;
    tokio::time::advance(TTL).await;
    assert!(lists.is_cheap(&key("a")));
    assert!(!TagListCache::new(Duration::ZERO).is_cheap(&key("a")), "nothing is shared");
}

#[tokio::test(start_paused = true)]
async fn while_memory_is_waited_for_no_list_is_kept() {
    let lists = TagListCache::new(TTL);
    assert!(is_new(&lists, "a", 1).await);
    let waiting = [lists.keep_nothing(None), lists.keep_nothing(None)];
    assert_eq!(held(&lists), 0);
    assert!(is_new(&lists, "a", 1).await);
    let [first, second] = waiting;
    drop(first);
    assert!(is_new(&lists, "a", 1).await && held(&lists) == 0);
    drop(second);
    assert!(is_new(&lists, "a", 1).await && !is_new(&lists, "a", 1).await);
}

#[tokio::test(start_paused = true)]
async fn while_one_registrys_memory_is_waited_for_the_lists_of_others_are_kept() {
    let lists = TagListCache::new(TTL);
    assert!(is_new(&lists, "a", 1).await);
    let other = "other.example".parse().unwrap();
    let own = key("a").account.host;
    let waiting = lists.keep_nothing(Some(&other));
    assert!(!is_new(&lists, "a", 1).await, "it is still cached");
    drop(waiting);
    let _waiting = lists.keep_nothing(Some(&own));
    assert!(is_new(&lists, "a", 1).await && is_new(&lists, "a", 1).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_would_wait_for_memory_gets_no_failure_of_one_that_would_not() {
    let (lists, gate) = (TagListCache::new(TTL), tokio::sync::Semaphore::new(0));
    let lacks_memory = async || {
        let _ = gate.acquire().await;
        Err(Failure { is_local: true, ..Failure::protocol("no memory") })
    };
    let a = key("a");
    let mut fails = Box::pin(lists.get(&a, WhenFull::Fail, lacks_memory));
    assert!(fails.as_mut().now_or_never().is_none());
    let waits = async || lists.get(&a, WhenFull::Wait, async || Ok(numbers(1))).await.outcome;
    assert!(waits().await.is_ok(), "it is not the list that is under way");
    lists.clear(None);
    gate.close();
    assert!(fails.await.outcome.is_err());
    let again = lists.get(&a, WhenFull::Fail, async || Ok(numbers(1))).await;
    assert!(again.outcome.is_err(), "it is shared with those who would fail as well");
    assert!(waits().await.is_ok());
}
