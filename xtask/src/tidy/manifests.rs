//! Rules for the text of a `Cargo.toml`.

/// Every cargo feature has a comment above it that says what it switches on. `default` and `std` mean the same in every
/// crate (ARCHITECTURE.md says what), so they may go without.
pub(super) fn uncommented_features(name: &str, manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut in_features = false;
    let mut commented = false;
    for (number, line) in (1..).zip(manifest.lines().map(str::trim)) {
        if line.starts_with('[') {
            in_features = line == "[features]";
        } else if let Some((feature, _)) =
            line.split_once('=').filter(|_| in_features && !line.starts_with('#'))
        {
            let feature = feature.trim();
            if !commented && feature != "default" && feature != "std" {
                complaints.push(format!(
                    "{name}:{number}: no comment says what the feature `{feature}` switches on"
                ));
            }
        }
        commented = line.starts_with('#');
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_without_a_comment_is_found() {
        let manifest = "[package]\nname = \"x\"\n[features]\ndefault = []\n# Owned tensors.\nalloc = []\nstd = []\nextra = []\n";
        assert_eq!(
            uncommented_features("Cargo.toml", manifest),
            ["Cargo.toml:8: no comment says what the feature `extra` switches on"]
        );
    }
}
