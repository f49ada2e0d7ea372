//! Work shared out among threads, and what came of it in the order of the work.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does `work` on each item, on so many threads, of which the caller's is one. Each thread makes its own
/// `tools` first. With one thread all is done in order; so it is where no other can be had.
pub(crate) fn map<T: Sync, R: Send, S>(
    threads: usize,
    items: &[T],
    tools: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take_turns = || {
        let (mut tools, mut done) = (tools(), Vec::new());
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(turn) else { return done };
            done.push((turn, work(&mut tools, item)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let others = (1..threads.min(items.len()))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, take_turns).ok());
        let others: Vec<_> = others.collect();
        let mut done = take_turns();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(turn, _)| *turn);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_work_whoever_has_done_it() {
        let items: Vec<u64> = (0..1_000).collect();
        let expected: Vec<u64> = items.iter().map(|item| item * 3).collect();
        for threads in [0, 1, 2, 7] {
            let made = AtomicUsize::new(0);
            let tools = || made.fetch_add(1, Ordering::Relaxed);
            assert_eq!(map(threads, &items, tools, |_, item| item * 3), expected);
            assert!(made.into_inner() <= threads.max(1), "each thread makes its tools once");
        }
        assert_eq!(map(4, &[] as &[u64], || (), |(), item| *item), [] as [u64; 0]);
    }
}
