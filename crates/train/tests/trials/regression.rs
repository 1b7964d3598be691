//! Values as targets.

use crate::common::{line, points};
use bantam_optim::Sgd;
use bantam_train::Trainer;

#[test]
fn a_line_is_found() {
    let samples: Vec<[f32; 2]> = (0..40).map(|i| i as f32 / 20.0 - 1.0).map(|x| [x, 3.0 * x - 0.5]).collect();
    let data = points(&samples);
    let (net, params) = line();
    let trainer = Trainer::new(net, params).optimizer(Sgd::new(0.3)).batch(8).epochs(60).validate(&data);
    let mut trained = trainer.fit(&data).unwrap();

    let values: Vec<f32> = trained.network.parameters().flat_map(|(_, _, values)| values.to_vec()).collect();
    // The error shrinks by at least 1 − 2·0.3·(smallest curvature 1/3) = 0.8 per step, 300 times: only rounding is left,
    // a few units in the last place of numbers of size 4 for each of the 8 terms of a gradient.
    assert!((values[0] - 3.0).abs() < 1e-5 && (values[1] + 0.5).abs() < 1e-5, "{values:?}");
    let record = trained.history.last().unwrap();
    assert!(record.train_loss < 1e-9 && record.validation_loss.unwrap() < 1e-9, "{record:?}");
    assert_eq!((record.train_accuracy, record.validation_accuracy), (None, None));
    assert_eq!(trained.network.evaluate(&data).unwrap().accuracy, None);

    let mut predicted = Vec::new();
    trained.network.predict(&data, |index, values| predicted.push((index, values.to_vec()))).unwrap();
    assert_eq!(predicted.len(), 40);
    for ((index, values), (expected, [_, y])) in predicted.iter().zip(samples.iter().enumerate()) {
        assert_eq!((*index, values.len()), (expected, 1));
        assert!((values[0] - y).abs() < 1e-4);
    }
}
