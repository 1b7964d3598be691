//! Crates that multiply matrices.

use crate::Call;
use bantam_benches::measure::Numbers;
use core::hint::black_box;

/// The crate `gemm`, which candle, faer and burn's CPU backend multiply with.
#[cfg(feature = "gemm")]
pub fn gemm([m, n, k]: [usize; 3], threads: usize) -> Option<Call> {
    let (a, b, mut c) = (Numbers::new(m * k), Numbers::new(k * n), Numbers::new(m * n));
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    Some(Box::new(move || {
        let [n_stride, k_stride] = [n as isize, k as isize];
        // SAFETY: the three hold m·n, m·k and k·n elements, row after row.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                n_stride,
                false,
                a.as_ptr(),
                1,
                k_stride,
                b.as_ptr(),
                1,
                n_stride,
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
        black_box(&mut c);
    }))
}

/// The crate `matrixmultiply`, which ndarray multiplies with; one thread only.
#[cfg(feature = "matrixmultiply")]
pub fn matrixmultiply([m, n, k]: [usize; 3], threads: usize) -> Option<Call> {
    if threads > 1 {
        return None;
    }
    let (a, b, mut c) = (Numbers::new(m * k), Numbers::new(k * n), Numbers::new(m * n));
    Some(Box::new(move || {
        let [n_stride, k_stride] = [n as isize, k as isize];
        let (a, b, to) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        // SAFETY: the three hold m·n, m·k and k·n elements, row after row.
        unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, k_stride, 1, b, n_stride, 1, 0.0, to, n_stride, 1) };
        black_box(&mut c);
    }))
}
