//! Matrix products for processors without vectors: three loops that take 16 columns of the longer operand at a time.
//!
//! Tiles and panels earn nothing there: what counts is how few instructions a multiply-add takes and how small the code
//! is. A product goes by one of three loops, whichever reads its right operand and the result in the order of memory. Each
//! element starts and adds its products in the order of `k`, as everywhere: the bits are those of the tiles.

use crate::gemm::{Activation, Bias, Gemm};
use crate::reduce::{SUMS, joined_in_four, one_of_four};
use crate::simd::{Element, LANES};
use crate::streams::in_streams;
use core::array::from_fn;

/// A matrix: where it begins and the distance of its rows, in elements. Neighbours in a row are neighbours in memory.
#[derive(Clone, Copy)]
struct Rows<T> {
    start: *mut T,
    stride: usize,
}

impl<T> Rows<T> {
    fn at(self, row: usize, column: usize) -> *mut T {
        // Wrapping: there is nothing to point at in an empty matrix.
        self.start.wrapping_add(row * self.stride + column)
    }
}

/// C = activation(A·B + bias), or activation(C + bias + A·B) if `accumulate`; lengths have been checked by the caller.
pub(crate) fn gemm<T: Element>(
    gemm: &Gemm,
    a: &[T],
    b: &[T],
    bias: Option<Bias<'_, T>>,
    activation: Activation,
    c: &mut [T],
    accumulate: bool,
) {
    let Gemm { m, n, k, a_strides, b_strides } = *gemm;
    // What each element starts from.
    if !accumulate {
        match bias {
            Some(Bias::PerColumn(bias)) => c.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(bias)),
            Some(Bias::PerRow(bias)) => {
                c.chunks_exact_mut(n).zip(bias).for_each(|(row, bias)| row.fill(*bias));
            }
            None => c.fill(T::zero()),
        }
    } else if let Some(bias) = bias {
        for (i, row) in c.chunks_exact_mut(n).enumerate() {
            for (j, c) in row.iter_mut().enumerate() {
                *c += match bias {
                    Bias::PerColumn(bias) => bias[j],
                    Bias::PerRow(bias) => bias[i],
                };
            }
        }
    }
    // None of the loops writes through the pointers to A and B.
    let element = |i: usize, p: usize| a.as_ptr().wrapping_add(i * a_strides[0] + p * a_strides[1]);
    let c_rows = Rows { start: c.as_mut_ptr(), stride: n };
    if b_strides[0] == 1 && a_strides[1] == 1 {
        let b = Rows { start: b.as_ptr().cast_mut(), stride: b_strides[1] };
        for i in 0..m {
            // SAFETY: `gemm` checked that row i of A has k elements, that B has n rows of k here, and that C has n columns;
            // C is borrowed uniquely.
            unsafe { dots(element(i, 0), k, b, n, c_rows.at(i, 0), c_rows.at(i, 0), false) };
        }
    } else if b_strides[1] == 1 && k < m {
        for p in 0..k {
            let row = b.as_ptr().wrapping_add(p * b_strides[0]);
            // SAFETY: row p of B has n elements, column p of A has m at a distance of its first stride, C has m rows of n.
            unsafe { spread(element(0, p), a_strides[0], row, n, c_rows, m) };
        }
    } else if b_strides[1] == 1 {
        let b = Rows { start: b.as_ptr().cast_mut(), stride: b_strides[0] };
        for i in 0..m {
            // SAFETY: row i of A has k elements at a distance of its second stride, B has k rows of n, C has n columns.
            unsafe {
                let c = c_rows.at(i, 0);
                combine(element(i, 0), a_strides[1], k, b, n, c, c);
            }
        }
    } else {
        for (i, row) in c.chunks_exact_mut(n).enumerate() {
            for (j, c) in row.iter_mut().enumerate() {
                for p in 0..k {
                    let b = b.as_ptr().wrapping_add(p * b_strides[0] + j * b_strides[1]);
                    // SAFETY: `gemm` checked that A reaches to row i and B to column j, each in k.
                    *c += unsafe { *element(i, p) * *b };
                }
            }
        }
    }
    activate(activation, c);
}

/// See [`crate::linear_forward`], which has checked the lengths.
pub(crate) fn linear_forward<T: Element>(
    weight: &[T],
    bias: &[T],
    x: &[T],
    activation: Activation,
    y: &mut [T],
) {
    if x.is_empty() {
        y.copy_from_slice(bias);
        return activate(activation, y);
    }
    let relu = activation == Activation::Relu;
    let rows = Rows { start: weight.as_ptr().cast_mut(), stride: x.len() };
    // SAFETY: the weight has a row as long as `x` for each element of `y`, and there are as many biases.
    unsafe { dots(x.as_ptr(), x.len(), rows, y.len(), bias.as_ptr(), y.as_mut_ptr(), relu) };
}

/// See [`crate::linear_backward`], which has checked the lengths.
pub(crate) fn linear_backward<T: Element>(weight: &[T], dy: &[T], dx: &mut [T]) {
    let rows = Rows { start: weight.as_ptr().cast_mut(), stride: dx.len() };
    // SAFETY: the weight has a row as long as `dx` for each element of `dy`.
    unsafe { combine(dy.as_ptr(), 1, dy.len(), rows, dx.len(), core::ptr::null(), dx.as_mut_ptr()) };
}

