//! Every task runs once, on any number of threads, from any thread.

use bantam_core::Executor;
use bantam_threads::Threads;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

fn each_task_runs_once(threads: &Threads) {
    for tasks in [0, 1, 2, 3, 100] {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        threads.run(tasks, &|i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{threads:?}, {tasks} tasks");
    }
}

#[test]
fn from_the_thread_that_made_it_and_from_another() {
    for lanes in [0, 1, 2, 3, 7] {
        let maker = thread::spawn(move || {
            let threads = Threads::new(lanes).unwrap();
            assert_eq!(threads.lanes(), lanes.max(1));
            each_task_runs_once(&threads);
            threads
        });
        each_task_runs_once(&maker.join().unwrap());
    }
}

#[test]
fn a_second_pool_on_one_thread_works_too() {
    let first = Threads::new(2).unwrap();
    let second = Threads::new(3).unwrap();
    each_task_runs_once(&second);
    each_task_runs_once(&first);
    drop(first);
    each_task_runs_once(&second);
    each_task_runs_once(&Threads::new(2).unwrap());
}

#[test]
fn a_task_may_run_tasks() {
    let threads = Threads::new(3).unwrap();
    threads.run(4, &|_| each_task_runs_once(&threads));
}
