//! A training step allocates nothing: not the first one, not with threads. A program of its own, because the counting
//! allocator sees every thread of the process.

use bantam_autodiff::{Graph, Mode, ParameterSpec, Plan, Session, UpdateOrder, Var, ops::Conv2dOptions};
use bantam_core::{Context, Executor, Inline, Optimizer, Shape, UpdateContext};
use bantam_threads::Threads;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed to the system's allocator as it came; counting touches no memory that it manages.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's obligations are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's obligations are passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's obligations are passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts how often work is split, so that the threaded run is known to use its threads.
struct Watched<'a> {
    executor: &'a dyn Executor,
    splits: AtomicUsize,
}

impl Executor for Watched<'_> {
    fn lanes(&self) -> usize {
        self.executor.lanes()
    }

    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        self.splits.fetch_add(1, Ordering::Relaxed);
        self.executor.run(tasks, task);
    }
}

struct Clipped;

impl Optimizer<f32> for Clipped {
    fn state_len(&self, parameter_len: usize) -> usize {
        parameter_len
    }

    fn needs_global_norm(&self) -> bool {
        true
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [f32], gradient: &mut [f32], state: &mut [f32]) {
        let scale = 0.01 / (cx.global_norm.unwrap_or(0.0) as f32).max(1.0);
        for ((p, g), v) in parameter.iter_mut().zip(gradient).zip(state) {
            *v = 0.9 * *v + *g;
            *p -= scale * *v;
        }
    }
}

fn spec(path: &str, dims: &[usize]) -> ParameterSpec {
    ParameterSpec { path: path.into(), shape: Shape::new(dims).unwrap(), trainable: true, buffer: false }
}

fn statistics(path: &str, channels: usize) -> ParameterSpec {
    ParameterSpec { trainable: false, buffer: true, ..spec(path, &[channels]) }
}

fn mlp() -> Plan<f32> {
    let specs = vec![
        spec("1.weight", &[300, 200]),
        spec("1.bias", &[300]),
        spec("2.weight", &[10, 300]),
        spec("2.bias", &[10]),
    ];
    let graph = Graph::<f32>::with_parameters(specs, Mode::Train);
    let x = graph.input("x", Shape::of([128, 200]));
    let labels = graph.indices("labels", Shape::of([128]));
    let p = |index| graph.parameter(index);
    let loss = x.linear(p(0), Some(p(1))).relu().dropout(0.2).linear(p(2), Some(p(3))).cross_entropy(labels);
    graph.planner().optimizer(&Clipped).loss(loss).build().unwrap()
}

/// Convolution, batch normalisation with running statistics, dropout, both poolings.
fn cnn(micro_batches: bool) -> Plan<f32> {
    let specs = vec![
        spec("conv1.weight", &[8, 1, 3, 3]),
        spec("conv1.bias", &[8]),
        spec("norm.gain", &[8]),
        spec("norm.shift", &[8]),
        statistics("norm.running", 8),
        spec("conv2.weight", &[8, 8, 3, 3]),
        spec("out.weight", &[10, 8 * 3 * 3]),
    ];
    let graph = Graph::<f32>::with_parameters(specs, Mode::Train);
    let x = graph.input("x", Shape::of([32, 1, 14, 14]));
    let labels = graph.indices("labels", Shape::of([32]));
    let p = |index| graph.parameter(index);
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let (y, batch): (Var<'_>, Var<'_>) = x.conv2d(p(0), Some(p(1)), same).batch_norm(p(2), p(3), 1e-5);
    graph.assign(4, p(4) * 0.9 + batch.slice(0, 0..1).reshape([8]) * 0.1);
    let y = y.relu().max_pool2d(2).conv2d(p(5), None, same).tanh().avg_pool2d(2).flatten().dropout(0.3);
    let loss = y.linear(p(6), None).cross_entropy(labels);
    let planner = graph.planner().optimizer(&Clipped).loss(loss).update(UpdateOrder::AtEnd);
    planner.micro_batches(micro_batches).build().unwrap()
}

#[test]
fn a_step_allocates_nothing() {
    // The counter counts: otherwise the rest proves nothing.
    let before = CALLS.load(Ordering::Relaxed);
    drop(core::hint::black_box(vec![1_u8]));
    assert_eq!(CALLS.load(Ordering::Relaxed) - before, 2);

    let threads = Threads::new(4).unwrap();
    for (name, executor) in [("inline", &Inline as &dyn Executor), ("4 threads", &threads)] {
        for (net, plan) in [("mlp", mlp()), ("cnn", cnn(false)), ("cnn with micro-batches", cnn(true))] {
            let watched = Watched { executor, splits: AtomicUsize::new(0) };
            let context = Context { executor: &watched, ..Context::default() };
            let mut session = Session::new(plan).context(context).seed(1);
            for index in 0..session.parameters().count() {
                for (i, value) in session.parameter_mut(index).iter_mut().enumerate() {
                    *value = ((i * 37 % 101) as f32 - 50.0) / 500.0;
                }
            }
            for (i, value) in session.input(0).iter_mut().enumerate() {
                *value = ((i * 53 % 97) as f32) / 97.0;
            }
            session.indices(1).iter_mut().enumerate().for_each(|(i, label)| *label = (i % 10) as u32);
            // From the very first step on.
            let before = CALLS.load(Ordering::Relaxed);
            let mut loss = 0.0;
            for _ in 0..3 {
                loss = session.step(&Clipped).unwrap_or(f32::NAN);
                session.run();
            }
            let calls = CALLS.load(Ordering::Relaxed) - before;
            assert_eq!(calls, 0, "{net}, {name}: calls to the allocator");
            assert!(loss.is_finite(), "{net}, {name}: the loss is {loss}");
            assert!(watched.splits.load(Ordering::Relaxed) > 0, "{net}, {name}: no kernel split its work");
        }
    }
}
