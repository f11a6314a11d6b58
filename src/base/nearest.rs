//! The known word nearest to a mistyped one, for messages that say "did you mean".

/// The word of `known` that takes the fewest single-letter changes to reach from `given`; none when all are far.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given: Vec<char> = given.chars().take(64).collect();
    let bound = (given.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|word| (distance(&given, &word.chars().collect::<Vec<_>>()), word))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_a_strange_word_finds_none() {
        let known = ["listen", "public_url", "data_dir"];

        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("publc_ur", known), Some("public_url"));
        assert_eq!(nearest("harbour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
