//! The plans of vibration: `cargo xtask plan` writes them.

// Written by bantam_autodiff::static_plan::source; change the network instead.

#[allow(unused_imports, reason = "not every network needs all of them")]
use bantam::{
    autodiff::{Op, Slot, StaticParts, StaticPlan, StaticResident, StaticStep, ValueType, ops},
    core::Shape,
    kernels::{Activation, ConvShape, Reduce, functions},
};

/// 21356 bytes of arena, 2736 bytes of weights.
pub static TRAIN: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x8d8f71026828c0f8, arena_bytes: 21356, state_bytes: 10912, alignment: 8, weights_bytes: 2736,
steps: &[
    // conv2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 2], padding: [0, 4], dilation: [1, 1], groups: 1 }, activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 21088, value: ValueType::real(Shape::of([1, 1, 1, 64])) }, Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 1, 9])) }, Slot { offset: 288, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 18528, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([216])) }, accumulate: false },
    // conv2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 2], padding: [0, 4], dilation: [1, 1], groups: 1 }, activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 18528, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, Slot { offset: 320, value: ValueType::real(Shape::of([8, 8, 1, 9])) }, Slot { offset: 2624, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 16800, value: ValueType::real(Shape::of([1, 8, 1, 16])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([1472])) }, accumulate: false },
    // mean
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Reduction { kind: Reduce::Mean, axes: ops::Axes::from([2, 3]) }, cx, io),
        inputs: &[Slot { offset: 16800, value: ValueType::real(Shape::of([1, 8, 1, 16])) }],
        output: Slot { offset: 10912, value: ValueType::real(Shape::of([1, 8, 1, 1])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 10912, value: ValueType::real(Shape::of([1, 8])) }, Slot { offset: 2656, value: ValueType::real(Shape::of([2, 8])) }, Slot { offset: 2720, value: ValueType::real(Shape::of([2])) }],
        output: Slot { offset: 10944, value: ValueType::real(Shape::of([1, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropy, cx, io),
        inputs: &[Slot { offset: 10944, value: ValueType::real(Shape::of([1, 2])) }, Slot { offset: 21344, value: ValueType::index(Shape::of([1])) }],
        output: Slot { offset: 21352, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // loss_scale
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::LossScale, cx, io),
        inputs: &[],
        output: Slot { offset: 10952, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy_backward
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropyBackward, cx, io),
        inputs: &[Slot { offset: 10944, value: ValueType::real(Shape::of([1, 2])) }, Slot { offset: 21344, value: ValueType::index(Shape::of([1])) }, Slot { offset: 10952, value: ValueType::real(Shape::of([])) }],
        output: Slot { offset: 10976, value: ValueType::real(Shape::of([1, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // add logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::Add), cx, io),
        inputs: &[Slot { offset: 10904, value: ValueType::real(Shape::of([2])) }, Slot { offset: 10976, value: ValueType::real(Shape::of([2])) }],
        output: Slot { offset: 10904, value: ValueType::real(Shape::of([2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: false, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 10976, value: ValueType::real(Shape::of([1, 2])) }, Slot { offset: 2656, value: ValueType::real(Shape::of([2, 8])) }],
        output: Slot { offset: 10944, value: ValueType::real(Shape::of([1, 8])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 10976, value: ValueType::real(Shape::of([1, 2])) }, Slot { offset: 10912, value: ValueType::real(Shape::of([1, 8])) }],
        output: Slot { offset: 10840, value: ValueType::real(Shape::of([2, 8])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: true },
    // mul_scalar
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Map(functions::MulScalar(0.0625)), cx, io),
        inputs: &[Slot { offset: 10944, value: ValueType::real(Shape::of([1, 8, 1, 1])) }],
        output: Slot { offset: 10944, value: ValueType::real(Shape::of([1, 8, 1, 1])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // broadcast
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Gather { name: "broadcast", from: Shape::of([1, 8, 1, 1]), to: Shape::of([1, 8, 1, 16]), start: 0, strides: [0, 1, 0, 0, 0, 0] }, cx, io),
        inputs: &[Slot { offset: 10944, value: ValueType::real(Shape::of([1, 8, 1, 1])) }],
        output: Slot { offset: 20576, value: ValueType::real(Shape::of([1, 8, 1, 16])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu_grad
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::ReluGrad), cx, io),
        inputs: &[Slot { offset: 20576, value: ValueType::real(Shape::of([1, 8, 1, 16])) }, Slot { offset: 16800, value: ValueType::real(Shape::of([1, 8, 1, 16])) }],
        output: Slot { offset: 20576, value: ValueType::real(Shape::of([1, 8, 1, 16])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // conv2d_backward_input
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvBackwardInput { shape: ConvShape { batch: 1, channels_in: 8, height: 1, width: 32, channels_out: 8, kernel: [1, 9], stride: [1, 2], padding: [0, 4], dilation: [1, 1], groups: 1 } }, cx, io),
        inputs: &[Slot { offset: 20576, value: ValueType::real(Shape::of([1, 8, 1, 16])) }, Slot { offset: 320, value: ValueType::real(Shape::of([8, 8, 1, 9])) }],
        output: Slot { offset: 19552, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([1904])) }, accumulate: false },
    // conv2d_backward_weight
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvBackwardWeight { shape: ConvShape { batch: 1, channels_in: 8, height: 1, width: 32, channels_out: 8, kernel: [1, 9], stride: [1, 2], padding: [0, 4], dilation: [1, 1], groups: 1 } }, cx, io),
        inputs: &[Slot { offset: 18528, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, Slot { offset: 20576, value: ValueType::real(Shape::of([1, 8, 1, 16])) }],
        output: Slot { offset: 8504, value: ValueType::real(Shape::of([8, 8, 1, 9])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([1728])) }, accumulate: true },
    // sum
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Reduction { kind: Reduce::Sum, axes: ops::Axes::from([0, 2, 3]) }, cx, io),
        inputs: &[Slot { offset: 20576, value: ValueType::real(Shape::of([1, 8, 1, 16])) }],
        output: Slot { offset: 10944, value: ValueType::real(Shape::of([1, 8, 1, 1])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([8])) }, accumulate: false },
    // add
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::Add), cx, io),
        inputs: &[Slot { offset: 10808, value: ValueType::real(Shape::of([8])) }, Slot { offset: 10944, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 10808, value: ValueType::real(Shape::of([8])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu_grad
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::ReluGrad), cx, io),
        inputs: &[Slot { offset: 19552, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, Slot { offset: 18528, value: ValueType::real(Shape::of([1, 8, 1, 32])) }],
        output: Slot { offset: 19552, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // conv2d_backward_weight
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvBackwardWeight { shape: ConvShape { batch: 1, channels_in: 1, height: 1, width: 64, channels_out: 8, kernel: [1, 9], stride: [1, 2], padding: [0, 4], dilation: [1, 1], groups: 1 } }, cx, io),
        inputs: &[Slot { offset: 21088, value: ValueType::real(Shape::of([1, 1, 1, 64])) }, Slot { offset: 19552, value: ValueType::real(Shape::of([1, 8, 1, 32])) }],
        output: Slot { offset: 8184, value: ValueType::real(Shape::of([8, 1, 1, 9])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([776])) }, accumulate: true },
    // sum
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Reduction { kind: Reduce::Sum, axes: ops::Axes::from([0, 2, 3]) }, cx, io),
        inputs: &[Slot { offset: 19552, value: ValueType::real(Shape::of([1, 8, 1, 32])) }],
        output: Slot { offset: 10944, value: ValueType::real(Shape::of([1, 8, 1, 1])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([8])) }, accumulate: false },
    // add
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::Add), cx, io),
        inputs: &[Slot { offset: 8472, value: ValueType::real(Shape::of([8])) }, Slot { offset: 10944, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 8472, value: ValueType::real(Shape::of([8])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
],
residents: &[
    // conv1.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 1, 9])) }, state: Slot { offset: 2728, value: ValueType::real(Shape::of([144])) }, trains: true, weights: 0 },
    // conv1.bias
    StaticResident { value: Slot { offset: 288, value: ValueType::real(Shape::of([8])) }, state: Slot { offset: 3304, value: ValueType::real(Shape::of([16])) }, trains: true, weights: 288 },
    // conv2.weight
    StaticResident { value: Slot { offset: 320, value: ValueType::real(Shape::of([8, 8, 1, 9])) }, state: Slot { offset: 3368, value: ValueType::real(Shape::of([1152])) }, trains: true, weights: 320 },
    // conv2.bias
    StaticResident { value: Slot { offset: 2624, value: ValueType::real(Shape::of([8])) }, state: Slot { offset: 7976, value: ValueType::real(Shape::of([16])) }, trains: true, weights: 2624 },
    // logits.weight
    StaticResident { value: Slot { offset: 2656, value: ValueType::real(Shape::of([2, 8])) }, state: Slot { offset: 8040, value: ValueType::real(Shape::of([32])) }, trains: true, weights: 2656 },
    // logits.bias
    StaticResident { value: Slot { offset: 2720, value: ValueType::real(Shape::of([2])) }, state: Slot { offset: 8168, value: ValueType::real(Shape::of([4])) }, trains: true, weights: 2720 },
],
inputs: &[Slot { offset: 21088, value: ValueType::real(Shape::of([1, 1, 1, 64])) }, Slot { offset: 21344, value: ValueType::index(Shape::of([1])) }],
outputs: &[],
loss: Some((Slot { offset: 21352, value: ValueType::real(Shape::of([])) }, 4)),
deferred: &[(0, Slot { offset: 8184, value: ValueType::real(Shape::of([8, 1, 1, 9])) }), (1, Slot { offset: 8472, value: ValueType::real(Shape::of([8])) }), (2, Slot { offset: 8504, value: ValueType::real(Shape::of([8, 8, 1, 9])) }), (3, Slot { offset: 10808, value: ValueType::real(Shape::of([8])) }), (4, Slot { offset: 10840, value: ValueType::real(Shape::of([2, 8])) }), (5, Slot { offset: 10904, value: ValueType::real(Shape::of([2])) })],
needs_global_norm: false,
}) };

