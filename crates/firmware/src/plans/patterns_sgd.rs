//! The plans of patterns_sgd: `cargo xtask plan` writes them.

// Written by bantam_autodiff::static_plan::source; change the network instead.

#[allow(unused_imports, reason = "not every network needs all of them")]
use bantam::{
    autodiff::{Op, Slot, StaticParts, StaticPlan, StaticResident, StaticStep, ValueType, ops},
    core::Shape,
    kernels::{Activation, ConvShape, Reduce, functions},
};

/// 3564 bytes of arena, 2712 bytes of weights.
pub static TRAIN: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0xbe01f7f0555d0fd8, arena_bytes: 3564, state_bytes: 2704, alignment: 8, weights_bytes: 2712,
steps: &[
    // linear hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 3472, value: ValueType::real(Shape::of([1, 16])) }, Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }],
        output: Slot { offset: 3216, value: ValueType::real(Shape::of([1, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 3216, value: ValueType::real(Shape::of([1, 32])) }, Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }],
        output: Slot { offset: 2704, value: ValueType::real(Shape::of([1, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropy, cx, io),
        inputs: &[Slot { offset: 2704, value: ValueType::real(Shape::of([1, 4])) }, Slot { offset: 3552, value: ValueType::index(Shape::of([1])) }],
        output: Slot { offset: 3560, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // loss_scale
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::LossScale, cx, io),
        inputs: &[],
        output: Slot { offset: 2720, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy_backward
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropyBackward, cx, io),
        inputs: &[Slot { offset: 2704, value: ValueType::real(Shape::of([1, 4])) }, Slot { offset: 3552, value: ValueType::index(Shape::of([1])) }, Slot { offset: 2720, value: ValueType::real(Shape::of([])) }],
        output: Slot { offset: 3536, value: ValueType::real(Shape::of([1, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: false, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 3536, value: ValueType::real(Shape::of([1, 4])) }, Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }],
        output: Slot { offset: 3344, value: ValueType::real(Shape::of([1, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 3536, value: ValueType::real(Shape::of([1, 4])) }, Slot { offset: 3216, value: ValueType::real(Shape::of([1, 32])) }],
        output: Slot { offset: 2704, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 2, gradient: Slot { offset: 2704, value: ValueType::real(Shape::of([4, 32])) } },
    StaticStep::Update { parameter: 3, gradient: Slot { offset: 3536, value: ValueType::real(Shape::of([4])) } },
    // relu_grad
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::ReluGrad), cx, io),
        inputs: &[Slot { offset: 3344, value: ValueType::real(Shape::of([1, 32])) }, Slot { offset: 3216, value: ValueType::real(Shape::of([1, 32])) }],
        output: Slot { offset: 3344, value: ValueType::real(Shape::of([1, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul hidden
    StaticStep::Parts { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 3344, value: ValueType::real(Shape::of([1, 32])) }, Slot { offset: 3472, value: ValueType::real(Shape::of([1, 16])) }],
        part: Slot { offset: 2704, value: ValueType::real(Shape::of([128])) }, parameter: 0 },
    StaticStep::Update { parameter: 1, gradient: Slot { offset: 3344, value: ValueType::real(Shape::of([32])) } },
],
residents: &[
    // hidden.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 0 },
    // hidden.bias
    StaticResident { value: Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 2048 },
    // logits.weight
    StaticResident { value: Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 2176 },
    // logits.bias
    StaticResident { value: Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 2688 },
],
inputs: &[Slot { offset: 3472, value: ValueType::real(Shape::of([1, 16])) }, Slot { offset: 3552, value: ValueType::index(Shape::of([1])) }],
outputs: &[],
loss: Some((Slot { offset: 3560, value: ValueType::real(Shape::of([])) }, 2)),
deferred: &[],
needs_global_norm: false,
}) };

/// 2912 bytes of arena, 2712 bytes of weights.
pub static EVALUATE: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0xbe01f7f0555d0fd8, arena_bytes: 2912, state_bytes: 2704, alignment: 8, weights_bytes: 2712,
steps: &[
    // linear hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 2832, value: ValueType::real(Shape::of([1, 16])) }, Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }],
        output: Slot { offset: 2704, value: ValueType::real(Shape::of([1, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 2704, value: ValueType::real(Shape::of([1, 32])) }, Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }],
        output: Slot { offset: 2896, value: ValueType::real(Shape::of([1, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
],
residents: &[
    // hidden.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 0 },
    // hidden.bias
    StaticResident { value: Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 2048 },
    // logits.weight
    StaticResident { value: Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 2176 },
    // logits.bias
    StaticResident { value: Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }, state: Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, trains: true, weights: 2688 },
],
inputs: &[Slot { offset: 2832, value: ValueType::real(Shape::of([1, 16])) }],
outputs: &[Slot { offset: 2896, value: ValueType::real(Shape::of([1, 4])) }],
loss: None,
deferred: &[],
needs_global_norm: false,
}) };
