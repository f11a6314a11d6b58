//! A stand-in for a model: words hashed into the dimensions. Near texts are those with words in common.

use super::{DIMENSIONS, Unavailable, Vector, to_unit};

/// One vector a text; the same text always gives the same vector.
pub(super) fn embed(texts: &[String]) -> Result<Vec<Vector>, Unavailable> {
    Ok(texts.iter().map(|text| one(text)).collect())
}

fn one(text: &str) -> Vector {
    let mut vector = vec![0.0; DIMENSIONS];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        // FNV-1a: small, and the same everywhere.
        let hash = word
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        vector[(hash % DIMENSIONS as u64) as usize] += sign;
    }
    to_unit(vector)
}
