//! What `cargo xtask plan` runs, on a host: writes the plans and first weights of the programs to `src/plans`.

use bantam::autodiff::static_plan;
use bantam_firmware::{networks, training::SEED};
use core::error::Error;
use std::{fs, path::Path};

/// Those whose first weights are drawn on the board.
const DRAWN: [&str; 2] = ["patterns_mlp", "patterns_sgd"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plans");
    for (name, plans) in networks::all()? {
        let source = static_plan::source(&[("TRAIN", &plans.train), ("EVALUATE", &plans.evaluate)])?;
        let text = format!("//! The plans of {name}: `cargo xtask plan` writes them.\n\n{source}");
        fs::write(folder.join(format!("{name}.rs")), text)?;
        if !DRAWN.contains(&name) {
            let weights = static_plan::weights(&networks::first_session(plans, SEED));
            fs::write(folder.join(format!("{name}.weights")), weights)?;
        }
    }
    Ok(())
}
