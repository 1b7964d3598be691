//! IDX files, plain or gzipped, and folders of them.

use super::{
    IMAGE_RANKS, IdxArray, IdxDataset, IdxError, LABEL_RANKS, check_end, parse_header, sample_shape,
};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bantam_core::Shape;
use bantam_tensor::Tensor;
use core::fmt;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A file or folder that cannot be used, and why.
#[derive(Debug)]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system says no.
    Io(io::Error),
    /// The gzip container is broken.
    Gzip {
        /// How many bytes could be unpacked before.
        unpacked: usize,
        /// What the decoder says.
        message: String,
    },
    /// The contents are not what they should be.
    Idx(IdxError),
    /// The folder has no pair of images and labels.
    NoPair,
    /// The folder has several pairs of images and labels, and none is called `train`.
    ManyPairs(usize),
    /// The folder has images without labels.
    NoLabels {
        /// The name of the file that is missing.
        expected: String,
    },
    /// The training images have another shape than the test images.
    Shapes {
        /// The shape of a training image.
        train: Vec<usize>,
        /// The shape of a test image.
        test: Vec<usize>,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            Problem::Io(error) => write!(f, "{error}"),
            Problem::Gzip { unpacked, message } => {
                write!(f, "the gzip data is broken after {unpacked} unpacked bytes: {message}")
            }
            Problem::Idx(error) => write!(f, "{error}"),
            Problem::NoPair => f.write_str(
                "no images found: expected train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz",
            ),
            Problem::ManyPairs(pairs) => {
                write!(
                    f,
                    "found {pairs} pairs of images and labels, and none of them is called train-images…"
                )
            }
            Problem::NoLabels { expected } => {
                write!(f, "found images without labels: expected a file {expected}, plain or .gz")
            }
            Problem::Shapes { train, test } => {
                write!(f, "test images should have the shape of training images, {train:?}, found {test:?}")
            }
        }
    }
}

impl core::error::Error for FileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::Idx(error) => Some(error),
            _ => None,
        }
    }
}

/// What the files themselves do not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The pixel value that becomes 1; 255 by default.
    pub maximum: f32,
    /// The number of classes, which every label is below; 10 by default.
    pub classes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { maximum: 255.0, classes: 10 }
    }
}

/// The data sets of a folder. Made by [`read_folder`].
#[derive(Clone, Debug)]
pub struct Folder {
    /// The training part.
    pub train: IdxDataset<Vec<u8>>,
    /// The test part, if the folder has one.
    pub test: Option<IdxDataset<Vec<u8>>>,
}

/// Reads a folder with files named as MNIST's: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and for the test
/// part the same with `t10k` or `test`. Each may be gzipped, and `.idx3` may stand for `-idx3`. A folder with a
/// single pair under any other name has a training part only.
///
/// # Errors
/// The file at fault, and what is wrong with it.
pub fn read_folder(folder: impl AsRef<Path>, options: Options) -> Result<Folder, FileError> {
    let folder = folder.as_ref();
    let fail = |problem| FileError { path: folder.to_path_buf(), problem };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| fail(Problem::Io(error)))? {
        let entry = entry.map_err(|error| fail(Problem::Io(error)))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();

    // Pairs of names under what stands before "images". Where a file is there twice, the plain one comes first and
    // wins.
    let mut pairs: Vec<(&str, &str, &str)> = Vec::new();
    for images in names.iter().filter(|name| name.contains("images") && name.contains("idx3")) {
        let prefix = images.split("images").next().unwrap_or_default();
        if pairs.iter().any(|(earlier, ..)| *earlier == prefix) {
            continue;
        }
        let expected = images.replace("images", "labels").replace("idx3", "idx1");
        let expected = expected.trim_end_matches(".gz");
        let labels = names.iter().find(|name| name.trim_end_matches(".gz") == expected);
        let labels = labels.ok_or_else(|| fail(Problem::NoLabels { expected: expected.to_string() }))?;
        pairs.push((prefix, images, labels));
    }

    let read = |&(_, images, labels): &(&str, &str, &str)| {
        read_pair(folder.join(images), folder.join(labels), options)
    };
    let named = |wanted: &[&str]| {
        pairs.iter().find(|(prefix, ..)| wanted.contains(&prefix.trim_end_matches(['-', '_', '.'])))
    };
    match (named(&["train"]), &pairs[..]) {
        (None, []) => Err(fail(Problem::NoPair)),
        (None, [only]) => Ok(Folder { train: read(only)?, test: None }),
        (None, many) => Err(fail(Problem::ManyPairs(many.len()))),
        (Some(train), _) => {
            let train = read(train)?;
            let test = named(&["t10k", "test"]).map(read).transpose()?;
            match &test {
                Some(test) if test.sample != train.sample => Err(fail(Problem::Shapes {
                    train: train.sample.dims().to_vec(),
                    test: test.sample.dims().to_vec(),
                })),
                _ => Ok(Folder { train, test }),
            }
        }
    }
}

