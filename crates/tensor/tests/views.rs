//! Views against plain index arithmetic, errors, and what is printed.
#![cfg(feature = "alloc")]

use bantam_tensor::{Error, Layout, Shape, Tensor, View};
use proptest::prelude::*;

fn counting(shape: impl Into<Shape>) -> Tensor<u32> {
    let shape = shape.into();
    Tensor::from_vec((0..shape.len() as u32).collect(), shape).unwrap()
}

#[test]
fn views_select_what_numpy_selects() {
    let t = counting([2, 3, 4]);
    let v = t.view();
    // numpy: np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[1:4:2]
    let permuted = v.permute(&[2, 0, 1]).unwrap().slice(0, 1..4, 2).unwrap();
    assert_eq!(permuted.shape(), [2, 2, 3]);
    assert_eq!(permuted.to_vec(), [1, 5, 9, 13, 17, 21, 3, 7, 11, 15, 19, 23]);
    // numpy: a[:, 2::-2, 1]
    let stepped = v.slice(1, 0..3, -2).unwrap().index(2, 1).unwrap();
    assert_eq!(stepped.to_vec(), [9, 1, 21, 13]);
    // numpy: np.broadcast_to(a[:, :1, 0], (2, 2, 3))
    let column = v.index(2, 0).unwrap().slice(1, 0..1, 1).unwrap();
    assert_eq!(column.broadcast_to([2, 2, 3]).unwrap().to_vec(), [0, 0, 0, 12, 12, 12, 0, 0, 0, 12, 12, 12]);
    assert_eq!(v.flip(0).unwrap().flip(0).unwrap(), v);
    assert_eq!(v.index(0, 1).unwrap().reshape([6, 2]).unwrap().get(&[5, 1]), Some(23));
}

#[test]
fn every_mistake_has_its_error() {
    let t = counting([2, 3]);
    let v = t.view();
    let shape = Shape::of([2, 3]);
    assert_eq!(View::new(&[1, 2, 3], [2, 2]), Err(Error::Length { shape: Shape::of([2, 2]), found: 3 }));
    assert_eq!(v.permute(&[0, 0]), Err(Error::Permutation { rank: 2 }));
    assert_eq!(v.permute(&[0]), Err(Error::Permutation { rank: 2 }));
    assert_eq!(v.flip(2), Err(Error::Axis { axis: 2, rank: 2 }));
    assert_eq!(v.index(0, 0).unwrap().transpose(), Err(Error::Axis { axis: 1, rank: 1 }));
    assert_eq!(v.slice(1, 1..4, 1), Err(Error::Range { axis: 1, len: 3, start: 1, end: 4 }));
    assert_eq!(v.slice(1, 0..3, 0), Err(Error::ZeroStep { axis: 1 }));
    assert_eq!(v.index(0, 2), Err(Error::Range { axis: 0, len: 2, start: 2, end: 3 }));
    assert_eq!(v.broadcast_to([3, 3]), Err(Error::Broadcast { from: shape, to: Shape::of([3, 3]) }));
    assert_eq!(v.broadcast_to([3]), Err(Error::Broadcast { from: shape, to: Shape::of([3]) }));
    assert_eq!(v.reshape([7]), Err(Error::Reshape { from: shape, to: Shape::of([7]) }));
    let turned = v.transpose().unwrap();
    assert_eq!(turned.reshape([6]), Err(Error::NotContiguous { shape: Shape::of([3, 2]) }));
    assert_eq!(v.copy_to(&mut [0; 5]), Err(Error::Length { shape, found: 5 }));
    assert_eq!(v.get(&[1]), None);
    assert_eq!(v.get(&[1, 3]), None);
    assert_eq!(
        v.slice(1, 0..4, 1).unwrap_err().to_string(),
        "range 0..4 does not lie inside axis 1 of length 3"
    );
    assert_eq!(
        Tensor::from_vec(vec![0_u8; 3], [2, 2]).unwrap_err().to_string(),
        "shape [2, 2] needs 4 elements, got 3"
    );
}

#[test]
fn a_shape_whose_length_overflows_is_an_error() {
    // 2^32 · 2^32 wraps to 0 elements on a 64-bit machine, which an empty slice must not satisfy.
    let half = 1_usize << (usize::BITS / 2);
    let shape = Shape::of([half, half]);
    assert_eq!(View::<u8>::new(&[], shape), Err(Error::Length { shape, found: 0 }));
}

#[test]
fn a_huge_step_takes_one_element() {
    let t = counting([2, 3]);
    assert_eq!(t.view().slice(0, 0..2, isize::MIN).unwrap().to_vec(), [3, 4, 5]);
    assert_eq!(t.view().slice(0, 0..2, isize::MAX).unwrap().to_vec(), [0, 1, 2]);
    assert_eq!(t.view().slice(0, 1..1, -1).unwrap().to_vec(), [0_u32; 0]);
}

#[test]
fn printing_aligns_columns_and_leaves_out_the_middle() {
    let t = Tensor::from_vec(vec![1.0_f32, -20.5, 3.25, 4.0], [2, 2]).unwrap();
    assert_eq!(format!("{t}"), "[[    1, -20.5],\n [ 3.25,     4]]");
    assert_eq!(format!("{t:.1}"), "[[  1.0, -20.5],\n [  3.2,   4.0]]");
    assert_eq!(format!("{}", counting([2, 1, 2])), "[[[0, 1]],\n\n [[2, 3]]]");
    assert_eq!(format!("{:?}", Tensor::full(Shape::SCALAR, 7)), "Tensor [] 7");
    assert_eq!(format!("{}", counting([1001])), "[   0,    1,    2, ...,  998,  999, 1000]");
}

