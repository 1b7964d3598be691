//! What a program says about itself, without formatting a number: lines of a name and hexadecimal digits.

use crate::board;

/// Writes lines such as `steps 0x0000000000000400`, one measured value each.
///
/// Numbers are hexadecimal and floats are their bits: whoever reads them on a host has a formatter, and a board need
/// not carry one (printing a single `f32` takes 21 kB of flash).
#[derive(Clone, Copy, Debug)]
pub struct Report;

/// The longest name plus a space, `0x`, 16 digits, a line feed and the zero that ends it.
const LINE: usize = 64;
/// Of 64 bits.
const DIGITS: usize = 16;

impl Report {
    /// One line: the name, cut at 40 bytes, and the sixteen digits of a number.
    pub fn number(self, name: &str, mut value: u64) {
        let mut line = [0; LINE];
        let name = &name.as_bytes()[..name.len().min(40)];
        line[..name.len()].copy_from_slice(name);
        let rest = &mut line[name.len()..][..3 + DIGITS + 1];
        rest[..3].copy_from_slice(b" 0x");
        for digit in rest[3..][..DIGITS].iter_mut().rev() {
            *digit = b"0123456789abcdef"[value as usize & 15];
            value >>= 4;
        }
        rest[3 + DIGITS] = b'\n';
        let len = name.len() + rest.len();
        board::write(&line[..len]);
    }

    /// One line: the name and the bits of a number.
    pub fn float(self, name: &str, value: f32) {
        self.number(name, u64::from(value.to_bits()));
    }

    /// One line of text.
    pub fn text(self, text: &str) {
        for part in text.as_bytes().chunks(LINE) {
            board::write(part);
        }
        board::write(b"\n");
    }
}
