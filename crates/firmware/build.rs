//! Hands the linker script to programs for bare metal. `BANTAM_MEMORY` names the folder with the machine's memory.x.

fn main() {
    println!("cargo::rerun-if-env-changed=BANTAM_MEMORY");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let here = variable("CARGO_MANIFEST_DIR");
    match variable("CARGO_CFG_TARGET_OS").as_str() {
        "none" => {
            println!("cargo::rustc-link-arg-examples=-L{here}/link");
            println!("cargo::rustc-link-arg-examples=-L{}", variable("BANTAM_MEMORY"));
            println!("cargo::rustc-link-arg-examples=-Tlink.x");
            // Functions whose code is the same lie in flash once: generic ones of types of one size, and short ones.
            println!("cargo::rustc-link-arg-examples=--icf=all");
        }
        _ if variable("CARGO_CFG_TARGET_FAMILY") == "wasm" => {
            println!("cargo::rustc-link-arg-examples=--export=program");
        }
        _ => {}
    }
}
