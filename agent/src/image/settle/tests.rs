//! What takes too long.

use std::task::Poll;

use super::*;

#[tokio::test]
async fn what_was_done_before_the_end_is_kept_and_what_never_ends_is_left() {
    let setting = futures::stream::iter([1, 2, 3]).map(|n| async move {
        if n == 2 {
            std::future::pending::<()>().await;
        }
        n
    });
    let mut polls = 0;
    let end = std::future::poll_fn(|context| {
        polls += 1;
        context.waker().wake_by_ref();
        if polls > 5 { Poll::Ready(()) } else { Poll::Pending }
    });
    let done: Vec<i32> = take_until(end, setting.buffer_unordered(CONCURRENCY)).collect().await;
    assert_eq!(done, [1, 3]);
}
