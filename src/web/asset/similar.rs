//! What is like an asset, as lines of its overview.

use crate::catalog::Kind;
use crate::search::{Hit, Why};
use crate::web::{asset_path, words};

/// Most words in common that are named.
const WORDS: usize = 3;

/// An asset that is like the one shown.
pub struct Like {
    pub href: String,
    pub kind: Kind,
    pub title: String,
    pub why: Reason,
}

/// Why it is like it, in few words.
pub enum Reason {
    /// `Tool` and its name: what of it is nearest.
    Part(String, String),
    /// Words that both have.
    Words(String),
    /// Nothing more is known than what it is.
    Kind,
}

impl Like {
    #[must_use]
    pub fn of(hit: Hit) -> Self {
        let Hit { card, why, matched, .. } = hit;
        let nearest = matched.into_iter().next().map(|part| {
            let word = words::capital(card.kind.operations_title().trim_end_matches('s'));
            Reason::Part(word, super::cut(&part.name, 60))
        });
        let in_common = || {
            let mut common: Vec<String> = Vec::new();
            for word in why.iter().flat_map(Why::words).map(str::to_lowercase) {
                if common.len() < WORDS && !common.contains(&word) {
                    common.push(word);
                }
            }
            (!common.is_empty()).then(|| Reason::Words(common.join(", ")))
        };
        Self {
            href: asset_path(&card.workspace, &card.name),
            kind: card.kind,
            why: nearest.or_else(in_common).unwrap_or(Reason::Kind),
            title: super::cut(&card.title, 100),
        }
    }
}