/// One step of a chain of view operations, with numbers that are reduced to what fits.
#[derive(Clone, Debug)]
enum Step {
    Transpose,
    Flip(usize),
    Slice(usize, usize, usize, isize),
    Index(usize, usize),
    Broadcast(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let nonzero = prop_oneof![-3_isize..0, 1_isize..4];
    prop_oneof![
        Just(Step::Transpose),
        (0_usize..4).prop_map(Step::Flip),
        (0_usize..4, 0_usize..4, 0_usize..4, nonzero).prop_map(|(a, s, e, by)| Step::Slice(a, s, e, by)),
        (0_usize..4, 0_usize..4).prop_map(|(a, i)| Step::Index(a, i)),
        (1_usize..3).prop_map(Step::Broadcast),
    ]
}

/// The same operation done by copying: the naive oracle.
fn naive(t: &Tensor<u32>, step: &Step) -> Option<Tensor<u32>> {
    let (shape, rank) = (t.shape(), t.shape().rank());
    let at = |index: &[usize]| t.view().get(index).unwrap();
    let moved = |index: &[usize], axis: usize, to: usize| {
        let mut index = index.to_vec();
        index[axis] = to;
        index
    };
    Some(match *step {
        Step::Transpose => {
            let mut to = shape;
            to.dims_mut().swap(rank.checked_sub(2)?, rank - 1);
            Tensor::from_fn(to, |i| {
                let mut i = i.to_vec();
                i.swap(rank - 2, rank - 1);
                at(&i)
            })
        }
        Step::Flip(axis) => {
            let n = *shape.dims().get(axis)?;
            Tensor::from_fn(shape, |i| at(&moved(i, axis, n - 1 - i[axis])))
        }
        Step::Slice(axis, start, end, by) => {
            let n = *shape.dims().get(axis)?;
            if start > end || end > n {
                return None;
            }
            let mut taken: Vec<usize> = (start..end).collect();
            if by < 0 {
                taken.reverse();
            }
            let taken: Vec<usize> = taken.into_iter().step_by(by.unsigned_abs()).collect();
            Tensor::from_fn(shape.with(axis, taken.len()), |i| at(&moved(i, axis, taken[i[axis]])))
        }
        Step::Index(axis, index) => {
            if index >= *shape.dims().get(axis)? {
                return None;
            }
            let mut dims = shape.dims().to_vec();
            dims.remove(axis);
            Tensor::from_fn(Shape::new(&dims).unwrap(), |i| {
                let mut i = i.to_vec();
                i.insert(axis, index);
                at(&i)
            })
        }
        Step::Broadcast(n) => {
            let dims: Vec<usize> = [&[n], shape.dims()].concat();
            Tensor::from_fn(Shape::new(&dims).ok()?, |i| at(&i[1..]))
        }
    })
}

fn apply<'a>(v: View<'a, u32>, step: &Step) -> Option<View<'a, u32>> {
    match *step {
        Step::Transpose => v.transpose().ok(),
        Step::Flip(axis) => v.flip(axis).ok(),
        Step::Slice(axis, start, end, by) => v.slice(axis, start..end, by).ok(),
        Step::Index(axis, index) => v.index(axis, index).ok(),
        Step::Broadcast(n) => v.broadcast_to(Shape::new(&[&[n], v.shape().dims()].concat()).ok()?).ok(),
    }
}

proptest! {
    #[test]
    fn chains_of_operations_equal_copies(
        dims in prop::collection::vec(1_usize..5, 0..4),
        steps in prop::collection::vec(step(), 0..6),
    ) {
        let base = counting(Shape::new(&dims).unwrap());
        let (mut copied, mut view) = (base.clone(), base.view());
        for step in &steps {
            match (naive(&copied, step), apply(view, step)) {
                (Some(c), Some(v)) => (copied, view) = (c, v),
                (None, None) => {}
                (c, v) => prop_assert!(false, "{step:?}: copy {c:?}, view {v:?}"),
            }
            prop_assert_eq!(view.to_tensor(), copied.clone());
            prop_assert_eq!(view.iter().len(), copied.data().len());
            let mut out = vec![u32::MAX; copied.data().len()];
            view.copy_to(&mut out).unwrap();
            prop_assert_eq!(&out[..], copied.data());
            // Contiguous is exactly: the offsets count up by one.
            let offsets: Vec<usize> = view.layout().offsets().collect();
            prop_assert_eq!(view.layout().is_contiguous(), offsets.windows(2).all(|w| w[1] == w[0] + 1));
        }
    }

    #[test]
    fn offset_of_agrees_with_the_order_of_offsets(dims in prop::collection::vec(1_usize..4, 0..5)) {
        let layout = Layout::contiguous(Shape::new(&dims).unwrap());
        prop_assert!(layout.offsets().eq(0..layout.shape().len()));
        let last: Vec<usize> = dims.iter().map(|d| d - 1).collect();
        prop_assert_eq!(layout.offset_of(&last), Some(layout.shape().len() - 1));
    }
}
