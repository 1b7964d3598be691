//! IDX and CSV files: what is read, and what is said about every kind of broken file.
#![cfg(feature = "std")]

use bantam_data::idx::{self, IdxDataset, Options};
use bantam_data::{Dataset, Target, csv};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder of its own for every test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bantam-data-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Two images of 2×3 pixels.
const IMAGES: [u8; 28] = [
    0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, //
    0, 51, 255, 1, 2, 3, 10, 20, 30, 40, 50, 60,
];
const LABELS: [u8; 10] = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn check(data: &IdxDataset<Vec<u8>>) {
    assert_eq!((data.len(), data.features().dims()), (2, &[1, 2, 3][..]));
    assert_eq!(data.target(), Target::Classes(10));
    let mut pixels = [0.0; 6];
    data.write_features(0, &mut pixels).unwrap();
    assert_eq!(pixels[..3], [0.0, 0.2, 1.0]);
    assert_eq!([data.label(0), data.label(1)], [Ok(7), Ok(9)]);
    assert!(data.label(2).is_err() && data.write_features(2, &mut pixels).is_err());
}

#[test]
fn idx_folders_plain_and_gzipped_under_all_names() {
    let folder = Folder::new("idx-names");
    folder.write("train-images-idx3-ubyte.gz", &gzip(&IMAGES));
    folder.write("train-labels-idx1-ubyte", &LABELS);
    folder.write("README.md", b"not data");
    let read = idx::read_folder(&folder.0, Options::default()).unwrap();
    check(&read.train);
    assert!(read.test.is_none());

    folder.write("t10k-images.idx3-ubyte", &IMAGES);
    folder.write("t10k-labels.idx1-ubyte.gz", &gzip(&LABELS));
    check(&idx::read_folder(&folder.0, Options::default()).unwrap().test.unwrap());

    let single = Folder::new("idx-single");
    single.write("things-images.idx3-ubyte", &IMAGES);
    single.write("things-labels.idx1-ubyte", &LABELS);
    check(&idx::read_folder(&single.0, Options::default()).unwrap().train);
}

/// What reading this pair says, without the folder's name.
fn said_of(images: &[u8], labels: &[u8]) -> String {
    let folder = Folder::new(&format!("idx-broken-{:?}", std::thread::current().id()));
    folder.write("train-images-idx3-ubyte", images);
    folder.write("train-labels-idx1-ubyte", labels);
    let error = idx::read_folder(&folder.0, Options::default()).unwrap_err();
    error.to_string().replace(&format!("{}/", folder.0.display()), "")
}

fn changed(bytes: &[u8], at: usize, to: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = to;
    bytes
}

#[test]
fn broken_idx_files_say_where_and_what() {
    let images = |bytes: &[u8]| said_of(bytes, &LABELS).replace("train-images-idx3-ubyte: ", "");
    let labels = |bytes: &[u8]| said_of(&IMAGES, bytes).replace("train-labels-idx1-ubyte: ", "");
    assert_eq!(images(&changed(&IMAGES, 1, 0x4b)), "not an IDX file: byte 0 should be 00 00, found 00 4b");
    assert_eq!(
        images(&changed(&IMAGES, 2, 0x0d)),
        "byte 2: the type code should be 08 (unsigned bytes), found 0d (32-bit floats)"
    );
    assert_eq!(labels(&IMAGES), "byte 3: the number of axes should be 1, found 3");
    assert_eq!(images(&LABELS), "byte 3: the number of axes should be 2 to 6, found 1");
    assert_eq!(images(&changed(&IMAGES, 7, 0)), "byte 4: an axis cannot have length 0 here");
    assert_eq!(images(&IMAGES[..27]), "byte 27: the data ends here, but the header asks for 28 bytes");
    assert_eq!(images(&IMAGES[..10]), "byte 10: the data ends here, but the header asks for 16 bytes");
    assert_eq!(images(&[]), "byte 0: the data ends here, but the header asks for 4 bytes");
    assert_eq!(
        images(&[&IMAGES[..], &[0, 0]].concat()),
        "byte 28: the data should end here according to its header, but goes on"
    );
    assert_eq!(
        labels(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 9, 1]),
        "byte 4: there should be as many labels as images, found 3 labels for 2 images"
    );
    assert_eq!(
        labels(&changed(&LABELS, 9, 10)),
        "byte 9: the label should be below 10, the number of classes, found 10"
    );
    // Lengths whose product overflows must not be believed.
    let huge = [0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
    assert!(images(&huge).ends_with("an axis cannot have length 4294967295 here"));
    // As long as memory could hold, but not there: an error, not an allocation of that size.
    let large = [0, 0, 8, 3, 0, 255, 255, 255, 0, 0, 255, 255, 0, 0, 0, 1, 5];
    assert!(
        images(&large)
            .starts_with("byte 17: the data ends here, but the header asks for 1099494785041 bytes")
    );
}

