//! tmp
use bantam_core::*;
use bantam_kernels::*;
#[test]
fn smoke() {
    for level in Level::available() {
        for numerics in [Numerics::Fast, Numerics::Portable] {
            let cx = Context { level, numerics, executor: &Inline };
            let x: Vec<f32> = (0..21).map(|i| i as f32 * 0.1 - 1.0).collect();
            let mut y = vec![0.0; 21];
            map(&cx, functions::Exp, Span::Separate(&x, &mut y));
            for (x, y) in x.iter().zip(&y) {
                assert!((x.exp() - y).abs() < 1e-6);
            }
            let mut z = vec![0.0; 21];
            zip(&cx, functions::Sub, &[3, 7], Arg::In(&x, &[7, 1]), Arg::In(&x, &[0, 1]), &mut z);
            for i in 0..21 {
                assert_eq!(z[i], x[i] - x[i % 7]);
            }
            let mut s = vec![0.0; 3];
            reduce(&cx, Reduce::Sum, 3, 7, 1, &x, &mut s, false);
            let mut s2 = vec![0.0; 7];
            reduce(&cx, Reduce::Max, 1, 3, 7, &x, &mut s2, false);
            assert_eq!(s2, x[14..]);
            assert!((s[0] - x[..7].iter().sum::<f32>()).abs() < 1e-5);
            softmax(&cx, 3, 7, Span::Separate(&x, &mut z));
            reduce(&cx, Reduce::Sum, 3, 7, 1, &z, &mut s, false);
            assert!(s.iter().all(|s| (s - 1.0).abs() < 1e-6));
            let loss = cross_entropy(&cx, 3, 7, &x, &[0, 1, 2]);
            let mut l = vec![0.0; 21];
            log_softmax(&cx, 3, 7, Span::Separate(&x, &mut l));
            assert!((loss + (l[0] + l[8] + l[16]) / 3.0).abs() < 1e-6);
            assert!(cross_entropy(&cx, 3, 7, &x, &[0, 1, 7]).is_nan());
            let key = random::Key::new(1, random::Purpose::Dropout);
            let ones = vec![1.0_f32; 100_000];
            let mut d = vec![0.0; 100_000];
            dropout(&cx, key, 0.3, Span::Separate(&ones, &mut d));
            let kept = d.iter().filter(|d| **d > 0.0).count();
            assert!((kept as f64 - 70_000.0).abs() < 5.0 * 145.0, "{kept}");
            println!("{cx:?} {kept}");
        }
    }
}
