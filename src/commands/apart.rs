//! Work on a thread of its own, beside those who wait for it.

use std::thread;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind};

/// What [`thread::Builder`] gives a thread by default.
const STACK: usize = 2 << 20;

/// Runs `work` on a thread called `name`. Whoever gives up waiting leaves it behind.
///
/// Not [`tokio::task::spawn_blocking`]: where the kernel refuses another thread (`RLIMIT_NPROC`, the `pids.max` of a
/// cgroup) it panics, and the daemon would be gone.
///
/// # Errors
/// When there is no thread to be had, and when `work` panicked.
pub(super) async fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    on_a_stack_of(STACK, name, work).await
}

async fn on_a_stack_of<T: Send + 'static>(
    size: usize,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = oneshot::channel();
    let body = move || {
        // Who gave up waiting wants no answer.
        let _ = sender.send(work());
    };
    if let Err(error) = thread::Builder::new().name(name.to_owned()).stack_size(size).spawn(body) {
        let message = format!("cannot start the thread {name}: {error}");
        return Err(Error::new(ErrorKind::Busy, message));
    }
    let stopped = |_| Error::new(ErrorKind::Internal, format!("the thread {name} stopped in the middle"));
    receiver.await.map_err(stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn work_has_its_thread_and_a_refused_thread_or_a_panic_is_an_error() {
        let name = run(apart("ddum-test", || thread::current().name().map(str::to_owned)));
        assert_eq!(name.unwrap().as_deref(), Some("ddum-test"));
        // No machine has so much address space: the kernel refuses it as it refuses one process too many.
        let error = run(on_a_stack_of(1 << 60, "ddum-test", || ())).unwrap_err();
        assert_eq!((error.kind(), error.exit_status()), (ErrorKind::Busy, 75));
        assert!(error.to_string().starts_with("cannot start the thread ddum-test: "), "{error}");
        let error = run(apart("ddum-test", || assert!(thread::current().name().is_none()))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