/// See [`crate::linear_update`], which has checked the lengths; there is a number in `on` for each row.
#[inline(never)]
pub(crate) fn linear_update<T: Element>(step: &[T], on: &[T], x: &[T], weight: &mut [T], bias: &mut [T]) {
    let (on, bias) = (on.as_ptr(), bias.as_mut_ptr());
    let rows = Rows { start: weight.as_mut_ptr(), stride: x.len() };
    // SAFETY: the weight has a row as long as `x` for each element of `step`, `on` and `bias`, and is borrowed uniquely.
    let (columns, biases) = unsafe { blocks::update(step, on, x, rows, bias) };
    if columns == x.len() && biases == step.len() {
        return;
    }
    let first = if columns == x.len() { biases } else { 0 };
    for i in first..step.len() {
        // SAFETY: as above.
        unsafe {
            if *on.add(i) == T::zero() {
                continue;
            }
            let factor = *step.as_ptr().add(i);
            if i >= biases {
                *bias.add(i) += factor;
            }
            for j in columns..x.len() {
                *rows.at(i, j) += factor * *x.as_ptr().add(j);
            }
        }
    }
}

/// See [`crate::axpy`], which has checked the lengths.
pub(crate) fn axpy<T: Element>(alpha: T, x: &[T], y: &mut [T]) {
    let row = Rows { start: y.as_mut_ptr(), stride: y.len() };
    // SAFETY: `y` is one row as long as `x`, and is borrowed uniquely.
    unsafe { spread(&alpha, 1, x.as_ptr(), x.len(), row, 1) };
}

/// Eight lanes joined as [`Vector::tree`](crate::simd::Vector::tree) does for a sum.
pub(crate) fn tree<T: Element>([a, b, c, d, e, f, g, h]: [T; LANES]) -> T {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The elements of a row joined in the order that [`crate::reduce()`] names. Not once for each kind.
#[inline(never)]
pub(crate) fn fold_row<T: Element>(x: &[T], start: T, join: &dyn Fn(T, T) -> T) -> T {
    let many = joined_in_four(x.len());
    // Four vectors, one behind the other.
    let mut lanes = [start; SUMS * LANES];
    for range in in_streams(many, 1) {
        for (i, x) in x[range].iter().enumerate() {
            let lane = &mut lanes[i % (SUMS * LANES)];
            *lane = join(*lane, *x);
        }
    }
    for i in 0..LANES {
        lanes[i] = one_of_four(from_fn(|vector| lanes[vector * LANES + i]), join);
    }
    for (i, x) in x[many..].iter().enumerate() {
        lanes[i % LANES] = join(lanes[i % LANES], *x);
    }
    // As in a vector's tree.
    for half in [4, 2, 1] {
        for i in 0..half {
            lanes[i] = join(lanes[i], lanes[i + half]);
        }
    }
    lanes[0]
}

/// Σ a·b of two rows of one length, in the order of [`fold_row`]. If `fast`, numbers below the normal ones may count as zeros.
pub(crate) fn dot<T: Element>(a: &[T], b: &[T], fast: bool) -> T {
    let many = joined_in_four(a.len());
    let mut four = [[T::zero(); LANES]; SUMS];
    for range in in_streams(many, 2) {
        for (i, lanes) in four.iter_mut().enumerate() {
            let first = range.start + i * LANES;
            add_products(&a[first..], &b[first..], range.len() / (SUMS * LANES), SUMS, lanes, fast);
        }
    }
    let mut lanes = one_of_four(four, |a, b| from_fn(|i| a[i] + b[i]));
    let (a, b) = (&a[many..], &b[many..]);
    add_products(a, b, a.len() / LANES, 1, &mut lanes, fast);
    let whole = a.len() - a.len() % LANES;
    for (lane, (a, b)) in lanes.iter_mut().zip(a[whole..].iter().zip(&b[whole..])) {
        *lane += *a * *b;
    }
    tree(lanes)
}

/// lanes[i] += a[i] · b[i] for `count` groups of eight elements, of which each begins `step` groups behind the one before it.
fn add_products<T: Element>(a: &[T], b: &[T], count: usize, step: usize, lanes: &mut [T; LANES], fast: bool) {
    let last = if count > 0 { (count - 1) * step * LANES + LANES } else { 0 };
    let (a, b) = (&a[..last], &b[..last]);
    // SAFETY: both have that many elements.
    if unsafe { blocks::add_products(a.as_ptr(), b.as_ptr(), count, step, lanes, fast) } {
        return;
    }
    for (a, b) in a.chunks(step * LANES).zip(b.chunks(step * LANES)) {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane += a[i] * b[i];
        }
    }
}

fn activate<T: Element>(activation: Activation, c: &mut [T]) {
    if activation == Activation::Relu {
        // NaN stays.
        c.iter_mut().filter(|c| **c < T::zero()).for_each(|c| *c = T::zero());
    }
}

