//! Fakes for tests that are not asynchronous themselves, such as those of a command line.

use std::ops::Deref;

use tokio::runtime::{Builder, Runtime};

/// A fake that runs on a thread of its own for as long as this value lives.
pub struct Background<Fake> {
    fake: Fake,
    _runtime: Runtime,
}

impl<Fake> Background<Fake> {
    /// Starts a fake: `Background::of(Catalog::default().start())`.
    pub fn of(start: impl Future<Output = Fake>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let fake = runtime.block_on(start);
        Self { fake, _runtime: runtime }
    }

    /// Starts a fake that comes with something else, such as its certificate.
    pub fn of_pair<Other>(start: impl Future<Output = (Fake, Other)>) -> (Self, Other) {
        let mut other = None;
        let fake = Self::of(async {
            let (fake, beside) = start.await;
            other = Some(beside);
            fake
        });
        (fake, other.unwrap())
    }
}

impl<Fake> Deref for Background<Fake> {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.fake
    }
}
