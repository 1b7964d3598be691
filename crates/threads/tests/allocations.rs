//! Running tasks allocates nothing. A file of its own, because the counter sees the whole process.

use bantam_core::Executor;
use bantam_threads::Threads;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

/// The system's allocator, counting calls.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(data, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn running_tasks_allocates_nothing() {
    let threads = Threads::new(3).unwrap();
    let others = AtomicUsize::new(0);
    let caller = std::thread::current().id();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..1_000 {
        threads.run(20, &|i| {
            // Long enough for the other threads to wake up and take some.
            core::hint::black_box((0..2_000).fold(i, |a, b| core::hint::black_box(a ^ b)));
            if std::thread::current().id() != caller {
                others.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "allocations in 1000 runs");
    assert!(others.load(Ordering::Relaxed) > 0, "the other threads took part");
}