/// c[j] = start[j] + Σ a[p] · b[j, p], or 0 where that is negative and `relu`, for `rows` rows of `len` columns; nothing if there are
/// no columns.
///
/// # Safety
/// `a` points to `len` elements, `b` has `rows` rows of as many, `start` and `c` point to `rows` elements. Those of `c` nobody else
/// uses; `start` may be `c`.
#[inline(never)]
unsafe fn dots<T: Element>(
    a: *const T,
    len: usize,
    b: Rows<T>,
    rows: usize,
    start: *const T,
    c: *mut T,
    relu: bool,
) {
    // SAFETY: the blocks are those of `a` and `b`.
    let done = unsafe { blocks::dots(a, len, b, rows, start, c, relu) };
    if done == len {
        return;
    }
    let start = if done > 0 { c.cast_const() } else { start };
    for j in 0..rows {
        // SAFETY: the caller's.
        unsafe {
            let mut sum = *start.add(j);
            for p in done..len {
                sum += *a.add(p) * *b.at(j, p);
            }
            // NaN stays.
            *c.add(j) = if relu && sum < T::zero() { T::zero() } else { sum };
        }
    }
}

/// c[j] = start[j] + Σ a[p] · b[p, j] for `rows` rows of `len` columns.
///
/// # Safety
/// `a` points to `rows` elements at a distance of `stride`, `b` has `rows` rows of `len` elements, `start` and `c` point to `len`
/// elements. Those of `c` nobody else uses; `start` may be `c`, or null for zeros.
#[inline(never)]
unsafe fn combine<T: Element>(
    a: *const T,
    stride: usize,
    rows: usize,
    b: Rows<T>,
    len: usize,
    start: *const T,
    c: *mut T,
) {
    // SAFETY: the blocks are those of `b` and `c`.
    let done = unsafe { blocks::combine(a, stride, rows, b, len, start, c) };
    for j in done..len {
        // SAFETY: the caller's.
        unsafe {
            let mut sum = if start.is_null() { T::zero() } else { *start.add(j) };
            for p in 0..rows {
                sum += *a.add(p * stride) * *b.at(p, j);
            }
            *c.add(j) = sum;
        }
    }
}

/// c[i, j] += a[i] · b[j] for `rows` rows of `len` columns.
///
/// # Safety
/// `a` points to `rows` elements at a distance of `stride`, `b` to `len` elements, `c` has `rows` rows of as many that
/// nobody else uses.
#[inline(never)]
unsafe fn spread<T: Element>(a: *const T, stride: usize, b: *const T, len: usize, c: Rows<T>, rows: usize) {
    // SAFETY: the blocks are those of `b` and `c`.
    let done = unsafe { blocks::spread(a, stride, b, len, c, rows) };
    if done == len {
        return;
    }
    for i in 0..rows {
        // SAFETY: the caller's.
        unsafe {
            let factor = *a.add(i * stride);
            for j in done..len {
                *c.at(i, j) += factor * *b.add(j);
            }
        }
    }
}

