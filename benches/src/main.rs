//! Benchmarks.
use bantam_core::*;
use bantam_kernels::*;
use std::time::Instant;

struct Peak(usize);
impl SimdOp for Peak {
    type Output = f32;
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [<f32 as Element>::Vector::<S>::splat(simd, 1.0); 12];
        let f = <f32 as Element>::Vector::<S>::splat(simd, core::hint::black_box(0.5));
        for _ in 0..self.0 {
            for s in &mut sums {
                *s = s.mul_add(f, f);
            }
        }
        sums.iter().map(|s| s.tree(|a, b| a + b)).sum()
    }
}
fn time(mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::INFINITY;
    let t = Instant::now();
    f();
    let one = t.elapsed().as_secs_f64();
    let n = ((1e-4 / one) as usize).max(1);
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 0.4 {
        let t = Instant::now();
        for _ in 0..n {
            f();
        }
        best = best.min(t.elapsed().as_secs_f64() / n as f64);
    }
    best
}
fn main() {
    let cx = Context::default();
    let t = time(|| {
        core::hint::black_box(run(&cx, Peak(10000)));
    });
    let peak = 10000.0 * 12.0 * 16.0 / t / 1e9;
    println!("{cx:?} peak {peak:.1}");
    for (m, n, k, ta, tb) in [
        (256, 256, 256, false, false),
        (512, 512, 512, false, false),
        (128, 512, 784, false, true),
        (128, 512, 784, false, false),
        (512, 784, 128, true, false),
        (128, 784, 512, false, false),
        (32, 16, 16, false, true),
        (32, 16, 2, false, true),
        (32, 1, 16, false, true),
        (16, 16, 32, true, false),
        (32, 64, 64, false, true),
        (64, 64, 32, true, false),
        (1, 512, 784, false, true),
    ] {
        let a = vec![0.5_f32; m * k];
        let b = vec![0.5_f32; k * n];
        let mut c = vec![0.0_f32; m * n];
        let g = Gemm {
            m,
            n,
            k,
            a_strides: if ta { [1, m] } else { [k, 1] },
            b_strides: if tb { [1, k] } else { [n, 1] },
        };
        let mut s = vec![0.0; gemm_scratch(&g)];
        let t = time(|| gemm(&cx, &g, &a, &b, None, Activation::Identity, &mut c, false, &mut s));
        let gf = 2.0 * (m * n * k) as f64 / t / 1e9;
        println!(
            "{m}x{n}x{k} {} {}: {gf:.1} GF {:.0} % {:.2} us",
            if ta { "T" } else { "N" },
            if tb { "T" } else { "N" },
            gf / peak * 100.0,
            t * 1e6
        );
    }
}
