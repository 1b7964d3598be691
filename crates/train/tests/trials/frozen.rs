//! Frozen layers keep their bits and cost neither gradients nor optimizer state.

use crate::common::{bits, iris, plain_net};
use bantam_optim::Sgd;
use bantam_store::safetensors::Tensors;
use bantam_train::Trainer;
use core::cell::RefCell;

#[test]
fn frozen_layers_keep_their_bits_and_have_no_state() {
    let [train, _] = iris();
    let make = |freeze: bool| {
        let (net, mut params) = plain_net();
        if freeze {
            assert_eq!(params.freeze("hidden").unwrap(), 2);
        }
        Trainer::new(net, params).optimizer(Sgd::new(0.1).momentum(0.9)).epochs(3).seed(6)
    };
    let before = make(true).prepare(&train).unwrap();
    let memory = before.plan().memory();
    // Momentum is one number per trained parameter: 12·3 weights and 3 biases.
    let places = |bytes: usize| bytes.div_ceil(64) * 64;
    assert!(memory.optimizer_state >= 39 * 4 && memory.optimizer_state <= places(36 * 4) + places(3 * 4));
    let thawed = make(false).prepare(&train).unwrap();
    assert!(thawed.plan().memory().gradients > memory.gradients);
    assert!(thawed.plan().memory().peak > memory.peak);

    let last = RefCell::new(Vec::new());
    let trainer = make(true).checkpoint(|content| {
        *last.borrow_mut() = content.to_vec();
        Ok(())
    });
    let after = trainer.fit(&train).unwrap();
    for ((path, before), (_, after)) in bits(&before).into_iter().zip(bits(&after.network)) {
        assert_eq!(before == after, path.starts_with("hidden"), "{path}");
    }
    drop(after);
    let last = last.into_inner();
    let tensors = Tensors::parse(&last).unwrap();
    assert_eq!(tensors.shape("optimizer/hidden.weight"), Some(&[0][..]));
    assert_eq!(tensors.shape("optimizer/hidden.bias"), Some(&[0][..]));
    assert_eq!(tensors.shape("optimizer/logits.weight"), Some(&[36][..]));
}
