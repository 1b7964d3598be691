//! Splits output among tasks: disjoint chunks, cut by lengths alone.

use crate::simd::BASELINE_IS_PLAIN;
use bantam_core::Context;
use core::marker::PhantomData;

/// Elements of simple work (a few operations each) that are worth a task of their own.
pub const GRAIN: usize = 1 << 15;

/// Elements of a chunk of work whose bits do not depend on where it is cut: `chunk`, or all of them where there is one core, which then
/// has no loop over chunks.
pub(crate) const fn any_cut(chunk: usize) -> usize {
    if BASELINE_IS_PLAIN { usize::MAX } else { chunk }
}

/// Calls `task(0)`, …, `task(tasks - 1)`, each at most once, on the executor of `cx`; a single task runs on the calling
/// thread, and all of them on microcontrollers: processors without vectors are taken to have one core.
///
/// An executor is anybody's safe code. That no two tasks write the same chunk rests on the counter here and not on the
/// executor's word: one that breaks its promise leaves work undone, and nothing worse.
pub fn for_each_task(cx: &Context<'_>, tasks: usize, task: impl Fn(usize) + Sync) {
    if BASELINE_IS_PLAIN {
        return (0..tasks).for_each(task);
    }
    each_task(cx, tasks, &task);
}

/// One function for all tasks: each kernel would otherwise be compiled twice, for one task and for several.
#[cfg_attr(not(target_has_atomic = "ptr"), allow(unused_variables, reason = "there is one core"))]
fn each_task(cx: &Context<'_>, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
    if tasks <= 1 || cfg!(not(target_has_atomic = "ptr")) {
        return (0..tasks).for_each(task);
    }
    #[cfg(target_has_atomic = "ptr")]
    {
        let next = core::sync::atomic::AtomicUsize::new(0);
        cx.executor.run(tasks, &|_| {
            let index = next.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            if index < tasks {
                task(index);
            }
        });
    }
}

/// Cuts `out` into chunks of `chunk` elements (the last may be shorter) and calls `task(index, chunk)` for each.
///
/// The cut depends on the two lengths alone. A `chunk` of 0 counts as 1.
pub fn for_each_chunk<T: Send>(
    cx: &Context<'_>,
    out: &mut [T],
    chunk: usize,
    task: impl Fn(usize, &mut [T]) + Sync,
) {
    let chunk = chunk.max(1);
    if BASELINE_IS_PLAIN {
        return out.chunks_mut(chunk).enumerate().for_each(|(index, out)| task(index, out));
    }
    let tasks = out.len().div_ceil(chunk);
    let parts = Parts::new(out);
    for_each_task(cx, tasks, |index| {
        let start = index * chunk;
        // SAFETY: task numbers differ, so the ranges are disjoint; each task number is run once.
        task(index, unsafe { parts.range(start, chunk.min(parts.len - start)) });
    });
}

/// As [`for_each_chunk`] for several slices that are cut at the same places: calls `task(chunks)` with one chunk of
/// each.
///
/// All slices must have the same length.
pub fn for_each_chunk_of<T: Send, const N: usize>(
    cx: &Context<'_>,
    slices: [&mut [T]; N],
    chunk: usize,
    task: impl Fn([&mut [T]; N]) + Sync,
) {
    let len = slices.first().map_or(0, |slice| slice.len());
    crate::require(slices.iter().all(|slice| slice.len() == len));
    let chunk = chunk.max(1);
    let slices = slices.map(Parts::new);
    for_each_task(cx, len.div_ceil(chunk), |index| {
        let start = index * chunk;
        // SAFETY: the slices are borrowed mutably, so they do not overlap each other; task numbers differ, so the
        // ranges of one slice are disjoint; each task number is run once.
        task(slices.each_ref().map(|parts| unsafe { parts.range(start, chunk.min(len - start)) }));
    });
}

/// As [`for_each_chunk_of`] for two groups of slices of which the second is cut into as many chunks of another length:
/// calls `task(index, chunks, others)`.
///
/// The slices of a group must have the same length, and the second group must not be longer than its chunks.
pub fn for_each_chunk_of_two<T: Send, const M: usize, const K: usize>(
    cx: &Context<'_>,
    first: [&mut [T]; M],
    chunk: usize,
    second: [&mut [T]; K],
    second_chunk: usize,
    task: impl Fn(usize, [&mut [T]; M], [&mut [T]; K]) + Sync,
) {
    map_chunks_of_two(cx, first, chunk, second, second_chunk, &mut [], task);
}

/// As [`for_each_chunk_of_two`], and writes what `task` returns for chunk i to `results[i]`, if that is there.
pub fn map_chunks_of_two<T: Send, R: Send, const M: usize, const K: usize>(
    cx: &Context<'_>,
    first: [&mut [T]; M],
    chunk: usize,
    second: [&mut [T]; K],
    second_chunk: usize,
    results: &mut [R],
    task: impl Fn(usize, [&mut [T]; M], [&mut [T]; K]) -> R + Sync,
) {
    let len = first.first().map_or(0, |slice| slice.len());
    let second_len = second.first().map_or(0, |slice| slice.len());
    let chunk = chunk.max(1);
    let tasks = len.div_ceil(chunk);
    crate::require(
        first.iter().all(|slice| slice.len() == len)
            && second.iter().all(|slice| slice.len() == second_len)
            && second_len <= tasks.saturating_mul(second_chunk),
    );
    let (first, second, results) = (first.map(Parts::new), second.map(Parts::new), Parts::new(results));
    for_each_task(cx, tasks, |index| {
        // From the last to the first, where a pass before it that went the other way left off: a pass with results.
        let index = if results.len == 0 { tasks - 1 - index } else { index };
        let start = index * chunk;
        let second_start = (index * second_chunk).min(second_len);
        // SAFETY: the slices are borrowed mutably, so they do not overlap each other; task numbers differ, so the
        // ranges of one slice are disjoint; each task number is run once.
        let (first, second) = unsafe {
            (
                first.each_ref().map(|parts| parts.range(start, chunk.min(len - start))),
                second
                    .each_ref()
                    .map(|parts| parts.range(second_start, second_chunk.min(second_len - second_start))),
            )
        };
        let result = task(index, first, second);
        if index < results.len {
            // SAFETY: inside the slice; task numbers differ, and each is run once.
            let place = unsafe { results.range(index, 1) };
            place[0] = result;
        }
    });
}

/// A slice that tasks on several threads take disjoint parts of.
pub(crate) struct Parts<'a, T> {
    data: *mut T,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: a part is handed to one task only (the obligation of `range`), which is sending `&mut [T]`.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// Borrows the whole slice.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Parts { data: slice.as_mut_ptr(), len: slice.len(), borrowed: PhantomData }
    }

    /// The first element, for parts that are not contiguous; their disjointness is the user's obligation.
    pub(crate) fn pointer(&self) -> *mut T {
        self.data
    }

    /// `len` elements from `start`, which must lie inside the slice.
    ///
    /// # Safety
    /// While the returned part is alive, no other part that overlaps it is.
    #[allow(clippy::mut_from_ref, reason = "disjointness is the caller's obligation")]
    pub(crate) unsafe fn range(&self, start: usize, len: usize) -> &mut [T] {
        crate::require(start <= self.len && len <= self.len - start);
        // SAFETY: inside the slice (checked), alive for 'a, not aliased (the caller's obligation).
        unsafe { core::slice::from_raw_parts_mut(self.data.add(start), len) }
    }
}
