//! What a provider sends for vectors: a wrong one would spoil every search after it, silently.

/// Longer ones do not exist, and would not fit the table.
const LONGEST: usize = 16_000;

/// Vectors of length 1, one for each text; or what is wrong with them, without a name, as `sent …`.
pub(super) fn vectors(mut vectors: Vec<Vec<f32>>, texts: usize) -> Result<Vec<Vec<f32>>, String> {
    if vectors.len() != texts {
        return Err(format!("sent {} vectors for {texts} texts", vectors.len()));
    }
    let dims = vectors.first().map_or(0, Vec::len);
    for vector in &mut vectors {
        if vector.len() != dims {
            return Err(format!("sent vectors of {dims} and of {} numbers", vector.len()));
        }
        if vector.is_empty() || vector.len() > LONGEST {
            return Err(format!("sent a vector of {} numbers", vector.len()));
        }
        if vector.iter().any(|value| !value.is_finite()) {
            return Err("sent a vector with something in it that is no number".to_owned());
        }
        if !unit(vector) {
            return Err("sent a vector of nothing but zeros".to_owned());
        }
    }
    Ok(vectors)
}

/// Makes its length 1. False for a vector without a direction.
fn unit(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if length < 1e-12 {
        return false;
    }
    for value in vector {
        *value = (f64::from(*value) / length) as f32;
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_spoil_a_search_is_refused() {
        let cases: [(Vec<Vec<f32>>, usize); 7] = [
            (vec![vec![1.0]], 2),
            (vec![vec![1.0], vec![1.0, 0.0]], 2),
            (vec![vec![]], 1),
            (vec![vec![1.0; LONGEST + 1]], 1),
            (vec![vec![1.0, f32::NAN]], 1),
            (vec![vec![f32::INFINITY, 1.0]], 1),
            (vec![vec![0.0, 0.0]], 1),
        ];
        let told: Vec<String> = cases.into_iter().map(|(sent, texts)| vectors(sent, texts).unwrap_err()).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        sent 1 vectors for 2 texts
        sent vectors of 1 and of 2 numbers
        sent a vector of 0 numbers
        sent a vector of 16001 numbers
        sent a vector with something in it that is no number
        sent a vector with something in it that is no number
        sent a vector of nothing but zeros
        ");
        assert_eq!(vectors(vec![vec![3.0, 4.0]], 1).unwrap(), [[0.6, 0.8]]);
    }

    proptest! {
        #[test]
        fn whatever_passes_has_length_one(sent in prop::collection::vec(prop::num::f32::ANY, 1..40)) {
            if let Ok(checked) = vectors(vec![sent], 1) {
                let length: f64 = checked[0].iter().map(|value| f64::from(*value).powi(2)).sum();
                prop_assert!((length - 1.0).abs() < 1e-3, "{}", length);
            }
        }
    }
}