#[test]
fn broken_gzip_is_noticed_wherever_it_is_cut_or_flipped() {
    let packed = gzip(&IMAGES);
    for len in 2..packed.len() {
        let said = said_of(&packed[..len], &LABELS);
        assert!(said.contains("gzip data is broken"), "cut to {len} of {}: {said}", packed.len());
    }
    // The last eight bytes are the checksum and the length of what was packed.
    for at in packed.len() - 8..packed.len() {
        let said = said_of(&changed(&packed, at, packed[at] ^ 4), &LABELS);
        assert!(said.contains("gzip data is broken after 28 unpacked bytes"), "byte {at}: {said}");
    }
    let said = said_of(&gzip(&IMAGES[..20]), &LABELS);
    assert!(said.ends_with("byte 20: the data ends here, but the header asks for 28 bytes"), "{said}");
}

#[test]
fn folders_without_what_is_needed_say_so() {
    let folder = Folder::new("idx-missing");
    let said = |folder: &Folder| idx::read_folder(&folder.0, Options::default()).unwrap_err().to_string();
    assert!(said(&folder).ends_with(
        "no images found: expected train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz"
    ));
    folder.write("a-images-idx3-ubyte.gz", &gzip(&IMAGES));
    assert!(said(&folder).ends_with("expected a file a-labels-idx1-ubyte, plain or .gz"));
    folder.write("a-labels-idx1-ubyte", &LABELS);
    folder.write("b-images-idx3-ubyte", &IMAGES);
    folder.write("b-labels-idx1-ubyte", &LABELS);
    assert!(said(&folder).contains("found 2 pairs"));
    let absent = idx::read_folder(folder.0.join("absent"), Options::default()).unwrap_err();
    assert!(matches!(absent.problem, idx::Problem::Io(_)) && absent.to_string().contains("absent"));
    // Test images of another shape.
    folder.write("train-images-idx3-ubyte", &IMAGES);
    folder.write("train-labels-idx1-ubyte", &LABELS);
    folder.write("t10k-images-idx3-ubyte", &changed(&changed(&IMAGES, 11, 3), 15, 2));
    folder.write("t10k-labels-idx1-ubyte", &LABELS);
    assert!(said(&folder).ends_with("should have the shape of training images, [1, 2, 3], found [1, 3, 2]"));
}

fn table(text: &str) -> Result<bantam_data::InMemory, String> {
    table_with(text, &csv::Options::default())
}

fn table_with(text: &str, options: &csv::Options) -> Result<bantam_data::InMemory, String> {
    csv::parse(text.as_bytes(), Path::new("t.csv"), options).map_err(|error| error.to_string())
}

#[test]
fn csv_with_and_without_header_classes_and_values() {
    let t = table("width, height ,kind\n1,2,b\n 3.5 ,-4e1,a\n\n0,0,b\n").unwrap();
    assert_eq!(t.feature_names(), ["width", "height"]);
    assert_eq!(t.class_names(), ["a", "b"]);
    assert_eq!([t.label(0), t.label(1), t.label(2)], [Ok(1), Ok(0), Ok(1)]);
    assert_eq!(t.table().data(), [1.0, 2.0, 3.5, -40.0, 0.0, 0.0]);

    // Numbers of classes are in the order of numbers, and a first line of numbers is no header.
    let t = table("1,10\n2,9\n3,10\n").unwrap();
    assert_eq!((t.class_names(), t.label(0)), (&["9".to_string(), "10".to_string()][..], Ok(1)));

    let by_name =
        csv::Options { target: csv::Column::Name("y".into()), kind: csv::Kind::Values, ..Default::default() };
    let t = table_with("\u{feff}y,x\n\"1.5\",2\n", &by_name).unwrap();
    let mut value = [0.0];
    t.write_values(0, &mut value).unwrap();
    assert_eq!((value, t.table().data()), ([1.5], &[2.0][..]));
    assert_eq!(t.label(0), Err(bantam_data::Error::NoLabels));

    let first = csv::Options { target: csv::Column::Index(0), delimiter: b';', ..Default::default() };
    assert_eq!(table_with("a;1\nb;2\n", &first).unwrap().table().data(), [1.0, 2.0]);
    let forced = csv::Options { header: Some(true), ..Default::default() };
    assert_eq!(table_with("1,2\n3,4\n", &forced).unwrap().len(), 1);
}

