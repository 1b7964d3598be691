//! Training steps with burn, on its CPU backend.

use crate::{Call, numbers};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{CrossEntropyLossConfig, MseLoss, Reduction};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::{relu, tanh};

/// The step of this name, if it is written here.
pub fn step(key: &str) -> Option<Call> {
    let device = Device::flex().autodiff();
    let adam = || AdamConfig::new().init();
    let sgd = || SgdConfig::new().init();
    Some(match key {
        "mlp_tiny" => tiny(&device),
        "mlp_digits" => {
            classify(&device, Mlp::new(&device, &[64, 64, 32, 10]), [32, 64], adam(), Mlp::forward)
        }
        "mlp_mnist_sgd" => {
            classify(&device, Mlp::new(&device, &[784, 512, 10]), [128, 784], sgd(), Mlp::forward)
        }
        "mlp_mnist_adam" => {
            classify(&device, Mlp::new(&device, &[784, 512, 10]), [128, 784], adam(), Mlp::forward)
        }
        "cnn" => classify(&device, Cnn::new(&device), [64, 784], adam(), Cnn::forward),
        _ => return None,
    })
}

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(device: &Device, widths: &[usize]) -> Mlp {
        let layers = widths.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device)).collect();
        Mlp { layers }
    }

    fn through(&self, x: Tensor<2>, activation: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let (last, hidden) = self.layers.split_last().expect("there are layers");
        last.forward(hidden.iter().fold(x, |x, layer| activation(layer.forward(x))))
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.through(x, relu)
    }
}

#[derive(Module, Debug)]
struct Cnn {
    convolutions: Vec<Conv2d>,
    pool: MaxPool2d,
    hidden: Linear,
    logits: Linear,
}

impl Cnn {
    fn new(device: &Device) -> Cnn {
        let convolution = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        Cnn {
            convolutions: vec![convolution([1, 32]), convolution([32, 64])],
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden: LinearConfig::new(64 * 7 * 7, 128).init(device),
            logits: LinearConfig::new(128, 10).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mut y: Tensor<4> = x.reshape([64, 1, 28, 28]);
        for convolution in &self.convolutions {
            y = self.pool.forward(relu(convolution.forward(y)));
        }
        self.logits.forward(relu(self.hidden.forward(y.flatten(1, 3))))
    }
}

fn classify<M: Module + Clone + 'static>(
    device: &Device,
    net: M,
    shape: [usize; 2],
    mut optimizer: ModuleOptimizer,
    forward: fn(&M, Tensor<2>) -> Tensor<2>,
) -> Call {
    let x = Tensor::<1>::from_floats(numbers(shape[0] * shape[1]).as_slice(), device).reshape(shape);
    let labels: Vec<i32> = (0..shape[0] as i32).map(|i| i % 10).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), device);
    let loss = CrossEntropyLossConfig::new().init(device);
    let mut net = Some(net);
    Box::new(move || {
        let before = net.take().expect("there is a net");
        let value = loss.forward(forward(&before, x.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(value.backward(), &before);
        net = Some(optimizer.step(0.001, before, gradients));
    })
}

fn tiny(device: &Device) -> Call {
    let x = Tensor::<1>::from_floats(numbers(64).as_slice(), device).reshape([32, 2]);
    let target = Tensor::<2>::zeros([32, 1], device);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut net = Some(Mlp::new(device, &[2, 16, 16, 1]));
    Box::new(move || {
        let before = net.take().expect("there is a net");
        let output = before.through(x.clone(), tanh);
        let value = MseLoss::new().forward(output, target.clone(), Reduction::Mean);
        let gradients = GradientsParams::from_grads(value.backward(), &before);
        net = Some(optimizer.step(0.01, before, gradients));
    })
}
