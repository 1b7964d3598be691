//! The plans of digits_mlp: `cargo xtask plan` writes them.

// Written by bantam_autodiff::static_plan::source; change the network instead.

#[allow(unused_imports, reason = "not every network needs all of them")]
use bantam::{
    autodiff::{Op, Slot, StaticParts, StaticPlan, StaticResident, StaticStep, ValueType, ops},
    core::Shape,
    kernels::{Activation, ConvShape, Reduce, functions},
};

/// 40220 bytes of arena, 9648 bytes of weights.
pub static TRAIN: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x909a1f4e9959f015, arena_bytes: 40220, state_bytes: 28920, alignment: 8, weights_bytes: 9648,
steps: &[
    // linear hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 37112, value: ValueType::real(Shape::of([8, 64])) }, Slot { offset: 0, value: ValueType::real(Shape::of([32, 64])) }, Slot { offset: 8192, value: ValueType::real(Shape::of([32])) }],
        output: Slot { offset: 30200, value: ValueType::real(Shape::of([8, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // dropout
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Dropout { rate: 0.1, stream: 0 }, cx, io),
        inputs: &[Slot { offset: 30200, value: ValueType::real(Shape::of([8, 32])) }],
        output: Slot { offset: 31224, value: ValueType::real(Shape::of([8, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 31224, value: ValueType::real(Shape::of([8, 32])) }, Slot { offset: 8320, value: ValueType::real(Shape::of([10, 32])) }, Slot { offset: 9600, value: ValueType::real(Shape::of([10])) }],
        output: Slot { offset: 28920, value: ValueType::real(Shape::of([8, 10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropy, cx, io),
        inputs: &[Slot { offset: 28920, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 40184, value: ValueType::index(Shape::of([8])) }],
        output: Slot { offset: 40216, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // loss_scale
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::LossScale, cx, io),
        inputs: &[],
        output: Slot { offset: 29240, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy_backward
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropyBackward, cx, io),
        inputs: &[Slot { offset: 28920, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 40184, value: ValueType::index(Shape::of([8])) }, Slot { offset: 29240, value: ValueType::real(Shape::of([])) }],
        output: Slot { offset: 32248, value: ValueType::real(Shape::of([8, 10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: false, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 32248, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 8320, value: ValueType::real(Shape::of([10, 32])) }],
        output: Slot { offset: 39160, value: ValueType::real(Shape::of([8, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 32248, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 31224, value: ValueType::real(Shape::of([8, 32])) }],
        output: Slot { offset: 28920, value: ValueType::real(Shape::of([10, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 2, gradient: Slot { offset: 28920, value: ValueType::real(Shape::of([10, 32])) } },
    // column_sums logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ColumnSums, cx, io),
        inputs: &[Slot { offset: 32248, value: ValueType::real(Shape::of([8, 10])) }],
        output: Slot { offset: 28920, value: ValueType::real(Shape::of([10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 3, gradient: Slot { offset: 28920, value: ValueType::real(Shape::of([10])) } },
    // dropout
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Dropout { rate: 0.1, stream: 0 }, cx, io),
        inputs: &[Slot { offset: 39160, value: ValueType::real(Shape::of([8, 32])) }],
        output: Slot { offset: 39160, value: ValueType::real(Shape::of([8, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu_grad
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::ReluGrad), cx, io),
        inputs: &[Slot { offset: 39160, value: ValueType::real(Shape::of([8, 32])) }, Slot { offset: 30200, value: ValueType::real(Shape::of([8, 32])) }],
        output: Slot { offset: 39160, value: ValueType::real(Shape::of([8, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 39160, value: ValueType::real(Shape::of([8, 32])) }, Slot { offset: 37112, value: ValueType::real(Shape::of([8, 64])) }],
        output: Slot { offset: 28920, value: ValueType::real(Shape::of([32, 64])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 0, gradient: Slot { offset: 28920, value: ValueType::real(Shape::of([32, 64])) } },
    // column_sums hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ColumnSums, cx, io),
        inputs: &[Slot { offset: 39160, value: ValueType::real(Shape::of([8, 32])) }],
        output: Slot { offset: 28920, value: ValueType::real(Shape::of([32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 1, gradient: Slot { offset: 28920, value: ValueType::real(Shape::of([32])) } },
],
residents: &[
    // hidden.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([32, 64])) }, state: Slot { offset: 9640, value: ValueType::real(Shape::of([4096])) }, trains: true, weights: 0 },
    // hidden.bias
    StaticResident { value: Slot { offset: 8192, value: ValueType::real(Shape::of([32])) }, state: Slot { offset: 26024, value: ValueType::real(Shape::of([64])) }, trains: true, weights: 8192 },
    // logits.weight
    StaticResident { value: Slot { offset: 8320, value: ValueType::real(Shape::of([10, 32])) }, state: Slot { offset: 26280, value: ValueType::real(Shape::of([640])) }, trains: true, weights: 8320 },
    // logits.bias
    StaticResident { value: Slot { offset: 9600, value: ValueType::real(Shape::of([10])) }, state: Slot { offset: 28840, value: ValueType::real(Shape::of([20])) }, trains: true, weights: 9600 },
],
inputs: &[Slot { offset: 37112, value: ValueType::real(Shape::of([8, 1, 8, 8])) }, Slot { offset: 40184, value: ValueType::index(Shape::of([8])) }],
outputs: &[],
loss: Some((Slot { offset: 40216, value: ValueType::real(Shape::of([])) }, 3)),
deferred: &[],
needs_global_norm: false,
}) };

/// 32312 bytes of arena, 9648 bytes of weights.
pub static EVALUATE: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x909a1f4e9959f015, arena_bytes: 32312, state_bytes: 28920, alignment: 8, weights_bytes: 9648,
steps: &[
    // linear hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 28920, value: ValueType::real(Shape::of([8, 64])) }, Slot { offset: 0, value: ValueType::real(Shape::of([32, 64])) }, Slot { offset: 8192, value: ValueType::real(Shape::of([32])) }],
        output: Slot { offset: 30968, value: ValueType::real(Shape::of([8, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 30968, value: ValueType::real(Shape::of([8, 32])) }, Slot { offset: 8320, value: ValueType::real(Shape::of([10, 32])) }, Slot { offset: 9600, value: ValueType::real(Shape::of([10])) }],
        output: Slot { offset: 31992, value: ValueType::real(Shape::of([8, 10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
],
residents: &[
    // hidden.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([32, 64])) }, state: Slot { offset: 9640, value: ValueType::real(Shape::of([4096])) }, trains: true, weights: 0 },
    // hidden.bias
    StaticResident { value: Slot { offset: 8192, value: ValueType::real(Shape::of([32])) }, state: Slot { offset: 26024, value: ValueType::real(Shape::of([64])) }, trains: true, weights: 8192 },
    // logits.weight
    StaticResident { value: Slot { offset: 8320, value: ValueType::real(Shape::of([10, 32])) }, state: Slot { offset: 26280, value: ValueType::real(Shape::of([640])) }, trains: true, weights: 8320 },
    // logits.bias
    StaticResident { value: Slot { offset: 9600, value: ValueType::real(Shape::of([10])) }, state: Slot { offset: 28840, value: ValueType::real(Shape::of([20])) }, trains: true, weights: 9600 },
],
inputs: &[Slot { offset: 28920, value: ValueType::real(Shape::of([8, 1, 8, 8])) }],
outputs: &[Slot { offset: 31992, value: ValueType::real(Shape::of([8, 10])) }],
loss: None,
deferred: &[],
needs_global_norm: false,
}) };