/// The loops over whole blocks of 16 columns, for the FPU of a Cortex-M. Each returns how many columns are done.
///
/// VMLA multiplies and adds in one instruction that rounds twice, as portable numerics ask, and VLDM loads eight registers
/// with one; compilers choose neither for loops of this kind. Nor do they see how long an assembly is: each is inlined into its
/// caller, which never is.
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod blocks {
    use super::Rows;
    use crate::simd::{Element, LANES};
    use core::arch::asm;

    const COLUMNS: usize = 16;
    const BYTES: usize = size_of::<f32>();

    /// The columns of whole blocks; none for `f64`.
    fn columns<T: Element>(len: usize, rows: usize) -> usize {
        if size_of::<T>() == BYTES && rows > 0 { len - len % COLUMNS } else { 0 }
    }

    /// # Safety
    /// As for `super::dots`.
    #[inline(always)]
    pub(super) unsafe fn dots<T: Element>(
        a: *const T,
        len: usize,
        b: Rows<T>,
        rows: usize,
        mut start: *const T,
        c: *mut T,
        relu: bool,
    ) -> usize {
        let stride = b.stride;
        let (mut left, mut a, mut b) = (len, a, b.start.cast_const());
        // For `f64` no block is done.
        while size_of::<T>() == BYTES && left >= COLUMNS {
            left -= COLUMNS;
            // SAFETY: reads 16 elements of `a` and of each row of `b`, reads `rows` elements of `start` and writes as many of `c`,
            // all `f32`.
            unsafe {
                asm!(
                    "vldmia {a}, {{s0-s15}}",
                    "vmov s28, r3",
                    // Four rows at a time, and the rest one by one.
                    "subs {rows}, #4",
                    "blo 4f",
                    "2: vldmia {start}!, {{s24-s27}}",
                    "vldmia {b}!, {{s16-s23}}",
                    "vmla.f32 s24, s0, s16; vmla.f32 s24, s1, s17; vmla.f32 s24, s2, s18; vmla.f32 s24, s3, s19",
                    "vmla.f32 s24, s4, s20; vmla.f32 s24, s5, s21; vmla.f32 s24, s6, s22; vmla.f32 s24, s7, s23",
                    "vldmia {b}, {{s16-s23}}",
                    "vmla.f32 s24, s8, s16; vmla.f32 s24, s9, s17; vmla.f32 s24, s10, s18; vmla.f32 s24, s11, s19",
                    "vmla.f32 s24, s12, s20; vmla.f32 s24, s13, s21; vmla.f32 s24, s14, s22; vmla.f32 s24, s15, s23",
                    "add {b}, {skip}",
                    "vldmia {b}!, {{s16-s23}}",
                    "vmla.f32 s25, s0, s16; vmla.f32 s25, s1, s17; vmla.f32 s25, s2, s18; vmla.f32 s25, s3, s19",
                    "vmla.f32 s25, s4, s20; vmla.f32 s25, s5, s21; vmla.f32 s25, s6, s22; vmla.f32 s25, s7, s23",
                    "vldmia {b}, {{s16-s23}}",
                    "vmla.f32 s25, s8, s16; vmla.f32 s25, s9, s17; vmla.f32 s25, s10, s18; vmla.f32 s25, s11, s19",
                    "vmla.f32 s25, s12, s20; vmla.f32 s25, s13, s21; vmla.f32 s25, s14, s22; vmla.f32 s25, s15, s23",
                    "add {b}, {skip}",
                    "vldmia {b}!, {{s16-s23}}",
                    "vmla.f32 s26, s0, s16; vmla.f32 s26, s1, s17; vmla.f32 s26, s2, s18; vmla.f32 s26, s3, s19",
                    "vmla.f32 s26, s4, s20; vmla.f32 s26, s5, s21; vmla.f32 s26, s6, s22; vmla.f32 s26, s7, s23",
                    "vldmia {b}, {{s16-s23}}",
                    "vmla.f32 s26, s8, s16; vmla.f32 s26, s9, s17; vmla.f32 s26, s10, s18; vmla.f32 s26, s11, s19",
                    "vmla.f32 s26, s12, s20; vmla.f32 s26, s13, s21; vmla.f32 s26, s14, s22; vmla.f32 s26, s15, s23",
                    "add {b}, {skip}",
                    "vldmia {b}!, {{s16-s23}}",
                    "vmla.f32 s27, s0, s16; vmla.f32 s27, s1, s17; vmla.f32 s27, s2, s18; vmla.f32 s27, s3, s19",
                    "vmla.f32 s27, s4, s20; vmla.f32 s27, s5, s21; vmla.f32 s27, s6, s22; vmla.f32 s27, s7, s23",
                    "vldmia {b}, {{s16-s23}}",
                    "vmla.f32 s27, s8, s16; vmla.f32 s27, s9, s17; vmla.f32 s27, s10, s18; vmla.f32 s27, s11, s19",
                    "vmla.f32 s27, s12, s20; vmla.f32 s27, s13, s21; vmla.f32 s27, s14, s22; vmla.f32 s27, s15, s23",
                    "add {b}, {skip}",
                    "cbnz r3, 3f",
                    "vcmp.f32 s24, #0; vmrs apsr_nzcv, fpscr; bpl 8f; vmov.f32 s24, s28; 8:",
                    "vcmp.f32 s25, #0; vmrs apsr_nzcv, fpscr; bpl 8f; vmov.f32 s25, s28; 8:",
                    "vcmp.f32 s26, #0; vmrs apsr_nzcv, fpscr; bpl 8f; vmov.f32 s26, s28; 8:",
                    "vcmp.f32 s27, #0; vmrs apsr_nzcv, fpscr; bpl 8f; vmov.f32 s27, s28; 8:",
                    "3: vstmia {c}!, {{s24-s27}}",
                    "subs {rows}, #4",
                    "bhs 2b",
                    "4: adds {rows}, #4",
                    "beq 7f",
                    "5: vldmia {start}!, {{s24}}",
                    "vldmia {b}!, {{s16-s23}}",
                    "vmla.f32 s24, s0, s16; vmla.f32 s24, s1, s17; vmla.f32 s24, s2, s18; vmla.f32 s24, s3, s19",
                    "vmla.f32 s24, s4, s20; vmla.f32 s24, s5, s21; vmla.f32 s24, s6, s22; vmla.f32 s24, s7, s23",
                    "vldmia {b}, {{s16-s23}}",
                    "vmla.f32 s24, s8, s16; vmla.f32 s24, s9, s17; vmla.f32 s24, s10, s18; vmla.f32 s24, s11, s19",
                    "vmla.f32 s24, s12, s20; vmla.f32 s24, s13, s21; vmla.f32 s24, s14, s22; vmla.f32 s24, s15, s23",
                    "add {b}, {skip}",
                    "cbnz r3, 6f",
                    "vcmp.f32 s24, #0; vmrs apsr_nzcv, fpscr; bpl 8f; vmov.f32 s24, s28; 8:",
                    "6: vstmia {c}!, {{s24}}",
                    "subs {rows}, #1",
                    "bne 5b",
                    "7:",
                    a = in(reg) a,
                    b = inout(reg) b => _,
                    start = inout(reg) start => _,
                    c = inout(reg) c => _,
                    skip = in(reg) (stride - COLUMNS / 2) * BYTES,
                    rows = inout(reg) rows => _,
                    // 0, what negative numbers become, or 1: none do.
                    in("r3") if left == 0 { u32::from(!relu) } else { 1 },
                    out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                    out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                    out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                    out("s20") _, out("s21") _, out("s22") _, out("s23") _, out("s24") _, out("s25") _,
                    out("s26") _, out("s27") _, out("s28") _,
                    options(nostack),
                );
            }
            (a, b, start) = (a.wrapping_add(COLUMNS), b.wrapping_add(COLUMNS), c);
        }
        len - left
    }

    /// # Safety
    /// As for `super::combine`.
    #[inline(always)]
    pub(super) unsafe fn combine<T: Element>(
        a: *const T,
        stride: usize,
        rows: usize,
        b: Rows<T>,
        len: usize,
        start: *const T,
        c: *mut T,
    ) -> usize {
        /// What sums start from.
        static ZEROS: [f32; COLUMNS] = [0.0; COLUMNS];
        let columns = columns::<T>(len, rows);
        for j in (0..columns).step_by(COLUMNS) {
            // SAFETY: reads `rows` elements of `a`, 16 of each row of `b` and of `start`, writes 16 of `c`, all `f32`.
            unsafe {
                asm!(
                    "vldmia {start}, {{s16-s31}}",
                    "2: vldr s8, [{a}]",
                    "vldmia {b}!, {{s0-s7}}",
                    "vmla.f32 s16, s8, s0; vmla.f32 s17, s8, s1; vmla.f32 s18, s8, s2; vmla.f32 s19, s8, s3",
                    "vmla.f32 s20, s8, s4; vmla.f32 s21, s8, s5; vmla.f32 s22, s8, s6; vmla.f32 s23, s8, s7",
                    "vldmia {b}, {{s0-s7}}",
                    "vmla.f32 s24, s8, s0; vmla.f32 s25, s8, s1; vmla.f32 s26, s8, s2; vmla.f32 s27, s8, s3",
                    "vmla.f32 s28, s8, s4; vmla.f32 s29, s8, s5; vmla.f32 s30, s8, s6; vmla.f32 s31, s8, s7",
                    "add {a}, {stride}",
                    "add {b}, {skip}",
                    "subs {rows}, {rows}, #1",
                    "bne 2b",
                    "vstmia {c}, {{s16-s31}}",
                    a = inout(reg) a => _,
                    stride = in(reg) stride * BYTES,
                    b = inout(reg) b.at(0, j) => _,
                    skip = in(reg) (b.stride - COLUMNS / 2) * BYTES,
                    start = in(reg) if start.is_null() { ZEROS.as_ptr().cast() } else { start.add(j) },
                    c = in(reg) c.add(j),
                    rows = inout(reg) rows => _,
                    out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                    out("s7") _, out("s8") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                    out("s20") _, out("s21") _, out("s22") _, out("s23") _, out("s24") _, out("s25") _,
                    out("s26") _, out("s27") _, out("s28") _, out("s29") _, out("s30") _, out("s31") _,
                    options(nostack),
                );
            }
        }
        columns
    }

    /// # Safety
    /// As for `super::spread`.
    #[inline(always)]
    pub(super) unsafe fn spread<T: Element>(
        a: *const T,
        stride: usize,
        b: *const T,
        len: usize,
        c: Rows<T>,
        rows: usize,
    ) -> usize {
        let columns = columns::<T>(len, rows);
        for j in (0..columns).step_by(COLUMNS) {
            // SAFETY: reads `rows` elements of `a` and 16 of `b`, reads and writes 16 of each row of `c`, all `f32`.
            unsafe {
                asm!(
                    "vldmia {b}, {{s0-s15}}",
                    "2: vldr s24, [{a}]",
                    "vldmia {c}, {{s16-s23}}",
                    "vmla.f32 s16, s24, s0; vmla.f32 s17, s24, s1; vmla.f32 s18, s24, s2; vmla.f32 s19, s24, s3",
                    "vmla.f32 s20, s24, s4; vmla.f32 s21, s24, s5; vmla.f32 s22, s24, s6; vmla.f32 s23, s24, s7",
                    "vstmia {c}!, {{s16-s23}}",
                    "vldmia {c}, {{s16-s23}}",
                    "vmla.f32 s16, s24, s8; vmla.f32 s17, s24, s9; vmla.f32 s18, s24, s10; vmla.f32 s19, s24, s11",
                    "vmla.f32 s20, s24, s12; vmla.f32 s21, s24, s13; vmla.f32 s22, s24, s14; vmla.f32 s23, s24, s15",
                    "vstmia {c}, {{s16-s23}}",
                    "add {a}, {stride}",
                    "add {c}, {skip}",
                    "subs {rows}, {rows}, #1",
                    "bne 2b",
                    a = inout(reg) a => _,
                    stride = in(reg) stride * BYTES,
                    b = in(reg) b.add(j),
                    c = inout(reg) c.at(0, j) => _,
                    skip = in(reg) (c.stride - COLUMNS / 2) * BYTES,
                    rows = inout(reg) rows => _,
                    out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                    out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                    out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                    out("s20") _, out("s21") _, out("s22") _, out("s23") _, out("s24") _,
                    options(nostack),
                );
            }
        }
        columns
    }

    /// weight[i, j] += step[i] · x[j], but where on[i] is 0; and with the first block, bias[i] += step[i] of whole fours of rows.
    /// Returns how many columns are done, and how many biases.
    ///
    /// # Safety
    /// `on` and `bias` point to as many elements as `step` has, and `weight` has as many rows, as long as `x`; nobody else uses
    /// `bias` and `weight`.
    #[inline(always)]
    pub(super) unsafe fn update<T: Element>(
        step: &[T],
        on: *const T,
        x: &[T],
        weight: Rows<T>,
        bias: *mut T,
    ) -> (usize, usize) {
        let (mut left, mut x_block, mut weight_block) = (x.len(), x.as_ptr(), weight.at(0, COLUMNS / 2));
        let (mut biases, mut writes) = (0, 1);
        // For `f64` no block is done.
        while size_of::<T>() == BYTES && left >= COLUMNS {
            left -= COLUMNS;
            // SAFETY: reads all of `step` and `on` and 16 elements of `x`, reads and writes 16 of each row of `weight` and whole fours
            // of `bias`, all `f32`.
            unsafe {
                asm!(
                    "vldmia r0, {{s0-s15}}",
                    // Four rows at a time.
                    "subs {rows}, #4",
                    "blt 6f",
                    "2: ldmia {on}!, {{r0-r3}}",
                    "vldmia {step}!, {{s24-s27}}",
                    "vldmia {bias}, {{s28-s31}}",
                    // All bits but the sign say whether a row is on. Its second half comes first: the pointer ends where it began.
                    "lsls r0, r0, #1",
                    "beq 3f",
                    "vadd.f32 s28, s28, s24",
                    "vldmia {weight}, {{s16-s23}}",
                    "vmla.f32 s16, s24, s8; vmla.f32 s17, s24, s9; vmla.f32 s18, s24, s10; vmla.f32 s19, s24, s11",
                    "vmla.f32 s20, s24, s12; vmla.f32 s21, s24, s13; vmla.f32 s22, s24, s14; vmla.f32 s23, s24, s15",
                    "vstmia {weight}, {{s16-s23}}",
                    "vldmdb {weight}!, {{s16-s23}}",
                    "vmla.f32 s16, s24, s0; vmla.f32 s17, s24, s1; vmla.f32 s18, s24, s2; vmla.f32 s19, s24, s3",
                    "vmla.f32 s20, s24, s4; vmla.f32 s21, s24, s5; vmla.f32 s22, s24, s6; vmla.f32 s23, s24, s7",
                    "vstmia {weight}!, {{s16-s23}}",
                    "3: add {weight}, {row}",
                    "lsls r1, r1, #1",
                    "beq 3f",
                    "vadd.f32 s29, s29, s25",
                    "vldmia {weight}, {{s16-s23}}",
                    "vmla.f32 s16, s25, s8; vmla.f32 s17, s25, s9; vmla.f32 s18, s25, s10; vmla.f32 s19, s25, s11",
                    "vmla.f32 s20, s25, s12; vmla.f32 s21, s25, s13; vmla.f32 s22, s25, s14; vmla.f32 s23, s25, s15",
                    "vstmia {weight}, {{s16-s23}}",
                    "vldmdb {weight}!, {{s16-s23}}",
                    "vmla.f32 s16, s25, s0; vmla.f32 s17, s25, s1; vmla.f32 s18, s25, s2; vmla.f32 s19, s25, s3",
                    "vmla.f32 s20, s25, s4; vmla.f32 s21, s25, s5; vmla.f32 s22, s25, s6; vmla.f32 s23, s25, s7",
                    "vstmia {weight}!, {{s16-s23}}",
                    "3: add {weight}, {row}",
                    "lsls r2, r2, #1",
                    "beq 3f",
                    "vadd.f32 s30, s30, s26",
                    "vldmia {weight}, {{s16-s23}}",
                    "vmla.f32 s16, s26, s8; vmla.f32 s17, s26, s9; vmla.f32 s18, s26, s10; vmla.f32 s19, s26, s11",
                    "vmla.f32 s20, s26, s12; vmla.f32 s21, s26, s13; vmla.f32 s22, s26, s14; vmla.f32 s23, s26, s15",
                    "vstmia {weight}, {{s16-s23}}",
                    "vldmdb {weight}!, {{s16-s23}}",
                    "vmla.f32 s16, s26, s0; vmla.f32 s17, s26, s1; vmla.f32 s18, s26, s2; vmla.f32 s19, s26, s3",
                    "vmla.f32 s20, s26, s4; vmla.f32 s21, s26, s5; vmla.f32 s22, s26, s6; vmla.f32 s23, s26, s7",
                    "vstmia {weight}!, {{s16-s23}}",
                    "3: add {weight}, {row}",
                    "4: lsls r3, r3, #1",
                    "beq 3f",
                    "vadd.f32 s31, s31, s27",
                    "vldmia {weight}, {{s16-s23}}",
                    "vmla.f32 s16, s27, s8; vmla.f32 s17, s27, s9; vmla.f32 s18, s27, s10; vmla.f32 s19, s27, s11",
                    "vmla.f32 s20, s27, s12; vmla.f32 s21, s27, s13; vmla.f32 s22, s27, s14; vmla.f32 s23, s27, s15",
                    "vstmia {weight}, {{s16-s23}}",
                    "vldmdb {weight}!, {{s16-s23}}",
                    "vmla.f32 s16, s27, s0; vmla.f32 s17, s27, s1; vmla.f32 s18, s27, s2; vmla.f32 s19, s27, s3",
                    "vmla.f32 s20, s27, s4; vmla.f32 s21, s27, s5; vmla.f32 s22, s27, s6; vmla.f32 s23, s27, s7",
                    "vstmia {weight}!, {{s16-s23}}",
                    "3: add {weight}, {row}",
                    "cbz r4, 5f",
                    "vstmia {bias}!, {{s28-s31}}",
                    "5: subs {rows}, #4",
                    "bge 2b",
                    // The rest one by one, each as a fourth row, but for its bias.
                    "6: adds {rows}, #4",
                    "beq 7f",
                    "subs {rows}, #1",
                    "movs r4, #0",
                    "ldr r3, [{on}], #4",
                    "vldmia {step}!, {{s27}}",
                    "b 4b",
                    "7:",
                    on = inout(reg) on => _,
                    step = inout(reg) step.as_ptr() => _,
                    weight = inout(reg) weight_block => _,
                    row = in(reg) weight.stride * BYTES,
                    bias = inout(reg) bias => _,
                    rows = inout(reg) step.len() => _,
                    inout("r0") x_block => _, out("r1") _, out("r2") _, out("r3") _,
                    // Whether biases are written.
                    inout("r4") writes => _,
                    out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                    out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                    out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                    out("s20") _, out("s21") _, out("s22") _, out("s23") _, out("s24") _, out("s25") _,
                    out("s26") _, out("s27") _, out("s28") _, out("s29") _, out("s30") _, out("s31") _,
                    options(nostack),
                );
            }
            (x_block, weight_block) = (x_block.wrapping_add(COLUMNS), weight_block.wrapping_add(COLUMNS));
            (biases, writes) = (step.len() - step.len() % 4, 0);
        }
        (x.len() - left, biases)
    }

    /// As `super::add_products`; says whether it is done.
    ///
    /// # Safety
    /// `a` and `b` point to as many groups.
    #[inline(never)]
    pub(super) unsafe fn add_products<T: Element>(
        a: *const T,
        b: *const T,
        count: usize,
        step: usize,
        lanes: &mut [T; LANES],
        fast: bool,
    ) -> bool {
        if size_of::<T>() != BYTES || count == 0 {
            return count == 0;
        }
        // The vectors of a Cortex-M (MVE): four lanes each. They take numbers below the normal ones for zeros.
        #[cfg(target_feature = "neon")]
        if fast {
            // SAFETY: reads `count` groups of `a` and of `b`, reads and writes all of `lanes`, all `f32`.
            unsafe {
                asm!(
                    "vldmia {lanes}, {{s0-s7}}",
                    "2: vldrw.u32 q2, [{a}], #16",
                    "vldrw.u32 q3, [{b}], #16",
                    "vldrw.u32 q4, [{a}], #16",
                    "vldrw.u32 q5, [{b}], #16",
                    "vmul.f32 q2, q2, q3",
                    "vmul.f32 q4, q4, q5",
                    "vadd.f32 q0, q0, q2",
                    "vadd.f32 q1, q1, q4",
                    "add {a}, {skip}",
                    "add {b}, {skip}",
                    "subs {count}, #1",
                    "bne 2b",
                    "vstmia {lanes}, {{s0-s7}}",
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    lanes = in(reg) lanes.as_mut_ptr(),
                    skip = in(reg) (step - 1) * LANES * BYTES,
                    count = inout(reg) count => _,
                    out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                    out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                    out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                    out("s20") _, out("s21") _, out("s22") _, out("s23") _,
                    options(nostack),
                );
            }
            return true;
        }
        #[cfg(not(target_feature = "neon"))]
        let _ = fast;
        // SAFETY: reads `count` groups of `a` and of `b`, reads and writes all of `lanes`, all `f32`.
        unsafe {
            asm!(
                "vldmia {lanes}, {{s0-s7}}",
                "2: vldmia {a}!, {{s8-s15}}",
                "vldmia {b}!, {{s16-s23}}",
                "vmla.f32 s0, s8, s16; vmla.f32 s1, s9, s17; vmla.f32 s2, s10, s18; vmla.f32 s3, s11, s19",
                "vmla.f32 s4, s12, s20; vmla.f32 s5, s13, s21; vmla.f32 s6, s14, s22; vmla.f32 s7, s15, s23",
                "add {a}, {skip}",
                "add {b}, {skip}",
                "subs {count}, #1",
                "bne 2b",
                "vstmia {lanes}, {{s0-s7}}",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                lanes = in(reg) lanes.as_mut_ptr(),
                skip = in(reg) (step - 1) * LANES * BYTES,
                count = inout(reg) count => _,
                out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                out("s20") _, out("s21") _, out("s22") _, out("s23") _,
                options(nostack),
            );
        }
        true
    }
}

