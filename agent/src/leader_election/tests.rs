//! A process in an election, with an API server that is one value.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

/// A Lease that several processes share.
#[derive(Clone, Default)]
struct SharedLease(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    record: Option<LeaseRecord>,
    writes: u32,
    is_silent: bool,
}

impl SharedLease {
    fn holder(&self) -> Option<String> {
        self.0.lock().record.as_ref()?.holder.clone()
    }

    async fn answer(&self) {
        if self.0.lock().is_silent {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

impl LeaseApi for SharedLease {
    async fn read(&self) -> Result<Option<LeaseRecord>, ApiError> {
        self.answer().await;
        Ok(self.0.lock().record.clone())
    }

    async fn write(&self, write: LeaseWrite) -> Result<LeaseRecord, ApiError> {
        self.answer().await;
        let mut state = self.0.lock();
        if state.record.as_ref().map(|record| record.version.clone()) != write.version {
            let cause = ApiCause::Conflict("another version".to_owned());
            return Err(ApiError { verb: "update", object: "the Lease".to_owned(), cause });
        }
        state.writes += 1;
        let LeaseWrite { holder, duration, transitions, acquired, .. } = write;
        let version = state.writes.to_string();
        let record = LeaseRecord { holder, duration, transitions, acquired, version };
        state.record = Some(record.clone());
        Ok(record)
    }
}

/// A clock that goes with the timers of a test.
fn clock() -> Clock {
    let began = Instant::now();
    Clock::new(move || began.elapsed())
}

fn process(lease: &SharedLease, identity: &str) -> Election<SharedLease> {
    Election::new(lease.clone(), identity.to_owned(), Timings::default(), clock())
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_and_a_second_once_the_first_has_given_it_up() {
    let lease = SharedLease::default();
    let (mut first, mut second) = (process(&lease, "first"), process(&lease, "second"));
    first.acquire().await;
    assert!(first.leadership().leads());
    let waited = timeout(Duration::from_mins(1), async {
        tokio::select! {
            () = second.acquire() => {}
            _ = first.keep() => {}
        }
    });
    assert!(waited.await.is_err(), "the first renews it");
    assert_eq!(second.leadership().role(), Role::Candidate(Some("first".to_owned())));
    first.release().await;
    assert_eq!(lease.holder(), None);
    let began = Instant::now();
    second.acquire().await;
    assert!(began.elapsed() <= Duration::from_millis(1_100), "at once: {:?}", began.elapsed());
    assert_eq!(lease.holder().as_deref(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn a_process_whose_api_server_falls_silent_stops_before_another_one_can_lead() {
    let lease = SharedLease::default();
    let mut first = process(&lease, "first");
    first.acquire().await;
    let (gate, began) = (first.leadership().write_gate(), Instant::now());
    lease.0.lock().is_silent = true;
    assert_eq!(first.keep().await, Loss::NotRenewed);
    assert!(!gate.is_open());
    assert!(began.elapsed() <= Timings::default().valid_for, "{:?}", began.elapsed());
    // It cannot be released either, and that takes no time without end.
    first.release().await;
    assert_eq!(lease.holder().as_deref(), Some("first"));
}

#[tokio::test(start_paused = true)]
async fn a_paused_process_writes_nothing_once_it_goes_on() {
    let lease = SharedLease::default();
    let (mut first, mut second) = (process(&lease, "first"), process(&lease, "second"));
    first.acquire().await;
    let gate = first.leadership().write_gate();
    // Nothing of the first is polled meanwhile.
    second.acquire().await;
    assert!(!gate.is_open());
    assert_eq!(first.keep().await, Loss::NotRenewed);
    first.release().await;
    assert_eq!(lease.holder().as_deref(), Some("second"), "what another holds is not released");
}

#[tokio::test(start_paused = true)]
async fn at_rest_the_lease_is_written_once_in_three_seconds() {
    let lease = SharedLease::default();
    let mut first = process(&lease, "first");
    first.acquire().await;
    let before = lease.0.lock().writes;
    assert!(timeout(Duration::from_mins(1), first.keep()).await.is_err());
    let writes = lease.0.lock().writes - before;
    assert!((19..=20).contains(&writes), "{writes}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_under_way_when_the_process_stopped_is_released_too() {
    let lease = SharedLease::default();
    let mut first = process(&lease, "first");
    // The write is done and the process stops before the answer.
    let acquired = timeout(Duration::from_millis(15), first.acquire()).await;
    assert!(acquired.is_err());
    let (holder, version) = (Some("first".to_owned()), "9".to_owned());
    let duration = Duration::from_secs(13);
    lease.0.lock().record = Some(LeaseRecord { holder, duration, transitions: 0, acquired: None, version });
    first.release().await;
    assert_eq!(lease.holder(), None);
}
