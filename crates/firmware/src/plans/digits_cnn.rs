//! The plans of digits_cnn: `cargo xtask plan` writes them.

// Written by bantam_autodiff::static_plan::source; change the network instead.

#[allow(unused_imports, reason = "not every network needs all of them")]
use bantam::{
    autodiff::{Op, Slot, StaticParts, StaticPlan, StaticResident, StaticStep, ValueType, ops},
    core::Shape,
    kernels::{Activation, ConvShape, Reduce, functions},
};

/// 59228 bytes of arena, 7600 bytes of weights.
pub static TRAIN: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x269ab5a6ad42484, arena_bytes: 59228, state_bytes: 22776, alignment: 8, weights_bytes: 7600,
steps: &[
    // conv2d conv1
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 }, activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 56120, value: ValueType::real(Shape::of([8, 1, 8, 8])) }, Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 3, 3])) }, Slot { offset: 288, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }, scratch: &Slot { offset: 39160, value: ValueType::real(Shape::of([244])) }, accumulate: false },
    // max_pool2d_argmax
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolArgmax(ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true }), cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }],
        output: Slot { offset: 58168, value: ValueType::byte(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // max_pool2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolSelect { image: Shape::of([8, 8, 8, 8]), options: ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true } }, cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }, Slot { offset: 58168, value: ValueType::byte(Shape::of([8, 8, 4, 4])) }],
        output: Slot { offset: 47928, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Map(functions::Relu), cx, io),
        inputs: &[Slot { offset: 47928, value: ValueType::real(Shape::of([8, 8, 4, 4])) }],
        output: Slot { offset: 47928, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // conv2d conv2
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 }, activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 47928, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, Slot { offset: 320, value: ValueType::real(Shape::of([16, 8, 3, 3])) }, Slot { offset: 4928, value: ValueType::real(Shape::of([16])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([8, 16, 4, 4])) }, scratch: &Slot { offset: 30968, value: ValueType::real(Shape::of([1440])) }, accumulate: false },
    // max_pool2d_argmax
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolArgmax(ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true }), cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 16, 4, 4])) }],
        output: Slot { offset: 33016, value: ValueType::byte(Shape::of([8, 16, 2, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // max_pool2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolSelect { image: Shape::of([8, 16, 4, 4]), options: ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true } }, cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 16, 4, 4])) }, Slot { offset: 33016, value: ValueType::byte(Shape::of([8, 16, 2, 2])) }],
        output: Slot { offset: 30968, value: ValueType::real(Shape::of([8, 16, 2, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Map(functions::Relu), cx, io),
        inputs: &[Slot { offset: 30968, value: ValueType::real(Shape::of([8, 16, 2, 2])) }],
        output: Slot { offset: 30968, value: ValueType::real(Shape::of([8, 16, 2, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // dropout
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Dropout { rate: 0.1, stream: 0 }, cx, io),
        inputs: &[Slot { offset: 30968, value: ValueType::real(Shape::of([8, 64])) }],
        output: Slot { offset: 25336, value: ValueType::real(Shape::of([8, 64])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 25336, value: ValueType::real(Shape::of([8, 64])) }, Slot { offset: 4992, value: ValueType::real(Shape::of([10, 64])) }, Slot { offset: 7552, value: ValueType::real(Shape::of([10])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([8, 10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropy, cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 59192, value: ValueType::index(Shape::of([8])) }],
        output: Slot { offset: 59224, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // loss_scale
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::LossScale, cx, io),
        inputs: &[],
        output: Slot { offset: 23096, value: ValueType::real(Shape::of([])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // cross_entropy_backward
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::CrossEntropyBackward, cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 59192, value: ValueType::index(Shape::of([8])) }, Slot { offset: 23096, value: ValueType::real(Shape::of([])) }],
        output: Slot { offset: 29432, value: ValueType::real(Shape::of([8, 10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: false, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 29432, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 4992, value: ValueType::real(Shape::of([10, 64])) }],
        output: Slot { offset: 27384, value: ValueType::real(Shape::of([8, 64])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // matmul logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MatMul { transpose_a: true, transpose_b: false }, cx, io),
        inputs: &[Slot { offset: 29432, value: ValueType::real(Shape::of([8, 10])) }, Slot { offset: 25336, value: ValueType::real(Shape::of([8, 64])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([10, 64])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 4, gradient: Slot { offset: 22776, value: ValueType::real(Shape::of([10, 64])) } },
    // column_sums logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ColumnSums, cx, io),
        inputs: &[Slot { offset: 29432, value: ValueType::real(Shape::of([8, 10])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    StaticStep::Update { parameter: 5, gradient: Slot { offset: 22776, value: ValueType::real(Shape::of([10])) } },
    // dropout
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Dropout { rate: 0.1, stream: 0 }, cx, io),
        inputs: &[Slot { offset: 27384, value: ValueType::real(Shape::of([8, 64])) }],
        output: Slot { offset: 27384, value: ValueType::real(Shape::of([8, 64])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu_grad
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::ReluGrad), cx, io),
        inputs: &[Slot { offset: 27384, value: ValueType::real(Shape::of([8, 16, 2, 2])) }, Slot { offset: 30968, value: ValueType::real(Shape::of([8, 16, 2, 2])) }],
        output: Slot { offset: 27384, value: ValueType::real(Shape::of([8, 16, 2, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // max_pool2d_backward
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolScatter(ops::MaxPoolSelect { image: Shape::of([8, 16, 4, 4]), options: ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true } }), cx, io),
        inputs: &[Slot { offset: 27384, value: ValueType::real(Shape::of([8, 16, 2, 2])) }, Slot { offset: 33016, value: ValueType::byte(Shape::of([8, 16, 2, 2])) }],
        output: Slot { offset: 39736, value: ValueType::real(Shape::of([8, 16, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // conv2d_backward_input conv2
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvBackwardInput { shape: ConvShape { batch: 8, channels_in: 8, height: 4, width: 4, channels_out: 16, kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 } }, cx, io),
        inputs: &[Slot { offset: 39736, value: ValueType::real(Shape::of([8, 16, 4, 4])) }, Slot { offset: 320, value: ValueType::real(Shape::of([16, 8, 3, 3])) }],
        output: Slot { offset: 52024, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 22776, value: ValueType::real(Shape::of([4240])) }, accumulate: false },
    // conv2d_backward_weight conv2
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvBackwardWeight { shape: ConvShape { batch: 8, channels_in: 8, height: 4, width: 4, channels_out: 16, kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 } }, cx, io),
        inputs: &[Slot { offset: 47928, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, Slot { offset: 39736, value: ValueType::real(Shape::of([8, 16, 4, 4])) }],
        output: Slot { offset: 29560, value: ValueType::real(Shape::of([16, 8, 3, 3])) }, scratch: &Slot { offset: 22776, value: ValueType::real(Shape::of([1696])) }, accumulate: false },
    StaticStep::Update { parameter: 2, gradient: Slot { offset: 29560, value: ValueType::real(Shape::of([16, 8, 3, 3])) } },
    // sum conv2
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Reduction { kind: Reduce::Sum, axes: ops::Axes::from([0, 2, 3]) }, cx, io),
        inputs: &[Slot { offset: 39736, value: ValueType::real(Shape::of([8, 16, 4, 4])) }],
        output: Slot { offset: 23288, value: ValueType::real(Shape::of([1, 16, 1, 1])) }, scratch: &Slot { offset: 22776, value: ValueType::real(Shape::of([128])) }, accumulate: false },
    StaticStep::Update { parameter: 3, gradient: Slot { offset: 23288, value: ValueType::real(Shape::of([16])) } },
    // relu_grad
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Alike(functions::ReluGrad), cx, io),
        inputs: &[Slot { offset: 52024, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, Slot { offset: 47928, value: ValueType::real(Shape::of([8, 8, 4, 4])) }],
        output: Slot { offset: 52024, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // max_pool2d_backward
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolScatter(ops::MaxPoolSelect { image: Shape::of([8, 8, 8, 8]), options: ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true } }), cx, io),
        inputs: &[Slot { offset: 52024, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, Slot { offset: 58168, value: ValueType::byte(Shape::of([8, 8, 4, 4])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // conv2d_backward_weight conv1
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvBackwardWeight { shape: ConvShape { batch: 8, channels_in: 1, height: 8, width: 8, channels_out: 8, kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 } }, cx, io),
        inputs: &[Slot { offset: 56120, value: ValueType::real(Shape::of([8, 1, 8, 8])) }, Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }],
        output: Slot { offset: 44424, value: ValueType::real(Shape::of([8, 1, 3, 3])) }, scratch: &Slot { offset: 39160, value: ValueType::real(Shape::of([1316])) }, accumulate: false },
    StaticStep::Update { parameter: 0, gradient: Slot { offset: 44424, value: ValueType::real(Shape::of([8, 1, 3, 3])) } },
    // sum conv1
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Reduction { kind: Reduce::Sum, axes: ops::Axes::from([0, 2, 3]) }, cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }],
        output: Slot { offset: 39416, value: ValueType::real(Shape::of([1, 8, 1, 1])) }, scratch: &Slot { offset: 39160, value: ValueType::real(Shape::of([64])) }, accumulate: false },
    StaticStep::Update { parameter: 1, gradient: Slot { offset: 39416, value: ValueType::real(Shape::of([8])) } },
],
residents: &[
    // conv1.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 3, 3])) }, state: Slot { offset: 7592, value: ValueType::real(Shape::of([144])) }, trains: true, weights: 0 },
    // conv1.bias
    StaticResident { value: Slot { offset: 288, value: ValueType::real(Shape::of([8])) }, state: Slot { offset: 8168, value: ValueType::real(Shape::of([16])) }, trains: true, weights: 288 },
    // conv2.weight
    StaticResident { value: Slot { offset: 320, value: ValueType::real(Shape::of([16, 8, 3, 3])) }, state: Slot { offset: 8232, value: ValueType::real(Shape::of([2304])) }, trains: true, weights: 320 },
    // conv2.bias
    StaticResident { value: Slot { offset: 4928, value: ValueType::real(Shape::of([16])) }, state: Slot { offset: 17448, value: ValueType::real(Shape::of([32])) }, trains: true, weights: 4928 },
    // logits.weight
    StaticResident { value: Slot { offset: 4992, value: ValueType::real(Shape::of([10, 64])) }, state: Slot { offset: 17576, value: ValueType::real(Shape::of([1280])) }, trains: true, weights: 4992 },
    // logits.bias
    StaticResident { value: Slot { offset: 7552, value: ValueType::real(Shape::of([10])) }, state: Slot { offset: 22696, value: ValueType::real(Shape::of([20])) }, trains: true, weights: 7552 },
],
inputs: &[Slot { offset: 56120, value: ValueType::real(Shape::of([8, 1, 8, 8])) }, Slot { offset: 59192, value: ValueType::index(Shape::of([8])) }],
outputs: &[],
loss: Some((Slot { offset: 59224, value: ValueType::real(Shape::of([])) }, 10)),
deferred: &[],
needs_global_norm: false,
}) };

/// 46328 bytes of arena, 7600 bytes of weights.
pub static EVALUATE: StaticPlan<f32> = // SAFETY: the parts of a plan that has passed `verify`.
unsafe { StaticPlan::trusted(StaticParts {
id: 0x269ab5a6ad42484, arena_bytes: 46328, state_bytes: 22776, alignment: 8, weights_bytes: 7600,
steps: &[
    // conv2d conv1
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 }, activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 43256, value: ValueType::real(Shape::of([8, 1, 8, 8])) }, Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 3, 3])) }, Slot { offset: 288, value: ValueType::real(Shape::of([8])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }, scratch: &Slot { offset: 39160, value: ValueType::real(Shape::of([244])) }, accumulate: false },
    // max_pool2d_argmax
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolArgmax(ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true }), cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }],
        output: Slot { offset: 45304, value: ValueType::byte(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // max_pool2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolSelect { image: Shape::of([8, 8, 8, 8]), options: ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true } }, cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 8, 8, 8])) }, Slot { offset: 45304, value: ValueType::byte(Shape::of([8, 8, 4, 4])) }],
        output: Slot { offset: 39160, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Map(functions::Relu), cx, io),
        inputs: &[Slot { offset: 39160, value: ValueType::real(Shape::of([8, 8, 4, 4])) }],
        output: Slot { offset: 39160, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // conv2d conv2
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::ConvForward { options: ops::Conv2dOptions { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 }, activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 39160, value: ValueType::real(Shape::of([8, 8, 4, 4])) }, Slot { offset: 320, value: ValueType::real(Shape::of([16, 8, 3, 3])) }, Slot { offset: 4928, value: ValueType::real(Shape::of([16])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([8, 16, 4, 4])) }, scratch: &Slot { offset: 30968, value: ValueType::real(Shape::of([1440])) }, accumulate: false },
    // max_pool2d_argmax
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolArgmax(ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true }), cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 16, 4, 4])) }],
        output: Slot { offset: 33016, value: ValueType::byte(Shape::of([8, 16, 2, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // max_pool2d
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::MaxPoolSelect { image: Shape::of([8, 16, 4, 4]), options: ops::Pool2dOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0], count_include_pad: true } }, cx, io),
        inputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 16, 4, 4])) }, Slot { offset: 33016, value: ValueType::byte(Shape::of([8, 16, 2, 2])) }],
        output: Slot { offset: 30968, value: ValueType::real(Shape::of([8, 16, 2, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // relu
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Map(functions::Relu), cx, io),
        inputs: &[Slot { offset: 30968, value: ValueType::real(Shape::of([8, 16, 2, 2])) }],
        output: Slot { offset: 30968, value: ValueType::real(Shape::of([8, 16, 2, 2])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
    // linear logits
    StaticStep::Compute { eval: |cx, io| Op::<f32>::eval(&ops::Linear { activation: Activation::Identity }, cx, io),
        inputs: &[Slot { offset: 30968, value: ValueType::real(Shape::of([8, 64])) }, Slot { offset: 4992, value: ValueType::real(Shape::of([10, 64])) }, Slot { offset: 7552, value: ValueType::real(Shape::of([10])) }],
        output: Slot { offset: 22776, value: ValueType::real(Shape::of([8, 10])) }, scratch: &Slot { offset: 0, value: ValueType::real(Shape::of([0])) }, accumulate: false },
],
residents: &[
    // conv1.weight
    StaticResident { value: Slot { offset: 0, value: ValueType::real(Shape::of([8, 1, 3, 3])) }, state: Slot { offset: 7592, value: ValueType::real(Shape::of([144])) }, trains: true, weights: 0 },
    // conv1.bias
    StaticResident { value: Slot { offset: 288, value: ValueType::real(Shape::of([8])) }, state: Slot { offset: 8168, value: ValueType::real(Shape::of([16])) }, trains: true, weights: 288 },
    // conv2.weight
    StaticResident { value: Slot { offset: 320, value: ValueType::real(Shape::of([16, 8, 3, 3])) }, state: Slot { offset: 8232, value: ValueType::real(Shape::of([2304])) }, trains: true, weights: 320 },
    // conv2.bias
    StaticResident { value: Slot { offset: 4928, value: ValueType::real(Shape::of([16])) }, state: Slot { offset: 17448, value: ValueType::real(Shape::of([32])) }, trains: true, weights: 4928 },
    // logits.weight
    StaticResident { value: Slot { offset: 4992, value: ValueType::real(Shape::of([10, 64])) }, state: Slot { offset: 17576, value: ValueType::real(Shape::of([1280])) }, trains: true, weights: 4992 },
    // logits.bias
    StaticResident { value: Slot { offset: 7552, value: ValueType::real(Shape::of([10])) }, state: Slot { offset: 22696, value: ValueType::real(Shape::of([20])) }, trains: true, weights: 7552 },
],
inputs: &[Slot { offset: 43256, value: ValueType::real(Shape::of([8, 1, 8, 8])) }],
outputs: &[Slot { offset: 22776, value: ValueType::real(Shape::of([8, 10])) }],
loss: None,
deferred: &[],
needs_global_norm: false,
}) };
