//! The data that comes with the crate; `data/README.md` states source and licence.

#[cfg(feature = "digits")]
use bantam_core::Shape;

/// The handwritten digits: 1,797 images of 8×8 pixels, features of shape `[1, 8, 8]` in 0 to 1, 10 classes.
///
/// They are borrowed from the program itself (flash, on a board): 117 kB and no allocator. Source: E. Alpaydin, C.
/// Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998, CC BY 4.0.
#[cfg(feature = "digits")]
pub fn digits() -> crate::idx::IdxDataset<&'static [u8]> {
    let images: &[u8] = include_bytes!("../data/digits-images.idx3-ubyte");
    let labels: &[u8] = include_bytes!("../data/digits-labels.idx1-ubyte");
    crate::idx::IdxDataset::trusted(images, labels, Shape::of([1797, 8, 8]), 16.0, 10)
}

/// The iris flowers: 150 samples of 4 measurements in cm (sepal length and width, petal length and width), 3 species.
///
/// Source: R. A. Fisher, "The use of multiple measurements in taxonomic problems", 1936; UCI Machine Learning
/// Repository, CC BY 4.0.
#[cfg(feature = "iris")]
pub fn iris() -> crate::InMemory {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    let mut lines = include_str!("../data/iris.csv").lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let (mut features, mut labels, mut species) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        let Some((name, numbers)) = line.split_last() else { continue };
        features.extend(numbers.iter().filter_map(|number| number.parse::<f32>().ok()));
        // The file is sorted by species, and the species by name.
        if species.last() != Some(&name.to_string()) {
            species.push(name.to_string());
        }
        labels.push(species.len() as u32 - 1);
    }
    let feature_names = header.iter().take(4).map(|name| name.to_string()).collect();
    let table = bantam_tensor::Tensor::from_vec(features, [labels.len(), 4]);
    let iris = table.ok().and_then(|table| crate::InMemory::classification(table, labels, 3).ok());
    match iris {
        Some(iris) => iris.with_class_names(species).with_feature_names(feature_names),
        None => unreachable!(),
    }
}
