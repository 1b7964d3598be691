//! The networks to choose from, built from settings.

use crate::config::Settings;
use crate::values::{Activation, Model};
use bantam::nn;
use bantam::prelude::*;

/// A network of any kind.
pub type AnyModel = Box<dyn Layer + Send + Sync>;

/// The network that `settings` describe, for samples of shape `features`.
pub fn build(settings: &Settings, features: Shape, classes: usize) -> (AnyModel, Params) {
    let mut params = Params::new();
    let p = &mut params;
    let net = match settings.model {
        Model::Perceptron => {
            Sequential::new().then(Flatten).then(Linear::new(p.at("logits"), features.len(), classes))
        }
        Model::Mlp => head(Sequential::new().then(Flatten), p, settings, features.len(), classes),
        Model::Cnn => cnn(p, settings, features, classes),
        Model::Resnet => resnet(p, settings, features, classes),
    };
    (Box::new(net), params)
}

fn activation(settings: &Settings) -> nn::Activation {
    match settings.activation {
        Activation::Relu => nn::Activation::Relu,
        Activation::Tanh => nn::Activation::Tanh,
        Activation::Sigmoid => nn::Activation::Sigmoid,
    }
}

/// What keeps the variance for the chosen activation.
fn initializer(settings: &Settings) -> Initializer {
    match settings.activation {
        Activation::Relu => Initializer::HE_NORMAL,
        Activation::Tanh | Activation::Sigmoid => Initializer::GLOROT_NORMAL,
    }
}

/// Hidden linear layers, then the one that gives the logits.
fn head(
    mut net: Sequential,
    p: &mut Params,
    settings: &Settings,
    mut width: usize,
    classes: usize,
) -> Sequential {
    for (i, &hidden) in (1..).zip(&settings.hidden) {
        let bias = !settings.batch_norm;
        let mut layer = Sequential::new().then(Linear::with(
            p.at(&format!("hidden{i}")),
            width,
            hidden,
            initializer(settings),
            bias,
        ));
        if settings.batch_norm {
            layer = layer.then(BatchNorm::new(p.at(&format!("hidden{i}_norm")), hidden));
        }
        layer = layer.then(activation(settings)).then(Dropout::new(settings.dropout as f32));
        net = then(net, settings, layer);
        width = hidden;
    }
    net.then(Linear::with(p.at("logits"), width, classes, Initializer::GLOROT_NORMAL, true))
}

/// `layer` behind `net`; if the settings say so, of its values only the result is kept.
fn then(net: Sequential, settings: &Settings, layer: impl Layer + Send + Sync + 'static) -> Sequential {
    if settings.recompute { net.then(Recompute(layer)) } else { net.then(layer) }
}

/// A 3×3 convolution that keeps the size, with or without normalisation.
fn convolution(p: &mut Params, name: &str, channels: [usize; 2], stride: usize, norm: bool) -> Sequential {
    let convolution =
        Conv2d::with(p.at(name), channels, 3, 1, Initializer::HE_NORMAL, !norm).same().stride(stride);
    let net = Sequential::new().then(convolution);
    if norm { net.then(BatchNorm::new(p.at(&format!("{name}_norm")), channels[1])) } else { net }
}

/// Convolutions, each followed by the maximum over 2×2 as long as there is something left to halve.
fn cnn(p: &mut Params, settings: &Settings, features: Shape, classes: usize) -> Sequential {
    let (mut channels, mut height, mut width) = image(features);
    let mut net = Sequential::new();
    for (i, &next) in (1..).zip(&settings.channels) {
        let mut layer = convolution(p, &format!("conv{i}"), [channels, next], 1, settings.batch_norm);
        layer = layer.then(activation(settings));
        channels = next;
        if height.min(width) >= 2 {
            layer = layer.then(MaxPool2d::new(2));
            (height, width) = (height / 2, width / 2);
        }
        net = then(net, settings, layer);
    }
    head(net.then(Flatten), p, settings, channels * height * width, classes)
}

/// Residual blocks with batch normalisation; each stage after the first halves the image (He et al., 2016).
fn resnet(p: &mut Params, settings: &Settings, features: Shape, classes: usize) -> Sequential {
    let (channels, ..) = image(features);
    let first = settings.channels.first().copied().unwrap_or(16);
    let mut net = convolution(p, "stem", [channels, first], 1, true).then(activation(settings));
    let mut width = first;
    for (i, &next) in (1..).zip(&settings.channels) {
        let stride = if i == 1 { 1 } else { 2 };
        let body = convolution(p, &format!("block{i}.conv1"), [width, next], stride, true)
            .then(activation(settings))
            .then(convolution(p, &format!("block{i}.conv2"), [next, next], 1, true));
        net = if stride == 1 && width == next {
            then(net, settings, Residual::new(body))
        } else {
            let name = format!("block{i}.shortcut");
            let shortcut =
                Conv2d::with(p.at(&name), [width, next], 1, 1, Initializer::HE_NORMAL, true).stride(stride);
            then(net, settings, Residual::new(body).shortcut(shortcut))
        };
        net = net.then(activation(settings));
        width = next;
    }
    net.then(GlobalAvgPool2d).then(Dropout::new(settings.dropout as f32)).then(Linear::with(
        p.at("logits"),
        width,
        classes,
        Initializer::GLOROT_NORMAL,
        true,
    ))
}

/// Channels, height and width; settings made sure that samples are images.
fn image(features: Shape) -> (usize, usize, usize) {
    match *features.dims() {
        [channels, height, width] => (channels, height, width),
        _ => (1, 1, features.len()),
    }
}
