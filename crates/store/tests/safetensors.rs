//! Named tensors: round trips, a file that Python wrote, and errors.
#![cfg(feature = "safetensors")]

use bantam_core::Shape;
use bantam_store::safetensors::{Error, Tensors, Writer};
use bantam_tensor::Tensor;
use proptest::prelude::*;

/// As `safetensors.numpy.save` of Python (safetensors 0.8.0) wrote it: `{"b": float32 [1.5, -2.0], "a.weight":
/// float64 [[0.1]]}` with metadata `{"step": "7"}`.
const BY_PYTHON: &[u8] = b"\x98\0\0\0\0\0\0\0\
{\"__metadata__\":{\"step\":\"7\"},\
\"a.weight\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[0,8]},\
\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}\x20      \
\x9a\x99\x99\x99\x99\x99\xb9\x3f\0\0\xc0\x3f\0\0\0\xc0";

#[test]
fn files_are_those_of_python_byte_for_byte() {
    let tensors = Tensors::parse(BY_PYTHON).unwrap();
    assert_eq!(tensors.names(), ["a.weight", "b"]);
    assert_eq!(tensors.metadata("step"), Some("7"));
    assert_eq!(tensors.tensor::<f32>("b").unwrap().data(), [1.5, -2.0]);
    assert_eq!(tensors.tensor::<f64>("a.weight").unwrap(), Tensor::full([1, 1], 0.1));

    let mut writer = Writer::new();
    writer.tensor("b", Shape::of([2]), &[1.5_f32, -2.0]).unwrap();
    writer.metadata("step", "7").unwrap().tensor("a.weight", Shape::of([1, 1]), &[0.1_f64]).unwrap();
    assert_eq!(writer.finish(), BY_PYTHON);
}

#[test]
fn mistakes_are_errors() {
    let mut writer = Writer::new();
    let shape = Shape::of([2, 1]);
    writer.tensor("w", shape, &[1_u32, 2]).unwrap();
    assert_eq!(writer.tensor("w", shape, &[1_u32, 2]).unwrap_err(), Error::Duplicate("w".into()));
    assert_eq!(
        writer.tensor("__metadata__", shape, &[1_u8, 2]).unwrap_err(),
        Error::Duplicate("__metadata__".into())
    );
    assert_eq!(
        writer.tensor("v", shape, &[1_u8]).unwrap_err(),
        Error::Length { name: "v".into(), shape, found: 1 }
    );
    writer.metadata("k", "1").unwrap();
    assert_eq!(writer.metadata("k", "2").unwrap_err(), Error::Duplicate("k".into()));

    let file = writer.finish();
    let tensors = Tensors::parse(&file).unwrap();
    let mut out = [0_u32; 2];
    assert_eq!(
        tensors.read_into("x", shape, &mut out).unwrap_err().to_string(),
        "expected a tensor \"x\", found w"
    );
    assert_eq!(
        tensors.read_into("w", Shape::of([2]), &mut out).unwrap_err().to_string(),
        "tensor \"w\": expected shape [2], found [2, 1]"
    );
    assert_eq!(
        tensors.read_into("w", shape, &mut [0.0_f32; 2]).unwrap_err().to_string(),
        "tensor \"w\": expected elements of type F32, found U32"
    );
    assert_eq!(
        tensors.read_into("w", shape, &mut [0_u32; 3]).unwrap_err(),
        Error::Length { name: "w".into(), shape, found: 3 }
    );
    assert_eq!((tensors.shape("w"), tensors.shape("x")), (Some(&[2, 1][..]), None));
    for len in 0..file.len() {
        assert!(matches!(Tensors::parse(&file[..len]), Err(Error::Format(_))), "cut to {len}");
    }
}

#[test]
fn seven_axes_are_an_error() {
    let header = "{\"w\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}";
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[5]].concat();
    let error = Tensors::parse(&file).unwrap().tensor::<u8>("w").unwrap_err();
    assert_eq!(error.to_string(), "not a safetensors file: \"w\": a tensor has at most 6 axes, got 7");
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        tensors in prop::collection::btree_map(".*", (prop::collection::vec(0_usize..4, 0..5), 0_u8..5, any::<u64>()), 0..6),
        metadata in prop::collection::btree_map(".*", ".*", 0..4),
    ) {
        let mut writer = Writer::new();
        for (key, value) in &metadata {
            writer.metadata(key, value).unwrap();
        }
        let bits = |seed: u64, i: usize| seed.wrapping_mul(i as u64 | 1).rotate_left(i as u32);
        for (name, (dims, kind, seed)) in &tensors {
            let shape = Shape::new(dims).unwrap();
            let all = 0..shape.len();
            match kind {
                0 => writer.tensor(name, shape, &all.map(|i| f32::from_bits(bits(*seed, i) as u32)).collect::<Vec<_>>()),
                1 => writer.tensor(name, shape, &all.map(|i| f64::from_bits(bits(*seed, i))).collect::<Vec<_>>()),
                2 => writer.tensor(name, shape, &all.map(|i| bits(*seed, i) as u8).collect::<Vec<_>>()),
                3 => writer.tensor(name, shape, &all.map(|i| bits(*seed, i) as u32).collect::<Vec<_>>()),
                _ => writer.tensor(name, shape, &all.map(|i| bits(*seed, i)).collect::<Vec<_>>()),
            }.unwrap();
        }
        let again = writer.clone().finish();
        let file = writer.finish();
        prop_assert_eq!(&file, &again);
        let read = Tensors::parse(&file).unwrap();
        prop_assert_eq!(read.names().len(), tensors.len());
        for (key, value) in &metadata {
            prop_assert_eq!(read.metadata(key), Some(&value[..]));
        }
        for (name, (dims, kind, seed)) in &tensors {
            prop_assert_eq!(read.shape(name), Some(&dims[..]));
            // Bits, so that NaN is compared too.
            let same = match kind {
                0 => read.tensor::<f32>(name).unwrap().data().iter().enumerate().all(|(i, x)| x.to_bits() == bits(*seed, i) as u32),
                1 => read.tensor::<f64>(name).unwrap().data().iter().enumerate().all(|(i, x)| x.to_bits() == bits(*seed, i)),
                2 => read.tensor::<u8>(name).unwrap().data().iter().enumerate().all(|(i, x)| *x == bits(*seed, i) as u8),
                3 => read.tensor::<u32>(name).unwrap().data().iter().enumerate().all(|(i, x)| *x == bits(*seed, i) as u32),
                _ => read.tensor::<u64>(name).unwrap().data().iter().enumerate().all(|(i, x)| *x == bits(*seed, i)),
            };
            prop_assert!(same, "{name}");
        }
    }

    #[test]
    fn nonsense_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Tensors::parse(&bytes);
    }
}