/// 18592 bytes of arena, 2736 bytes of weights.
pub static EVALUATE: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x8d8f71026828c0f8, arena_bytes: 18592, state_bytes: 10912, alignment: 8, weights_bytes: 2736,
steps: &[
    // conv2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 2], padding: [0, 4], dilation: [1, 1], groups: 1 }, activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 18336, value: ValueType::real(Shape::of([1, 1, 1, 64])) }, Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 1, 9])) }, Slot { offset: 288, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 16800, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([216])) }, accumulate: false },
    // conv2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 2], padding: [0, 4], dilation: [1, 1], groups: 1 }, activation: Activation::Relu }, cx, io),
        inputs: &[Slot { offset: 16800, value: ValueType::real(Shape::of([1, 8, 1, 32])) }, Slot { offset: 320, value: ValueType::real(Shape::of([8, 8, 1, 9])) }, Slot { offset: 2624, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 17824, value: ValueType::real(Shape::of([1, 8, 1, 16])) }, scratch: &Slot { offset: 10912, value: ValueType::real(Shape::of([1472])) }, accumulate: false },
    // mean
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Reduction { kind: Reduce::Mean, axes: ops::Axes::from([2, 3]) }, cx, io),
        inputs: &[Slot { offset: 17824, value: ValueType::real(Shape::of([1, 8, 1, 16])) }],
        output: Slot { offset: 10912, value: ValueType::real(Shape::of([1, 8, 1, 1])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 10912, value: ValueType::real(Shape::of([1, 8])) }, Slot { offset: 2656, value: ValueType::real(Shape::of([2, 8])) }, Slot { offset: 2720, value: ValueType::real(Shape::of([2])) }],
        output: Slot { offset: 10944, value: ValueType::real(Shape::of([1, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
],
residents: &[
    // conv1.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 1, 9])) }, state: Slot { offset: 2728, value: ValueType::real(Shape::of([144])) }, trains: true, weights: 0 },
    // conv1.bias
    StaticResident { value: Slot { offset: 288, value: ValueType::real(Shape::of([8])) }, state: Slot { offset: 3304, value: ValueType::real(Shape::of([16])) }, trains: true, weights: 288 },
    // conv2.weight
    StaticResident { value: Slot { offset: 320, value: ValueType::real(Shape::of([8, 8, 1, 9])) }, state: Slot { offset: 3368, value: ValueType::real(Shape::of([1152])) }, trains: true, weights: 320 },
    // conv2.bias
    StaticResident { value: Slot { offset: 2624, value: ValueType::real(Shape::of([8])) }, state: Slot { offset: 7976, value: ValueType::real(Shape::of([16])) }, trains: true, weights: 2624 },
    // logits.weight
    StaticResident { value: Slot { offset: 2656, value: ValueType::real(Shape::of([2, 8])) }, state: Slot { offset: 8040, value: ValueType::real(Shape::of([32])) }, trains: true, weights: 2656 },
    // logits.bias
    StaticResident { value: Slot { offset: 2720, value: ValueType::real(Shape::of([2])) }, state: Slot { offset: 8168, value: ValueType::real(Shape::of([4])) }, trains: true, weights: 2720 },
],
inputs: &[Slot { offset: 18336, value: ValueType::real(Shape::of([1, 1, 1, 64])) }],
outputs: &[Slot { offset: 10944, value: ValueType::real(Shape::of([1, 2])) }],
loss: None,
deferred: &[],
needs_global_norm: false,
}) };
