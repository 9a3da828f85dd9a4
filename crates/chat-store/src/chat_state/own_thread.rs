//! Work that blocks, for callers that are `async` and may have no runtime.

use std::thread;

use futures::channel::oneshot;

/// Runs what blocks for long on a thread of its own: this crate needs no `async` runtime.
pub(super) async fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || drop(sender.send(work())));
    receiver.await.expect("the work does not panic")
}
