//! Tensors as text: nested brackets with aligned columns, as NumPy prints them.

use crate::View;
use core::fmt::{self, Display, Write};

/// Tensors with more elements than this are printed with their middles left out.
const SHOWN_IN_FULL: usize = 1000;
/// How many entries are shown at each end of an axis whose middle is left out.
const SHOWN_AT_ENDS: usize = 3;

/// Counts characters instead of keeping them.
struct Width(usize);

impl Write for Width {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0 += s.chars().count();
        Ok(())
    }
}

fn print_one<T: Display>(out: &mut dyn Write, x: T, precision: Option<usize>) -> fmt::Result {
    match precision {
        Some(digits) => write!(out, "{x:.digits$}"),
        None => write!(out, "{x}"),
    }
}

fn width_of<T: Display>(x: T, precision: Option<usize>) -> Result<usize, fmt::Error> {
    let mut width = Width(0);
    print_one(&mut width, x, precision)?;
    Ok(width.0)
}

/// The indices of an axis that are shown, and whether something is left out before them.
fn shown(len: usize, in_full: bool) -> impl Iterator<Item = (usize, bool)> {
    let cut = !in_full && len > 2 * SHOWN_AT_ENDS;
    (0..len)
        .filter(move |i| !cut || *i < SHOWN_AT_ENDS || *i >= len - SHOWN_AT_ENDS)
        .map(move |i| (i, cut && i == len - SHOWN_AT_ENDS))
}

struct Printer {
    depth: usize,
    in_full: bool,
    width: usize,
    precision: Option<usize>,
}

impl Printer {
    /// The widest element that will be shown.
    fn measure<T: Copy + Display>(&self, view: View<'_, T>) -> Result<usize, fmt::Error> {
        let shape = view.shape();
        if shape.rank() == 0 {
            return view.get(&[]).map_or(Ok(0), |x| width_of(x, self.precision));
        }
        let mut widest = 0;
        for (i, _) in shown(shape[0], self.in_full) {
            widest = widest.max(self.measure(view.index(0, i).map_err(|_| fmt::Error)?)?);
        }
        Ok(widest)
    }

    fn print<T: Copy + Display>(&mut self, f: &mut fmt::Formatter<'_>, view: View<'_, T>) -> fmt::Result {
        let shape = view.shape();
        if shape.rank() == 0 {
            let Some(x) = view.get(&[]) else { return Ok(()) };
            for _ in width_of(x, self.precision)?..self.width {
                f.write_char(' ')?;
            }
            return print_one(f, x, self.precision);
        }
        f.write_char('[')?;
        self.depth += 1;
        for (i, gap) in shown(shape[0], self.in_full) {
            if i > 0 {
                self.separate(f, shape.rank())?;
            }
            if gap {
                f.write_str("...")?;
                self.separate(f, shape.rank())?;
            }
            self.print(f, view.index(0, i).map_err(|_| fmt::Error)?)?;
        }
        self.depth -= 1;
        f.write_char(']')
    }

    /// Between two entries of an axis of a part with `rank` axes: a blank for numbers, one line for rows, an empty
    /// line more for every further axis.
    fn separate(&self, f: &mut fmt::Formatter<'_>, rank: usize) -> fmt::Result {
        f.write_char(',')?;
        if rank == 1 {
            return f.write_char(' ');
        }
        for _ in 1..rank {
            f.write_char('\n')?;
        }
        for _ in 0..self.depth {
            f.write_char(' ')?;
        }
        Ok(())
    }
}

/// Nested brackets with aligned columns; `{:.3}` sets the digits of every element. The middle of large tensors is
/// left out.
impl<T: Copy + Display> Display for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_full = self.len() <= SHOWN_IN_FULL;
        let mut printer = Printer { depth: 0, in_full, width: 0, precision: f.precision() };
        printer.width = printer.measure(*self)?;
        printer.print(f, *self)
    }
}

/// The shape, then the elements.
impl<T: Copy + Display> fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View {} ", self.shape())?;
        Display::fmt(self, f)
    }
}

#[cfg(feature = "alloc")]
impl<T: Copy + Display> Display for crate::Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.view(), f)
    }
}

#[cfg(feature = "alloc")]
impl<T: Copy + Display> fmt::Debug for crate::Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor {} ", self.shape())?;
        Display::fmt(self, f)
    }
}
