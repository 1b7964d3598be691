//! A static library with a C interface (`c/bantam.h`): the 16-32-4 network from its plan in flash, for people who come from
//! C and Arduino. Everything it needs lies in memory that the caller lends.
#![cfg_attr(target_os = "none", no_std)]

use bantam::autodiff::{BindError, StaticSession};
use bantam::optim::Adam;
use bantam_firmware::{plans::PATTERNS_MLP, tasks::FEATURES, training::context};
use core::mem::MaybeUninit;
use core::slice::{from_raw_parts, from_raw_parts_mut};

/// `bantam_session` of the header.
#[repr(C)]
pub struct Session(MaybeUninit<StaticSession<'static>>);

/// What the header makes room for.
const _: () = assert!(size_of::<Session>() <= 128 && align_of::<Session>() <= 8);

/// The numbers in a batch of features.
const BATCH: usize = 4 * FEATURES;

const OK: i32 = 0;
const TOO_SMALL: i32 = -1;
const MISALIGNED: i32 = -2;
const OTHER_WEIGHTS: i32 = -3;
const NOT_FINITE: i32 = -4;

/// The bytes that `bantam_init` needs.
// SAFETY (here and below): the names begin with `bantam_` and nobody else's do.
#[unsafe(no_mangle)]
pub extern "C" fn bantam_arena_bytes() -> usize {
    PATTERNS_MLP.arena_bytes()
}

/// Binds the plan to `arena` and draws the first weights.
///
/// # Safety
/// `session` points to a `bantam_session`, and `arena` to `len` bytes that are the session's until its last use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_init(session: *mut Session, arena: *mut u8, len: usize, seed: u64) -> i32 {
    // SAFETY: the caller's.
    let memory = unsafe { from_raw_parts_mut(arena, len) };
    match PATTERNS_MLP.bind(memory, seed) {
        Ok(made) => {
            // SAFETY: the caller's.
            unsafe { (*session).0.write(made.context(context()).seed(seed)) };
            OK
        }
        Err(BindError::TooSmall { .. }) => TOO_SMALL,
        Err(BindError::Misaligned { .. }) => MISALIGNED,
        Err(_) => OTHER_WEIGHTS,
    }
}

/// The session behind the pointer.
///
/// # Safety
/// `bantam_init` has made it, and nobody else uses it during `'s`.
unsafe fn get<'s>(session: *mut Session) -> &'s mut StaticSession<'static> {
    // SAFETY: the caller's.
    unsafe { (*session).0.assume_init_mut() }
}

/// Where the features of a batch go, sample after sample.
///
/// # Safety
/// `bantam_init` has made the session; `len` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_features(session: *mut Session, len: *mut usize) -> *mut f32 {
    // SAFETY: the caller's.
    let features = unsafe { get(session) }.input(0);
    if !len.is_null() {
        // SAFETY: the caller's.
        unsafe { len.write(features.len()) };
    }
    features.as_mut_ptr()
}

/// Where the labels of a batch go.
///
/// # Safety
/// As for `bantam_features`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_labels(session: *mut Session, len: *mut usize) -> *mut u32 {
    // SAFETY: the caller's.
    let labels = unsafe { get(session) }.indices(1);
    if !len.is_null() {
        // SAFETY: the caller's.
        unsafe { len.write(labels.len()) };
    }
    labels.as_mut_ptr()
}

/// One training step on the batch that was written.
///
/// # Safety
/// `bantam_init` has made the session; `loss` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_step(session: *mut Session, rate: f32, loss: *mut f32) -> i32 {
    // SAFETY: the caller's.
    let session = unsafe { get(session) };
    match session.step(&Adam::new(rate)) {
        Ok(made) => {
            // SAFETY: the caller's.
            unsafe { loss.write(made) };
            OK
        }
        Err(_) => NOT_FINITE,
    }
}

/// The class scores of the features that were written, row by row, until the next call.
///
/// # Safety
/// As for `bantam_features`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_predict(session: *mut Session, len: *mut usize) -> *const f32 {
    // SAFETY: the caller's.
    let session = unsafe { get(session) };
    // Features lie where the plan that trains has them, and that plan is the session's between calls.
    let mut features = [0.0; BATCH];
    features.copy_from_slice(session.input(0));
    if session.swap(PATTERNS_MLP.evaluate).is_err() {
        return core::ptr::null();
    }
    session.input(0).copy_from_slice(&features);
    session.run();
    let scores = session.output(0);
    if !len.is_null() {
        // SAFETY: the caller's.
        unsafe { len.write(scores.len()) };
    }
    let scores = scores.as_ptr();
    if session.swap(PATTERNS_MLP.train).is_err() {
        return core::ptr::null();
    }
    scores
}

/// The bytes that `bantam_save` writes and `bantam_load` reads.
///
/// # Safety
/// `bantam_init` has made the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_state_bytes(session: *mut Session) -> usize {
    // SAFETY: the caller's.
    16 + unsafe { get(session) }.state().len()
}

/// Writes everything that training goes on from.
///
/// # Safety
/// `bantam_init` has made the session; `out` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_save(session: *mut Session, out: *mut u8, len: usize) -> i32 {
    // SAFETY: the caller's.
    let (session, out) = unsafe { (get(session), from_raw_parts_mut(out, len)) };
    let state = session.state();
    let Some((head, rest)) = out.split_first_chunk_mut::<16>() else { return TOO_SMALL };
    let Some(rest) = rest.get_mut(..state.len()) else { return TOO_SMALL };
    rest.copy_from_slice(state);
    head[..8].copy_from_slice(&PATTERNS_MLP.train.id().to_le_bytes());
    head[8..].copy_from_slice(&session.updates().to_le_bytes());
    OK
}

/// Goes on from what `bantam_save` wrote.
///
/// # Safety
/// `bantam_init` has made the session; `from` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bantam_load(session: *mut Session, from: *const u8, len: usize) -> i32 {
    // SAFETY: the caller's.
    let (session, from) = unsafe { (get(session), from_raw_parts(from, len)) };
    let Some(([i0, i1, i2, i3, i4, i5, i6, i7, updates @ ..], state)) = from.split_first_chunk::<16>() else {
        return TOO_SMALL;
    };
    if u64::from_le_bytes([*i0, *i1, *i2, *i3, *i4, *i5, *i6, *i7]) != PATTERNS_MLP.train.id() {
        return OTHER_WEIGHTS;
    }
    let Some(state) = state.get(..session.state().len()) else { return TOO_SMALL };
    session.state_mut().copy_from_slice(state);
    let updates = u64::from_le_bytes(*updates);
    session.resume_at(updates, updates);
    OK
}
