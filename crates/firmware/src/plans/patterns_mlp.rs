//! The plans of patterns_mlp: `cargo xtask plan` writes them.

// Written by bantam_autodiff::static_plan::source; change the network instead.

#[allow(unused_imports, reason = "not every network needs all of them")]
use bantam::{
    autodiff::{Op, Slot, StaticParts, StaticPlan, StaticResident, StaticStep, ValueType, ops},
    core::Shape,
    kernels::{Activation, ConvShape, Reduce, functions},
};

/// 10948 bytes of arena, 2712 bytes of weights.
pub static TRAIN: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x476478cdb6adac11, arena_bytes: 10948, state_bytes: 8112, alignment: 8, weights_bytes: 2712,
steps: &[
    // linear hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 10672, value: ValueType::real(Shape::of([4, 16])) }, Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }],
        output: Slot { offset: 8112, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // dropout
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Dropout { rate: 0.1, stream: 0 }, cx, io),
        inputs: &[Slot { offset: 8112, value: ValueType::real(Shape::of([4, 32])) }],
        output: Slot { offset: 8624, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 8624, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }],
        output: Slot { offset: 9136, value: ValueType::real(Shape::of([4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropy, cx, io),
        inputs: &[Slot { offset: 9136, value: ValueType::real(Shape::of([4, 4])) }, Slot { offset: 10928, value: ValueType::index(Shape::of([4])) }],
        output: Slot { offset: 10944, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // loss_scale
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::LossScale, cx, io),
        inputs: &[],
        output: Slot { offset: 9200, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy_backward
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropyBackward, cx, io),
        inputs: &[Slot { offset: 9136, value: ValueType::real(Shape::of([4, 4])) }, Slot { offset: 10928, value: ValueType::index(Shape::of([4])) }, Slot { offset: 9200, value: ValueType::real(Shape::of([])) }],
        output: Slot { offset: 9648, value: ValueType::real(Shape::of([4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: false, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 9648, value: ValueType::real(Shape::of([4, 4])) }, Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }],
        output: Slot { offset: 10160, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 9648, value: ValueType::real(Shape::of([4, 4])) }, Slot { offset: 8624, value: ValueType::real(Shape::of([4, 32])) }],
        output: Slot { offset: 9136, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 2, gradient: Slot { offset: 9136, value: ValueType::real(Shape::of([4, 32])) } },
    // column_sums logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ColumnSums, cx, io),
        inputs: &[Slot { offset: 9648, value: ValueType::real(Shape::of([4, 4])) }],
        output: Slot { offset: 8624, value: ValueType::real(Shape::of([4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 3, gradient: Slot { offset: 8624, value: ValueType::real(Shape::of([4])) } },
    // dropout
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Dropout { rate: 0.1, stream: 0 }, cx, io),
        inputs: &[Slot { offset: 10160, value: ValueType::real(Shape::of([4, 32])) }],
        output: Slot { offset: 10160, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu_grad
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::ReluGrad), cx, io),
        inputs: &[Slot { offset: 10160, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 8112, value: ValueType::real(Shape::of([4, 32])) }],
        output: Slot { offset: 10160, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 10160, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 10672, value: ValueType::real(Shape::of([4, 16])) }],
        output: Slot { offset: 8112, value: ValueType::real(Shape::of([32, 16])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 0, gradient: Slot { offset: 8112, value: ValueType::real(Shape::of([32, 16])) } },
    // column_sums hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ColumnSums, cx, io),
        inputs: &[Slot { offset: 10160, value: ValueType::real(Shape::of([4, 32])) }],
        output: Slot { offset: 8112, value: ValueType::real(Shape::of([32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 1, gradient: Slot { offset: 8112, value: ValueType::real(Shape::of([32])) } },
],
residents: &[
    // hidden.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, state: Slot { offset: 2704, value: ValueType::real(Shape::of([1024])) }, trains: true, weights: 0 },
    // hidden.bias
    StaticResident { value: Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }, state: Slot { offset: 6800, value: ValueType::real(Shape::of([64])) }, trains: true, weights: 2048 },
    // logits.weight
    StaticResident { value: Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, state: Slot { offset: 7056, value: ValueType::real(Shape::of([256])) }, trains: true, weights: 2176 },
    // logits.bias
    StaticResident { value: Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }, state: Slot { offset: 8080, value: ValueType::real(Shape::of([8])) }, trains: true, weights: 2688 },
],
inputs: &[Slot { offset: 10672, value: ValueType::real(Shape::of([4, 16])) }, Slot { offset: 10928, value: ValueType::index(Shape::of([4])) }],
outputs: &[],
loss: Some((Slot { offset: 10944, value: ValueType::real(Shape::of([])) }, 3)),
deferred: &[],
needs_global_norm: false,
}) };

/// 8944 bytes of arena, 2712 bytes of weights.
pub static EVALUATE: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x476478cdb6adac11, arena_bytes: 8944, state_bytes: 8112, alignment: 8, weights_bytes: 2712,
steps: &[
    // linear hidden
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 8624, value: ValueType::real(Shape::of([4, 16])) }, Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }],
        output: Slot { offset: 8112, value: ValueType::real(Shape::of([4, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 8112, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }],
        output: Slot { offset: 8880, value: ValueType::real(Shape::of([4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
],
residents: &[
    // hidden.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([32, 16])) }, state: Slot { offset: 2704, value: ValueType::real(Shape::of([1024])) }, trains: true, weights: 0 },
    // hidden.bias
    StaticResident { value: Slot { offset: 2048, value: ValueType::real(Shape::of([32])) }, state: Slot { offset: 6800, value: ValueType::real(Shape::of([64])) }, trains: true, weights: 2048 },
    // logits.weight
    StaticResident { value: Slot { offset: 2176, value: ValueType::real(Shape::of([4, 32])) }, state: Slot { offset: 7056, value: ValueType::real(Shape::of([256])) }, trains: true, weights: 2176 },
    // logits.bias
    StaticResident { value: Slot { offset: 2688, value: ValueType::real(Shape::of([4])) }, state: Slot { offset: 8080, value: ValueType::real(Shape::of([8])) }, trains: true, weights: 2688 },
],
inputs: &[Slot { offset: 8624, value: ValueType::real(Shape::of([4, 16])) }],
outputs: &[Slot { offset: 8880, value: ValueType::real(Shape::of([4, 4])) }],
loss: None,
deferred: &[],
needs_global_norm: false,
}) };
