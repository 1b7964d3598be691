//! CSV files: any bytes either are a table of finite numbers with classes in range, which read the same when they are
//! written out and read again, or an error that names the file.

use crate::{Choices, Outcome};
use bantam_data::csv::{Column, Kind, Options, parse};
use bantam_data::{Dataset, InMemory, Target};

/// The first two bytes choose how to read; the others are the file.
pub fn check(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    let target = match choices.below(4) {
        0 | 1 => Column::Last,
        2 => Column::Index(choices.below(3)),
        _ => Column::Name("class".to_owned()),
    };
    let kind = if choices.below(2) == 0 { Kind::Classes } else { Kind::Values };
    let options = Options { target, kind, ..Options::default() };
    let table = match parse(choices.rest(), "some.csv", &options) {
        Ok(table) => table,
        Err(error) => {
            assert!(error.to_string().starts_with("some.csv"), "{error}");
            return Outcome::Rejected;
        }
    };
    assert!(!table.is_empty() && table.features().len() > 0);
    let rows = rows(&table);
    assert!(rows.iter().flat_map(|(features, _)| features).all(|number| number.is_finite()));

    // Written out plainly, with the target last and classes as their numbers, it is the same table.
    let mut text = String::new();
    for (features, target) in &rows {
        features.iter().for_each(|number| text += &format!("{number:e},"));
        text += &format!("{target:e}\n");
    }
    let options =
        Options { target: Column::Last, header: Some(false), kind: Kind::Values, ..Options::default() };
    let again = parse(text.as_bytes(), "again.csv", &options).expect("what was read can be written and read");
    assert_eq!(self::rows(&again), rows);
    Outcome::Accepted
}

/// Features and target of every sample.
fn rows(table: &InMemory) -> Vec<(Vec<f32>, f32)> {
    let mut rows = Vec::new();
    for index in 0..table.len() {
        let mut features = vec![f32::NAN; table.features().len()];
        table.write_features(index, &mut features).expect("a row of the table");
        let target = match table.target() {
            Target::Classes(classes) => {
                let label = table.label(index).expect("a label");
                assert!((label as usize) < classes);
                label as f32
            }
            Target::Values(_) => {
                let mut value = [f32::NAN];
                table.write_values(index, &mut value).expect("a value");
                value[0]
            }
        };
        rows.push((features, target));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded;

    #[test]
    fn mutated_tables() {
        let files: [&[u8]; 5] = [
            b"\x00\x005.1,3.5,setosa\n4.9,3.0,virginica\n",
            b"\0\0a,b,class\n1,2,0\n3,4,1\n5,6,0\n",
            b"\x03\0class,x\nyes,1e3\nno,-2.5E-1\n\"yes\",+3\n",
            b"\x02\x01\x011,2,3\r\n4,5,6\r\n",
            b"\0\x01x,y\n0.5,1.25\n",
        ];
        let (accepted, rejected) = seeded::mutations(&files.map(<[u8]>::to_vec), 20_000, check);
        assert!(accepted > 5_000 && rejected > 5_000, "{accepted} accepted, {rejected} rejected");
    }

    #[test]
    fn random_bytes() {
        let (accepted, rejected) = seeded::random(64, 5_000, check);
        assert_eq!(accepted + rejected, 5_000);
    }
}
