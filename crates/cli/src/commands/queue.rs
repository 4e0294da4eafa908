//! Work that is done several items at a time.

use std::collections::VecDeque;
use std::sync::Mutex;

use anyhow::Result;

/// Does `work` for each of `items`, in their order, `jobs` at a time. After an error nothing new is begun.
///
/// # Errors
///
/// The first one, once all that was begun has ended.
pub fn at_once<T: Send>(
    jobs: u16,
    items: Vec<T>,
    work: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let queue = Mutex::new(VecDeque::from(items));
    let one = || -> Result<()> {
        loop {
            let item = queue.lock().expect("no thread panicked").pop_front();
            let Some(item) = item else { return Ok(()) };
            if let Err(error) = work(item) {
                queue.lock().expect("no thread panicked").clear();
                return Err(error);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(one)).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("no thread panicked"));
        // Each ends before the first error is told.
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

/// What each of `jobs` has of the processor's threads.
pub fn threads_of_a_job(jobs: u16) -> usize {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    (all / usize::from(jobs)).max(1)
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[test]
    fn after_an_error_nothing_new_is_begun() {
        let begun = Mutex::new(Vec::new());
        let work = |item: u32| {
            begun.lock().unwrap().push(item);
            ensure!(item != 2, "item {item}");
            Ok(())
        };
        let error = at_once(1, (0..5).collect(), work).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), begun.into_inner().unwrap()),
            ("item 2", vec![0, 1, 2])
        );
        assert!(at_once(3, (0..5).collect::<Vec<u32>>(), |_| Ok(())).is_ok());
    }
}