/// Loops over whole lines in the vectors of a Cortex-M (MVE), by the bits of numbers: as numbers, they would take those below the
/// normal ones for zeros. Each returns how many elements are done.
#[cfg(all(target_arch = "arm", target_abi = "eabihf", target_feature = "neon"))]
pub(crate) mod lines {
    use crate::simd::Element;
    use core::arch::asm;

    /// y = max(x, 0), and NaN where x is; returns how many elements are done.
    ///
    /// # Safety
    /// `x` can be read and `y` written for `len` elements; they are one or apart.
    #[inline]
    pub(crate) unsafe fn relu<T: Element>(x: *const T, y: *mut T, len: usize) -> usize {
        if size_of::<T>() != size_of::<f32>() {
            return 0;
        }
        // SAFETY: reads `len` elements of `x` and writes as many of `y`, all `f32`.
        unsafe {
            asm!(
                "vdup.32 q2, {least}",
                "vdup.32 q3, {count}",
                "vmov.i32 q4, #0",
                "wlstp.32 lr, {len}, 3f",
                "2: vldrw.u32 q0, [{x}], #16",
                "vsub.i32 q1, q0, q2",
                "vpt.u32 cs, q3, q1",
                "vmovt q0, q4",
                "vstrw.32 q0, [{y}], #16",
                "letp lr, 2b",
                "3:",
                // The bits of the negative number nearest to zero, and how far those of −∞ are from there.
                least = in(reg) 0x8000_0001_u32,
                count = in(reg) 0x7f7f_ffff_u32,
                len = in(reg) len,
                x = inout(reg) x => _,
                y = inout(reg) y => _,
                out("lr") _,
                out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                options(nostack),
            );
        }
        len
    }

