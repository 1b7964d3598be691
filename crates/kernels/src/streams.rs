//! The order in which loops that wait for memory walk over it.

use core::ops::Range;

/// How many streams a long walk over so many slices is cut into. A processor fetches ahead in each of them on its own, so that
/// more lines are on their way at a time: on the machine of `benches/records` a pass over two slices in main memory is a
/// fifth faster with two streams and a third faster with four. Beyond about a dozen of all slices it forgets some.
const fn streams(slices: usize) -> usize {
    match slices {
        0 | 1 => 8,
        2 | 3 => 4,
        4 => 2,
        _ => 1,
    }
}

/// Elements that are taken of one stream before it is the next one's turn: two lines of the cache. Longer turns lose what
/// streams win (nothing is left of it at 256 elements).
const TURN: usize = 32;

/// The elements of a page of memory, as `f32`.
const PAGE: usize = 1024;

/// Elements from which on a walk is cut.
const LONG: usize = 8 * PAGE;

/// Whether a walk is cut: asked where a loop for short lines has nothing to do with streams.
#[inline(always)]
pub(crate) const fn is_long(len: usize) -> bool {
    len >= LONG
}

/// Cuts `0..len` into ranges in the order in which to walk over `slices` slices of this length: a short walk is one range, a
/// long one alternates between several places. All ranges but the last begin and end at multiples of 32.
///
/// Only for loops in which every element is on its own.
#[inline(always)]
pub fn in_streams(len: usize, slices: usize) -> InStreams {
    let streams = streams(slices);
    let (stride, turn) = if !is_long(len) || streams == 1 {
        (len, len)
    } else {
        // Slices tend to begin at the same place of a page, and a load waits for a store at the same place of another page:
        // so streams are at different places.
        (len.div_ceil(streams).next_multiple_of(PAGE) + PAGE / streams + TURN, TURN)
    };
    InStreams { len, stride, turn, first: 0, next: 0 }
}

/// The ranges of [`in_streams`].
#[derive(Clone, Debug)]
pub struct InStreams {
    len: usize,
    /// From one stream to the next.
    stride: usize,
    turn: usize,
    /// Where the first stream is.
    first: usize,
    /// Where the next range begins.
    next: usize,
}

impl Iterator for InStreams {
    type Item = Range<usize>;

    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        if self.first >= self.stride {
            return None;
        }
        let start = self.next;
        self.next += self.stride;
        if self.next >= self.len {
            self.first += self.turn;
            self.next = self.first;
        }
        Some(start..self.len.min(start + self.turn))
    }
}
