//! Vectors of eight lanes in several registers of 128 bits: what SSE2, NEON and SIMD128 share.

/// An array of as many registers, of which this is number `i`. Spelled out: closures over arrays take compilers long, and
/// these stand in every kernel.
macro_rules! each {
    (2, |$i:ident| $value:expr) => {
        [
            {
                let $i = 0;
                $value
            },
            {
                let $i = 1;
                $value
            },
        ]
    };
    (4, |$i:ident| $value:expr) => {
        [
            {
                let $i = 0;
                $value
            },
            {
                let $i = 1;
                $value
            },
            {
                let $i = 2;
                $value
            },
            {
                let $i = 3;
                $value
            },
        ]
    };
}

/// A vector of so many registers, each of so many elements, for a token. Of the functions, which take registers, `load` and `store` take
/// pointers to elements; comparisons give what `select` takes first. `call` is a macro around each call of one. What follows in braces
/// belongs to the vector too: `mul_add` at least.
macro_rules! vector {
    ($(#[$doc:meta])* $vector:ident: $registers:tt of $width:literal $element:ident in $register:ty,
     [$($generic:tt)*] $token:ty, $call:ident, $splat:ident, $load:ident, $store:ident,
     [$add:ident, $sub:ident, $mul:ident, $div:ident], [$neg:ident, $abs:ident, $sqrt:ident], [$max:ident, $min:ident],
     [$select:ident, $less:ident, $less_equal:ident, $equal:ident], {$($more:tt)*}) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $vector([$register; $registers]);

        vector!(operators $vector, $registers, $call, Add add $add, Sub sub $sub, Mul mul $mul, Div div $div);

        impl Neg for $vector {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                $vector(each!($registers, |i| $call!($neg(self.0[i]))))
            }
        }

        impl<$($generic)*> Vector<$element, $token> for $vector {
            #[inline(always)]
            fn splat(_: $token, value: $element) -> Self {
                $vector([$call!($splat(value)); _])
            }

            #[inline(always)]
            fn load(_: $token, lanes: &[$element; LANES]) -> Self {
                // SAFETY: the array has the eight elements that are read.
                $vector(each!($registers, |i| unsafe { $load(lanes.as_ptr().add(i * $width)) }))
            }

            #[inline(always)]
            fn store(self, lanes: &mut [$element; LANES]) {
                // SAFETY: the array has the eight elements that are written.
                each!($registers, |i| unsafe { $store(lanes.as_mut_ptr().add(i * $width), self.0[i]) });
            }

            #[inline(always)]
            fn to_array(self) -> [$element; LANES] {
                let mut lanes = [0.0; LANES];
                Vector::<$element, $token>::store(self, &mut lanes);
                lanes
            }

            #[inline(always)]
            fn max(self, other: Self) -> Self {
                $vector(each!($registers, |i| $call!($max(self.0[i], other.0[i]))))
            }

            #[inline(always)]
            fn min(self, other: Self) -> Self {
                $vector(each!($registers, |i| $call!($min(self.0[i], other.0[i]))))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $vector(each!($registers, |i| $call!($sqrt(self.0[i]))))
            }

            #[inline(always)]
            fn abs(self) -> Self {
                $vector(each!($registers, |i| $call!($abs(self.0[i]))))
            }

            #[inline(always)]
            fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
                $vector(each!($registers, |i| $call!($select($less(self.0[i], other.0[i]), yes.0[i], no.0[i]))))
            }

            #[inline(always)]
            fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self {
                $vector(each!($registers, |i| {
                    $call!($select($less_equal(self.0[i], other.0[i]), yes.0[i], no.0[i]))
                }))
            }

            #[inline(always)]
            fn if_equal(self, other: Self, yes: Self, no: Self) -> Self {
                $vector(each!($registers, |i| $call!($select($equal(self.0[i], other.0[i]), yes.0[i], no.0[i]))))
            }

            $($more)*
        }
    };
    (operators $vector:ident, $registers:tt, $call:ident, $($operator:ident $method:ident $function:ident),*) => {$(
        impl $operator for $vector {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                $vector(each!($registers, |i| $call!($function(self.0[i], other.0[i]))))
            }
        }
    )*};
}

/// The functions for turning eight rows of two registers, from the two that take turns between two registers: `low` the first two
/// elements of each, `high` the last two.
macro_rules! transposes {
    ($vector:ident, $register:ty, $call:ident, $low:ident, $high:ident) => {
        /// Element j of register i becomes element i of register j.
        #[inline(always)]
        fn transpose4([a, b, c, d]: [$register; 4]) -> [$register; 4] {
            let [low, high] = [$call!($low(a, c)), $call!($high(a, c))];
            let [other_low, other_high] = [$call!($low(b, d)), $call!($high(b, d))];
            [
                $call!($low(low, other_low)),
                $call!($high(low, other_low)),
                $call!($low(high, other_high)),
                $call!($high(high, other_high)),
            ]
        }

        /// The transpose of eight rows, by its four quarters.
        #[inline(always)]
        fn transpose(rows: [$vector; LANES]) -> [$vector; LANES] {
            let quarter = |row: usize, half: usize| {
                transpose4([
                    rows[row].0[half],
                    rows[row + 1].0[half],
                    rows[row + 2].0[half],
                    rows[row + 3].0[half],
                ])
            };
            let [upper, lower] = [[quarter(0, 0), quarter(0, 1)], [quarter(4, 0), quarter(4, 1)]];
            from_fn(|i| $vector([upper[i / 4][i % 4], lower[i / 4][i % 4]]))
        }
    };
}

pub(super) use {each, transposes, vector};
