//! The worked example of back-propagation that textbooks print: two inputs, two hidden and two output neurons, sigmoid,
//! E = Σ½(target − output)², gradient descent with rate 0.5. Every printed digit of every gradient is checked.

use bantam_autodiff::{Graph, Mode, ParameterSpec, Session, Var};
use bantam_core::Shape;

/// ∂E/∂w1..w4 and ∂E/∂w5..w8 in iterations 0, 1 and 2.
const HIDDEN: [[f64; 4]; 3] = [
    [0.000439, 0.000877, 0.000498, 0.000995],
    [0.000366, 0.000733, 0.000426, 0.000852],
    [0.000285, 0.000570, 0.000345, 0.000689],
];
const OUTPUT: [[f64; 4]; 3] = [
    [0.082167, 0.082668, -0.022603, -0.022740],
    [0.083706, 0.084219, -0.023732, -0.023877],
    [0.084819, 0.085340, -0.024896, -0.025049],
];

#[test]
fn gradients_agree_with_the_textbook_to_the_last_printed_digit() {
    let spec = |path: &str, dims: &[usize]| ParameterSpec {
        path: path.into(),
        shape: Shape::new(dims).unwrap(),
        trainable: true,
        buffer: false,
    };
    let specs = vec![
        spec("hidden.weight", &[2, 2]),
        spec("hidden.bias", &[1]),
        spec("output.weight", &[2, 2]),
        spec("output.bias", &[1]),
    ];
    let graph = Graph::<f64>::with_parameters(specs, Mode::Train);
    let x = graph.input("x", Shape::of([1, 2]));
    let target = graph.input("target", Shape::of([1, 2]));
    let parameters: Vec<Var<'_, f64>> = (0..4).map(|i| graph.parameter(i)).collect();
    // One bias per layer, shared by its two neurons: broadcasting adds it to both, and its gradient is the sum.
    let hidden = (x.linear(parameters[0], None) + parameters[1]).sigmoid();
    let output = (hidden.linear(parameters[2], None) + parameters[3]).sigmoid();
    let error = (target - output).square().sum_all() * 0.5;
    let gradients = graph.differentiate(error, &parameters).unwrap();
    let mut planner = graph.planner().output("error", error);
    for (i, gradient) in gradients.iter().enumerate() {
        planner = planner.output(&format!("gradient {i}"), *gradient);
    }
    let plan = planner.build().unwrap();
    plan.verify().unwrap();

    let mut session = Session::new(plan);
    session.input(0).copy_from_slice(&[0.05, 0.10]);
    session.input(1).copy_from_slice(&[0.01, 0.99]);
    session.parameter_mut(0).copy_from_slice(&[0.15, 0.20, 0.25, 0.30]);
    session.parameter_mut(1).copy_from_slice(&[0.35]);
    session.parameter_mut(2).copy_from_slice(&[0.40, 0.45, 0.50, 0.55]);
    session.parameter_mut(3).copy_from_slice(&[0.60]);
    for iteration in 0..3 {
        session.run();
        println!("iteration {iteration}: E = {:.9}", session.output(0)[0]);
        for (name, output, expected) in [("w1..w4", 1, HIDDEN[iteration]), ("w5..w8", 3, OUTPUT[iteration])] {
            let found: Vec<String> = session.output(output).iter().map(|g| format!("{g:+.6}")).collect();
            println!("  dE/d{name} = {}", found.join(" "));
            let printed: Vec<String> = expected.iter().map(|g| format!("{g:+.6}")).collect();
            assert_eq!(found, printed, "iteration {iteration}, {name}");
        }
        for parameter in 0..4 {
            let gradient = session.output(1 + parameter).to_vec();
            for (p, g) in session.parameter_mut(parameter).iter_mut().zip(gradient) {
                *p -= 0.5 * g;
            }
        }
    }
}
