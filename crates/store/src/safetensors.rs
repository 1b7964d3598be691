//! Named tensors in one file, in the format of the Python package `safetensors`.
//!
//! A header in JSON (names, types, shapes, where the bytes lie, text metadata), then the numbers, little-endian. It
//! is read by the crate `safetensors`. It is written here, because that crate writes metadata in another order in
//! every run, and the same training run should end with the same file.

use ::safetensors::tensor::Dtype;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bantam_core::Shape;
use bantam_tensor::Tensor;
use core::fmt;

/// What is wrong with named tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Two tensors, or two metadata entries, of the same name.
    Duplicate(String),
    /// The number of elements is not what the shape asks for.
    Length {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Shape,
        /// How many elements there are.
        found: usize,
    },
    /// The bytes are not in the format.
    Format(String),
    /// There is no tensor of this name.
    Missing {
        /// The name asked for.
        name: String,
        /// The names there are.
        present: Vec<String>,
    },
    /// The tensor has another shape than the one asked for.
    Shape {
        /// The tensor.
        name: String,
        /// The shape asked for.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// The tensor has another element type than the one asked for.
    Type {
        /// The tensor.
        name: String,
        /// The type asked for.
        expected: &'static str,
        /// The type found.
        found: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Duplicate(name) => write!(f, "the name \"{name}\" is there twice"),
            Error::Length { name, shape, found } => {
                write!(f, "tensor \"{name}\": shape {shape} does not fit {found} elements")
            }
            Error::Format(what) => write!(f, "not a safetensors file: {what}"),
            Error::Missing { name, present } => {
                write!(f, "expected a tensor \"{name}\", found {}", present.join(", "))
            }
            Error::Shape { name, expected, found } => {
                write!(f, "tensor \"{name}\": expected shape {expected:?}, found {found:?}")
            }
            Error::Type { name, expected, found } => {
                write!(f, "tensor \"{name}\": expected elements of type {expected}, found {found}")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Element types that can be stored: `f32`, `f64`, `u8`, `u32`, `u64`.
pub trait Element: Copy + sealed::Sealed {
    /// The type's name in the format.
    const NAME: &'static str;
    #[doc(hidden)]
    const DTYPE: Dtype;
    #[doc(hidden)]
    const SIZE: usize;
    #[doc(hidden)]
    fn append_to(self, bytes: &mut Vec<u8>);
    #[doc(hidden)]
    fn from_bytes(bytes: &[u8]) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! element {
    ($type:ty, $dtype:ident, $name:literal) => {
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const NAME: &'static str = $name;
            const DTYPE: Dtype = Dtype::$dtype;
            const SIZE: usize = size_of::<$type>();
            fn append_to(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn from_bytes(bytes: &[u8]) -> Self {
                // The caller cuts pieces of exactly this size.
                bytes.try_into().map_or(<$type>::default(), <$type>::from_le_bytes)
            }
        }
    };
}
element!(f32, F32, "F32");
element!(f64, F64, "F64");
element!(u8, U8, "U8");
element!(u32, U32, "U32");
element!(u64, U64, "U64");

/// Collects tensors and metadata, then writes them all. The same calls give the same bytes.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    tensors: Vec<Entry>,
    metadata: Vec<(String, String)>,
    names: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    dtype: &'static str,
    /// Bytes per element.
    size: usize,
    shape: Shape,
    bytes: Vec<u8>,
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Adds a line of text under a key.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if the key is there already.
    pub fn metadata(&mut self, key: &str, value: &str) -> Result<&mut Writer, Error> {
        if self.metadata.iter().any(|(known, _)| known == key) {
            return Err(Error::Duplicate(key.to_string()));
        }
        self.metadata.push((key.to_string(), value.to_string()));
        Ok(self)
    }

    /// Adds a tensor: row-major `data` under its path name, such as `features.0.weight`.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if the name is there already (`__metadata__` is taken by the format), [`Error::Length`]
    /// unless `data` has as many elements as the shape.
    pub fn tensor<T: Element>(&mut self, name: &str, shape: Shape, data: &[T]) -> Result<&mut Writer, Error> {
        if data.len() != shape.len() {
            return Err(Error::Length { name: name.to_string(), shape, found: data.len() });
        }
        if name == "__metadata__" || !self.names.insert(name.to_string()) {
            return Err(Error::Duplicate(name.to_string()));
        }
        let mut bytes = Vec::with_capacity(data.len() * T::SIZE);
        data.iter().for_each(|x| x.append_to(&mut bytes));
        self.tensors.push(Entry { name: name.to_string(), dtype: T::NAME, size: T::SIZE, shape, bytes });
        Ok(self)
    }

    /// The bytes of the file.
    pub fn finish(mut self) -> Vec<u8> {
        // Large elements first, so that each lies at a multiple of its size; otherwise in the order of the calls.
        self.tensors.sort_by_key(|entry| core::cmp::Reverse(entry.size));
        let mut header = String::from("{");
        if !self.metadata.is_empty() {
            header.push_str("\"__metadata__\":{");
            for (key, value) in &self.metadata {
                quote(&mut header, key);
                header.push(':');
                quote(&mut header, value);
                header.push(',');
            }
            header.pop();
            header.push_str("},");
        }
        let mut end = 0;
        for Entry { name, dtype, shape, bytes, .. } in &self.tensors {
            let start = end;
            end += bytes.len();
            quote(&mut header, name);
            let dims: Vec<String> = shape.dims().iter().map(ToString::to_string).collect();
            let dims = dims.join(",");
            header.push_str(&format!(
                ":{{\"dtype\":\"{dtype}\",\"shape\":[{dims}],\"data_offsets\":[{start},{end}]}},"
            ));
        }
        if header.ends_with(',') {
            header.pop();
        }
        header.push('}');
        // Blanks, so that the numbers begin at a multiple of eight bytes.
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut file = Vec::with_capacity(8 + header.len() + end);
        file.extend_from_slice(&(header.len() as u64).to_le_bytes());
        file.extend_from_slice(header.as_bytes());
        self.tensors.iter().for_each(|entry| file.extend_from_slice(&entry.bytes));
        file
    }
}

/// Appends `text` as a JSON string (RFC 8259, section 7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The tensors of a file, over its bytes.
#[derive(Debug)]
pub struct Tensors<'a> {
    metadata: ::safetensors::tensor::Metadata,
    data: &'a [u8],
}

impl<'a> Tensors<'a> {
    /// Reads the header and checks it against the length of the file.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub fn parse(bytes: &'a [u8]) -> Result<Tensors<'a>, Error> {
        let broken = |error: ::safetensors::SafeTensorError| Error::Format(error.to_string());
        let (header, metadata) = ::safetensors::SafeTensors::read_metadata(bytes).map_err(broken)?;
        let data = bytes.get(8 + header..).ok_or_else(|| Error::Format("no data".to_string()))?;
        Ok(Tensors { metadata, data })
    }

    /// The names, in the order in which the tensors lie in the file.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// The text under a key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// The shape of a tensor; `None` if there is none of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.metadata.info(name)?.shape)
    }

    /// The bytes of a tensor of type `T`, and its shape.
    fn find<T: Element>(&self, name: &str) -> Result<(&'a [u8], &[usize]), Error> {
        let missing = || Error::Missing { name: name.to_string(), present: self.names() };
        let info = self.metadata.info(name).ok_or_else(missing)?;
        if info.dtype != T::DTYPE {
            let found = format!("{:?}", info.dtype);
            return Err(Error::Type { name: name.to_string(), expected: T::NAME, found });
        }
        let (start, end) = info.data_offsets;
        let bytes = self.data.get(start..end);
        bytes
            .map(|bytes| (bytes, &info.shape[..]))
            .ok_or_else(|| Error::Format(format!("no data for \"{name}\"")))
    }

    /// Writes a tensor, row-major, into `out`.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`], [`Error::Shape`] unless it has this shape, [`Error::Length`] unless `out`
    /// fits it. Nothing is written then.
    pub fn read_into<T: Element>(&self, name: &str, shape: Shape, out: &mut [T]) -> Result<(), Error> {
        let (bytes, found) = self.find::<T>(name)?;
        if found != shape.dims() {
            let (expected, found) = (shape.dims().to_vec(), found.to_vec());
            return Err(Error::Shape { name: name.to_string(), expected, found });
        }
        if out.len() * T::SIZE != bytes.len() {
            return Err(Error::Length { name: name.to_string(), shape, found: out.len() });
        }
        for (x, bytes) in out.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
            *x = T::from_bytes(bytes);
        }
        Ok(())
    }

    /// A tensor as an owned one.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Type`]; [`Error::Format`] if it has too many axes.
    pub fn tensor<T: Element>(&self, name: &str) -> Result<Tensor<T>, Error> {
        let (bytes, shape) = self.find::<T>(name)?;
        let data = bytes.chunks_exact(T::SIZE).map(T::from_bytes).collect();
        let shape = Shape::new(shape).map_err(|error| Error::Format(format!("\"{name}\": {error}")))?;
        Tensor::from_vec(data, shape).map_err(|error| Error::Format(format!("\"{name}\": {error}")))
    }
}
