//! Training steps with candle.

use crate::{Call, numbers};
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{
    AdamW, Conv2d, Conv2dConfig, Linear, Module, Optimizer, ParamsAdamW, SGD, VarBuilder, VarMap, conv2d,
    linear, loss,
};

/// The step of this name, if candle has what it takes.
pub fn step(key: &str) -> Option<Call> {
    let made = match key {
        "mlp_digits" => mlp(32, &[64, 64, 32, 10], adam),
        "mlp_mnist_sgd" => mlp(128, &[784, 512, 10], |vars| SGD::new(vars.all_vars(), 0.01)),
        "mlp_mnist_adam" => mlp(128, &[784, 512, 10], adam),
        "cnn" => cnn(),
        // No momentum, and no gradient of what the others need.
        _ => return None,
    };
    Some(made.expect("candle makes the net"))
}

/// Adam is AdamW without decay.
fn adam(vars: &VarMap) -> Result<AdamW> {
    AdamW::new(vars.all_vars(), ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..Default::default() })
}

fn labels(batch: usize) -> Result<Tensor> {
    Tensor::from_iter((0..batch as u32).map(|i| i % 10), &Device::Cpu)
}

fn mlp<O: Optimizer + 'static>(
    batch: usize,
    widths: &[usize],
    optimizer: impl FnOnce(&VarMap) -> Result<O>,
) -> Result<Call> {
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let layers: Vec<Linear> = widths
        .windows(2)
        .enumerate()
        .map(|(i, pair)| linear(pair[0], pair[1], builder.pp(i.to_string())))
        .collect::<Result<_>>()?;
    let x = Tensor::from_vec(numbers(batch * widths[0]), (batch, widths[0]), &Device::Cpu)?;
    let labels = labels(batch)?;
    let mut optimizer = optimizer(&vars)?;
    let mut step = move || {
        let (last, hidden) = layers.split_last().expect("there are layers");
        let mut y = x.clone();
        for layer in hidden {
            y = layer.forward(&y)?.relu()?;
        }
        optimizer.backward_step(&loss::cross_entropy(&last.forward(&y)?, &labels)?)
    };
    Ok(Box::new(move || step().expect("candle trains")))
}

fn cnn() -> Result<Call> {
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let same = Conv2dConfig { padding: 1, ..Default::default() };
    let convolutions: [Conv2d; 2] =
        [conv2d(1, 32, 3, same, builder.pp("conv1"))?, conv2d(32, 64, 3, same, builder.pp("conv2"))?];
    let hidden = linear(64 * 7 * 7, 128, builder.pp("hidden"))?;
    let logits = linear(128, 10, builder.pp("logits"))?;
    let x = Tensor::from_vec(numbers(64 * 28 * 28), (64, 1, 28, 28), &Device::Cpu)?;
    let labels = labels(64)?;
    let mut optimizer = adam(&vars)?;
    let mut step = move || {
        let mut y = x.clone();
        for convolution in &convolutions {
            y = convolution.forward(&y)?.relu()?.max_pool2d(2)?;
        }
        let y = hidden.forward(&y.flatten_from(D::Minus(3))?)?.relu()?;
        optimizer.backward_step(&loss::cross_entropy(&logits.forward(&y)?, &labels)?)
    };
    Ok(Box::new(move || step().expect("candle trains")))
}