    /// out = dy where y > 0, else 0; returns how many elements are done.
    ///
    /// # Safety
    /// `dy` and `y` can be read and `out` written for `len` elements; `out` is one of them or apart from it.
    #[inline]
    pub(crate) unsafe fn relu_gradient<T: Element>(
        dy: *const T,
        y: *const T,
        out: *mut T,
        len: usize,
    ) -> usize {
        if size_of::<T>() != size_of::<f32>() {
            return 0;
        }
        // SAFETY: reads `len` elements of `dy` and `y` and writes as many of `out`, all `f32`.
        unsafe {
            asm!(
                "vdup.32 q2, {least}",
                "vdup.32 q3, {count}",
                "vmov.i32 q4, #0",
                "wlstp.32 lr, {len}, 3f",
                "2: vldrw.u32 q0, [{dy}], #16",
                "vldrw.u32 q1, [{y}], #16",
                "vsub.i32 q1, q1, q2",
                "vpt.u32 hi, q1, q3",
                "vmovt q0, q4",
                "vstrw.32 q0, [{out}], #16",
                "letp lr, 2b",
                "3:",
                // The bits of the positive number nearest to zero, and how far those of ∞ are from there.
                least = in(reg) 1,
                count = in(reg) 0x7f7f_ffff_u32,
                len = in(reg) len,
                dy = inout(reg) dy => _,
                y = inout(reg) y => _,
                out = inout(reg) out => _,
                out("lr") _,
                out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _,
                options(nostack),
            );
        }
        len
    }
}

