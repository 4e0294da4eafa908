//! The same job for 0, 1, 2, ... on several threads, the results in order.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

/// Results of a job, numbered from `first` on without end.
///
/// A number is handed out when an earlier result has been taken, so at most `ahead` results are
/// under way or waiting.
pub(crate) struct Ordered<T> {
    numbers: Option<Sender<u64>>,
    results: Receiver<(u64, Result<T, String>)>,
    /// Results that came before their turn.
    early: BTreeMap<u64, Result<T, String>>,
    next: u64,
    ahead: u64,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    waited: Duration,
}

impl<T: Send + 'static> Ordered<T> {
    /// Starts `workers` threads. `job` may return `None` once its second argument is set: then
    /// nobody waits for the result any more.
    pub(crate) fn start(
        workers: usize,
        ahead: usize,
        first: u64,
        job: impl Fn(u64, &AtomicBool) -> Option<T> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (numbers, to_do) = unbounded();
        let (finished, results) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let ahead = ahead as u64;
        for number in first..first + ahead {
            // The receiving end is in this function's hands.
            let _ = numbers.send(number);
        }
        // Made before the threads: if one cannot start, dropping it ends the others.
        let mut ordered = Ordered {
            numbers: Some(numbers),
            results,
            early: BTreeMap::new(),
            next: first,
            ahead,
            stop: stop.clone(),
            threads: Vec::with_capacity(workers),
            waited: Duration::ZERO,
        };
        let job = Arc::new(job);
        for worker in 0..workers {
            let (to_do, finished) = (to_do.clone(), finished.clone());
            let (stop, job) = (stop.clone(), job.clone());
            let work = move || work(&to_do, &finished, &stop, &*job);
            ordered.threads.push(Builder::new().name(format!("weft-data-{worker}")).spawn(work)?);
        }
        Ok(ordered)
    }

    /// Waits for the next result. An error is the message of a job that panicked.
    pub(crate) fn next(&mut self) -> Result<T, String> {
        let started = Instant::now();
        let result = loop {
            if let Some(result) = self.early.remove(&self.next) {
                break result;
            }
            match self.results.recv() {
                Ok((number, result)) => self.early.insert(number, result),
                Err(_) => break Err("all workers have ended".into()),
            };
        };
        self.waited += started.elapsed();
        if let Some(numbers) = &self.numbers {
            // No worker is left to receive only after an error, which the caller has then seen.
            let _ = numbers.send(self.next + self.ahead);
        }
        self.next += 1;
        result
    }

    /// How long the caller has waited for results in all.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }
}

fn work<T>(
    to_do: &Receiver<u64>,
    finished: &Sender<(u64, Result<T, String>)>,
    stop: &AtomicBool,
    job: &impl Fn(u64, &AtomicBool) -> Option<T>,
) {
    for number in to_do {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let result = match catch_unwind(AssertUnwindSafe(|| job(number, stop))) {
            Ok(Some(result)) => Ok(result),
            Ok(None) => return,
            Err(panic) => Err(message(&*panic)),
        };
        if finished.send((number, result)).is_err() {
            return;
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panic without a message").into()
}

impl<T> Drop for Ordered<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.numbers = None;
        for thread in self.threads.drain(..) {
            // A panic in a job was caught in the thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn results_come_in_order_and_none_beyond_the_bound_is_begun() {
        let begun = Arc::new(AtomicU64::new(0));
        let counter = begun.clone();
        let mut ordered = Ordered::start(4, 6, 10, move |number, _| {
            counter.fetch_add(1, Ordering::SeqCst);
            // Later numbers finish first.
            std::thread::sleep(Duration::from_millis(7 - number % 7));
            Some(number * number)
        })
        .unwrap();
        for (taken, number) in (10..60).enumerate() {
            assert_eq!(ordered.next(), Ok(number * number));
            assert!(begun.load(Ordering::SeqCst) <= taken as u64 + 7);
        }
        assert!(ordered.waited() > Duration::ZERO);
    }

    #[test]
    fn a_panic_is_a_result() {
        let mut ordered = Ordered::start(2, 4, 0, |number, _| {
            assert!(number != 2, "two is too much");
            Some(number)
        })
        .unwrap();
        assert_eq!(ordered.next(), Ok(0));
        assert_eq!(ordered.next(), Ok(1));
        assert_eq!(ordered.next(), Err("two is too much".into()));
        assert_eq!(ordered.next(), Ok(3));
    }

    #[test]
    fn dropping_asks_running_jobs_to_stop() {
        let started = Instant::now();
        let ordered = Ordered::start(2, 100, 0, move |_, stop: &AtomicBool| {
            while !stop.load(Ordering::Relaxed) && is_recent(started) {
                std::thread::sleep(Duration::from_millis(1));
            }
            None::<()>
        });
        std::thread::sleep(Duration::from_millis(20));
        drop(ordered);
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    /// False after a minute, so that a job that is not asked to stop fails the test at last.
    fn is_recent(started: Instant) -> bool {
        started.elapsed() < Duration::from_secs(60)
    }
}