/// Reads one pair of files, each plain or gzipped.
///
/// # Errors
/// The file at fault, and what is wrong with it.
pub fn read_pair(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    options: Options,
) -> Result<IdxDataset<Vec<u8>>, FileError> {
    let (images, labels) = (images.as_ref(), labels.as_ref());
    let image_bytes = read(images, IMAGE_RANKS)?;
    let label_bytes = read(labels, LABEL_RANKS)?;
    IdxDataset::new(image_bytes, label_bytes, options.maximum, options.classes).map_err(|(array, error)| {
        let path = if array == IdxArray::Images { images } else { labels };
        FileError { path: path.to_path_buf(), problem: Problem::Idx(error) }
    })
}

/// Reads images without labels, plain or gzipped: samples to predict. The result has the shape [samples, channels, height,
/// width], pixels divided by `maximum`.
///
/// # Errors
/// What is wrong with the file.
pub fn read_images(path: impl AsRef<Path>, maximum: f32) -> Result<Tensor<f32>, FileError> {
    let path = path.as_ref();
    let bytes = read(path, IMAGE_RANKS)?;
    let fail = |problem| FileError { path: path.to_path_buf(), problem };
    let header = parse_header(&bytes, IMAGE_RANKS).map_err(|error| fail(Problem::Idx(error)))?;
    let sample = sample_shape(header.shape);
    let pixels = bytes[header.start..header.end].iter().map(|&pixel| f32::from(pixel) / maximum).collect();
    let dims: Vec<usize> = [header.shape[0]].iter().chain(sample.dims()).copied().collect();
    let too_many_axes =
        |message: String| fail(Problem::Io(io::Error::new(io::ErrorKind::InvalidData, message)));
    let shape = Shape::new(&dims).map_err(|error| too_many_axes(error.to_string()))?;
    Tensor::from_vec(pixels, shape).map_err(|error| too_many_axes(error.to_string()))
}

/// The bytes of an IDX file, unpacked, and of the length that its header asks for.
fn read(path: &Path, ranks: core::ops::RangeInclusive<usize>) -> Result<Vec<u8>, FileError> {
    let fail = |problem| FileError { path: path.to_path_buf(), problem };
    let file = File::open(path).map_err(|error| fail(Problem::Io(error)))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    // IDX begins with zeros, gzip with 1f 8b, so the name does not matter.
    let gzipped = file.fill_buf().map_err(|error| fail(Problem::Io(error)))?.starts_with(&[0x1f, 0x8b]);
    let mut source: Box<dyn Read> = match gzipped {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut bytes = Vec::new();
    let mut read_upto = |bytes: &mut Vec<u8>, end: usize| {
        let wanted = end.saturating_sub(bytes.len()) as u64;
        source.by_ref().take(wanted).read_to_end(bytes).map_err(|error| {
            fail(match gzipped {
                true => Problem::Gzip { unpacked: bytes.len(), message: error.to_string() },
                false => Problem::Io(error),
            })
        })
    };
    // The header first: it says how much to reserve, and a small file cannot claim to unpack into all of memory.
    read_upto(&mut bytes, 4 + 4 * ranks.end())?;
    let header = parse_header(&bytes, ranks).map_err(|error| fail(Problem::Idx(error)))?;
    // One byte more, to notice what should not be there, and to make the decoder check the gzip checksum at its end.
    read_upto(&mut bytes, header.end + 1)?;
    check_end(header, bytes.len()).map_err(|error| fail(Problem::Idx(error)))?;
    bytes.shrink_to_fit();
    Ok(bytes)
}
