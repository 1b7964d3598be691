//! Copies by strides, rows by index, and the simple loops.

use crate::support::{Random, assert_same_bits, contexts, same_bits};
use bantam_kernels::{add_strided, axpy, copy, copy_strided, fill, gather_rows, scatter_add_rows};

/// Where element `i` of a view lies.
fn place(i: usize, shape: &[usize], offset: usize, strides: &[isize]) -> usize {
    let (mut rest, mut at) = (i, offset as isize);
    for (dim, stride) in shape.iter().zip(strides).rev() {
        at += (rest % dim) as isize * stride;
        rest /= dim;
    }
    at as usize
}

#[test]
fn strided_copies_and_their_transpose() {
    let mut random = Random::new(1);
    for round in 0..200 {
        let rank = random.between(0, 6);
        let mut shape: Vec<usize> = (0..rank).map(|_| random.between(1, 5)).collect();
        match round {
            0 => shape = vec![70, 90],
            1 => shape = vec![2, 300, 200],
            _ => {}
        }
        // Permuted, flipped, with gaps, and repeated along some axes.
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        for i in (1..axes.len()).rev() {
            let j = random.between(0, i);
            axes.swap(i, j);
        }
        let mut strides = vec![0_isize; shape.len()];
        let (mut stride, mut offset) = (random.pick(&[1, 1, 2]), random.between(0, 3));
        for axis in axes {
            match random.between(0, 4) {
                0 => {}
                1 => {
                    strides[axis] = -(stride as isize);
                    offset += stride * (shape[axis] - 1);
                    stride *= shape[axis];
                }
                _ => {
                    strides[axis] = stride as isize;
                    stride *= shape[axis];
                }
            }
        }
        let len: usize = shape.iter().product();
        let x: Vec<f32> = random.vec(offset + stride + 1);
        let dy: Vec<f32> = random.vec(len);
        let name = format!("{shape:?} {offset} {strides:?}");
        let expected: Vec<f32> = (0..len).map(|i| x[place(i, &shape, offset, &strides)]).collect();
        for y in same_bits(&name, |cx| {
            let mut y = vec![f32::NAN; len];
            copy_strided(cx, &shape, &x, offset, &strides, &mut y);
            y
        }) {
            assert_same_bits(&name, &expected, &y);
        }
        let mut expected = x.clone();
        for (i, dy) in dy.iter().enumerate() {
            expected[place(i, &shape, offset, &strides)] += dy;
        }
        for dx in same_bits(&name, |cx| {
            let mut dx = x.clone();
            add_strided(cx, &shape, &dy, &mut dx, offset, &strides);
            dx
        }) {
            assert_same_bits(&name, &expected, &dx);
        }
    }
}

#[test]
fn rows_by_index() {
    let mut random = Random::new(2);
    for (rows, width, count) in [(1, 1, 1), (5, 3, 20), (30, 16, 300), (4, 2000, 100), (3, 0, 2), (0, 4, 3)] {
        let table: Vec<f32> = random.vec(rows * width);
        let dy: Vec<f32> = random.vec(count * width);
        // One index in ten is no row.
        let index = |random: &mut Random| match random.between(0, 9) {
            0 => u32::MAX - random.between(0, 1) as u32,
            _ => random.between(0, rows) as u32,
        };
        let indices: Vec<u32> = (0..count).map(|_| index(&mut random)).collect();
        let row = |i: &u32| ((*i as usize) < rows).then(|| &table[*i as usize * width..]);
        let gathered: Vec<f32> = indices
            .iter()
            .flat_map(|i| row(i).map_or(vec![f32::NAN; width], |row| row[..width].to_vec()))
            .collect();
        for y in same_bits("gather", |cx| {
            let mut y = vec![0.0; count * width];
            gather_rows(cx, &table, width, &indices, &mut y);
            y
        }) {
            assert_same_bits("gather", &gathered, &y);
        }
        for accumulate in [false, true] {
            let mut expected = if accumulate { table.clone() } else { vec![0.0; table.len()] };
            for (i, index) in indices.iter().enumerate().filter(|(_, index)| (**index as usize) < rows) {
                for j in 0..width {
                    expected[*index as usize * width + j] += dy[i * width + j];
                }
            }
            for dtable in same_bits("scatter", |cx| {
                let mut dtable = if accumulate { table.clone() } else { vec![f32::NAN; table.len()] };
                scatter_add_rows(cx, &indices, width, &dy, &mut dtable, accumulate);
                dtable
            }) {
                assert_same_bits("scatter", &expected, &dtable);
            }
        }
    }
}

#[test]
fn fill_copy_and_axpy() {
    let mut random = Random::new(3);
    for len in [0, 5, 100_000] {
        let (x, y): (Vec<f32>, Vec<f32>) = (random.vec(len), random.vec(len));
        let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 0.3 * x + y).collect();
        for result in same_bits("axpy", |cx| {
            let mut y = y.clone();
            axpy(cx, 0.3, &x, &mut y);
            y
        }) {
            assert_same_bits("axpy", &expected, &result);
        }
        for cx in contexts() {
            let mut out = y.clone();
            fill(&cx, 0.5, &mut out);
            assert_eq!(out, vec![0.5; len]);
            copy(&cx, &x, &mut out);
            assert_eq!(out, x);
        }
    }
}