#[test]
fn broken_csv_files_say_where_and_what() {
    let said = |text: &str| table(text).unwrap_err();
    assert_eq!(
        said("a,b,k\n1,2,x\n1,two,x\n"),
        "t.csv, line 3, column 2 (b): expected a number, found \"two\""
    );
    assert_eq!(said("1,2,x\n1,,x\n"), "t.csv, line 2, column 2: expected a number, found \"\"");
    assert_eq!(said("1,2,x\nNaN,2,x\n"), "t.csv, line 2, column 1: expected a finite number, found \"NaN\"");
    assert_eq!(
        said("1,2,x\n1,-inf,x\n"),
        "t.csv, line 2, column 2: expected a finite number, found \"-inf\""
    );
    assert_eq!(
        said("1,2,x\n1,1e39,x\n"),
        "t.csv, line 2, column 2: expected a finite number, found \"1e39\""
    );
    assert_eq!(said("a,b,k\n1,2,x\n1,x\n"), "t.csv, line 3: expected 3 fields, found 2");
    assert_eq!(said("a,b\n1,x\n1,\n"), "t.csv, line 3, column 2 (b): expected a label, found nothing");
    assert_eq!(said(""), "t.csv: expected at least one line of data, found none");
    assert_eq!(said("a,b\n"), "t.csv: expected at least one line of data, found none");
    assert_eq!(said("x\ny\n"), "t.csv, line 1: expected features beside the target, found one column");
    // A first line of numbers and one misprint is data with an error, not a header.
    assert_eq!(said("1,o,x\n2,3,y\n"), "t.csv, line 1, column 2: expected a number, found \"o\"");
    let named = csv::Options { target: csv::Column::Name("z".into()), ..Default::default() };
    assert_eq!(
        table_with("a,b\n1,2\n", &named).unwrap_err(),
        "t.csv, line 1: expected a column named \"z\", found a, b"
    );
    let fifth = csv::Options { target: csv::Column::Index(5), ..Default::default() };
    assert_eq!(
        table_with("a,b\n1,2\n", &fifth).unwrap_err(),
        "t.csv, line 1: expected a column with index 5 (from 0), found 2 columns"
    );
    let error = csv::parse(&b"a,b\n1,2\n\xff,2\n"[..], "t.csv", &csv::Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "t.csv, line 3: expected UTF-8 text");
    assert!(
        csv::read("/no/such/file.csv", &csv::Options::default())
            .unwrap_err()
            .to_string()
            .starts_with("/no/such")
    );
    // Lines are counted in the file, across empty lines and quoted line ends.
    assert_eq!(
        said("a,k\n\n\n1,\"x\ny\"\nq,z\n"),
        "t.csv, line 6, column 1 (a): expected a number, found \"q\""
    );
}

#[cfg(feature = "iris")]
#[test]
fn the_embedded_iris_is_the_file() {
    let iris = bantam_data::iris();
    let read =
        csv::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iris.csv"), &csv::Options::default()).unwrap();
    assert_eq!(iris.table(), read.table());
    assert_eq!(iris.class_names(), read.class_names());
    assert_eq!(iris.feature_names(), read.feature_names());
    assert!((0..150).all(|row| iris.label(row) == read.label(row)));
    assert_eq!(iris.class_names(), ["setosa", "versicolor", "virginica"]);
}

#[cfg(feature = "digits")]
#[test]
fn the_embedded_digits_are_the_files() {
    let digits = bantam_data::digits();
    assert_eq!((digits.len(), digits.features().dims()), (1797, &[1, 8, 8][..]));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data");
    let read = idx::read_folder(folder, Options { maximum: 16.0, classes: 10 }).unwrap().train;
    let (mut a, mut b) = ([0.0; 64], [0.0; 64]);
    let mut sum = 0.0_f64;
    for row in 0..1797 {
        digits.write_features(row, &mut a).unwrap();
        read.write_features(row, &mut b).unwrap();
        assert_eq!((a, digits.label(row)), (b, read.label(row)));
        assert!(a.iter().all(|x| (0.0..=1.0).contains(x)));
        sum += a.iter().map(|&x| f64::from(x)).sum::<f64>();
    }
    // The mean pixel of scikit-learn's load_digits().data is 4.884164...
    assert!((sum * 16.0 / (1797.0 * 64.0) - 4.884_164_579_855_314).abs() < 1e-9);
    let mut counts = [0; 10];
    (0..1797).for_each(|row| counts[digits.label(row).unwrap() as usize] += 1);
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
}