/// Everywhere else the compiler's loops do everything.
#[cfg(not(all(target_arch = "arm", target_abi = "eabihf")))]
mod blocks {
    use super::Rows;

    /// # Safety
    /// Nothing is asked for.
    pub(super) unsafe fn dots<T>(
        _: *const T,
        _: usize,
        _: Rows<T>,
        _: usize,
        _: *const T,
        _: *mut T,
        _: bool,
    ) -> usize {
        0
    }

    /// # Safety
    /// Nothing is asked for.
    pub(super) unsafe fn combine<T>(
        _: *const T,
        _: usize,
        _: usize,
        _: Rows<T>,
        _: usize,
        _: *const T,
        _: *mut T,
    ) -> usize {
        0
    }

    /// # Safety
    /// Nothing is asked for.
    pub(super) unsafe fn spread<T>(
        _: *const T,
        _: usize,
        _: *const T,
        _: usize,
        _: Rows<T>,
        _: usize,
    ) -> usize {
        0
    }

    /// # Safety
    /// Nothing is asked for.
    pub(super) unsafe fn update<T>(_: &[T], _: *const T, _: &[T], _: Rows<T>, _: *mut T) -> (usize, usize) {
        (0, 0)
    }

    /// # Safety
    /// Nothing is asked for.
    pub(super) unsafe fn add_products<T>(
        _: *const T,
        _: *const T,
        _: usize,
        _: usize,
        _: &mut [T; super::LANES],
        _: bool,
    ) -> bool {
        false
    }
}

/// Everywhere else the compiler's loops do everything.
#[cfg(not(all(target_arch = "arm", target_abi = "eabihf", target_feature = "neon")))]
pub(crate) mod lines {
    /// # Safety
    /// Nothing is asked for.
    #[inline]
    pub(crate) unsafe fn relu<T>(_: *const T, _: *mut T, _: usize) -> usize {
        0
    }

    /// # Safety
    /// Nothing is asked for.
    #[inline]
    pub(crate) unsafe fn relu_gradient<T>(_: *const T, _: *const T, _: *mut T, _: usize) -> usize {
        0
    }
}
