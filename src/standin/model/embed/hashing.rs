//! Vectors without a model: words and pieces of words, each counted in a place its hash gives it. Texts with the same words point the
//! same way, so a search by them finds something; nothing is learnt and nothing downloaded.

/// Numbers in a vector where no other count is asked for.
pub(super) const DIMS: usize = 256;

const PIECE: usize = 3;
/// A word says more than each of its pieces.
const WORD_WEIGHT: f32 = 2.0;

/// The vector of a text: always the same for the same text, of length 1.
pub fn vector(text: &str, dims: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dims.max(1)];
    let text = text.to_lowercase();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        count(&mut vector, word.bytes(), WORD_WEIGHT);
        let letters: Vec<char> = std::iter::once('^').chain(word.chars()).chain(std::iter::once('$')).collect();
        for piece in letters.windows(PIECE) {
            count(&mut vector, piece.iter().flat_map(|letter| u32::from(*letter).to_le_bytes()), 1.0);
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length == 0.0 {
        vector[0] = 1.0;
        return vector;
    }
    vector.iter().map(|value| value / length).collect()
}

fn count(vector: &mut [f32], bytes: impl Iterator<Item = u8>, weight: f32) {
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // The low bits of this hash are its weak ones.
    let mixed = hash ^ (hash >> 32);
    let place = (mixed % vector.len() as u64) as usize;
    vector[place] += if hash >> 63 == 0 { weight } else { -weight };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_the_same_words_are_near_and_others_are_not() {
        let near = |left: &str, right: &str| -> f32 {
            vector(left, DIMS).iter().zip(vector(right, DIMS)).map(|(left, right)| left * right).sum()
        };
        let asked = "which database migrations tool was chosen?";
        assert!(near(asked, asked) > 0.999);
        assert!(near(asked, "We chose sqlx as the tool for database migrations.") > 0.4);
        assert!(near(asked, "Lunch is at noon on Fridays.") < 0.2);
        assert!((near("...", "!?") - 1.0).abs() < 1e-6);
    }
}
