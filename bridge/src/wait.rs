//! Waiting for the engine's threads without being stuck behind them.
//!
//! ```text
//!   caller's thread          worker or planning thread
//!   run ------ job --------> computes, however long
//!    |  every 20 ms: interrupted? over time?
//!    +<----- answer -------- or CANCELLED, and nobody reads the answer
//! ```
//!
//! A caller thus returns within `POLL` of an interrupt, also while one step of a plan computes for
//! long. The job is dropped where it next yields (`stop.rs`). The wait is a
//! plain channel's and not a timer of the runtime's, whose workers may all be busy.

use std::ffi::c_void;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::abi::{omen_engine_query, omen_status};
use crate::error::{EngineError, EngineResult};
use crate::stop::StopFlag;

/// How often a caller that waits asks whether to go on.
const POLL: Duration = Duration::from_millis(20);

/// Whether a query is still wanted.
pub struct Interrupt {
    asked: Option<unsafe extern "C" fn(*mut c_void) -> bool>,
    context: *mut c_void,
    deadline: Option<Instant>,
    stop: StopFlag,
}

impl Interrupt {
    /// # Safety
    /// The query's `interrupted` keeps the header's promise for as long as this is used.
    pub unsafe fn new(query: &omen_engine_query) -> Self {
        let timeout = (query.timeout_ms > 0).then(|| Duration::from_millis(query.timeout_ms));
        Self {
            asked: query.interrupted,
            context: query.interrupt_context,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            stop: Arc::default(),
        }
    }

    /// The flag that tells the query's plan that it is dropped.
    pub fn stop_flag(&self) -> StopFlag {
        Arc::clone(&self.stop)
    }

    /// CANCELLED where the query isn't wanted any more.
    pub fn check(&self) -> EngineResult<()> {
        let cancelled = |reason| {
            Err(EngineError::new(
                omen_status::OMEN_CANCELLED,
                format!("canceling statement due to {reason}"),
            ))
        };
        // SAFETY: the promise given to `new`; only the query's caller comes here.
        if self.asked.is_some_and(|asked| unsafe { asked(self.context) }) {
            return cancelled("user request");
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return cancelled("statement timeout");
        }
        Ok(())
    }

    /// What `job` gives, computed on a worker.
    pub fn run<T: Send + 'static>(
        &self,
        runtime: &Runtime,
        job: impl Future<Output = T> + Send + 'static,
    ) -> EngineResult<T> {
        let (sender, answer) = sync_channel(1);
        let task = runtime.spawn(async move {
            // Nobody may be waiting any more.
            let _ = sender.send(job.await);
        });
        self.wait(&answer).inspect_err(|_| task.abort())
    }

    /// What `job` gives, computed on a thread of its own.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        runtime: &Runtime,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> EngineResult<T> {
        let (sender, answer) = sync_channel(1);
        runtime.spawn_blocking(move || {
            let _ = sender.send(job());
        });
        self.wait(&answer)
    }

    /// Nobody waits for the query any more.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn wait<T>(&self, answer: &Receiver<T>) -> EngineResult<T> {
        loop {
            self.check()?;
            match answer.recv_timeout(POLL) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(EngineError::internal("a thread of the SQL engine broke off"))
                }
            }
        }
    }
}
