//! Counting the tokens of a text, exactly where the vocabulary of the model is published.

use super::published;
use std::sync::Mutex;
use wharfinger_tokenizer::Tokenizer;

/// How the texts of a model become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gateway) enum Family {
    /// GPT-4o and later, o-series, gpt-oss.
    O200k,
    /// GPT-4, GPT-3.5, embeddings of OpenAI.
    Cl100k,
    /// Another published vocabulary, by its name.
    Published(&'static str),
    /// Not published. Counted as [`Family::O200k`], then corrected by what the vendor reports.
    Unpublished,
}

impl Family {
    /// Of a model, by the beginning of its name; a path before it (`openai/gpt-5`) is left out.
    pub(in crate::gateway) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        match tiktoken::model_to_encoding(name) {
            Some("o200k_base" | "o200k_harmony") => Self::O200k,
            Some("cl100k_base") => Self::Cl100k,
            Some(encoding) => Self::Published(encoding),
            None => Self::Unpublished,
        }
    }

    /// Whether a count of plain text equals the vendor's.
    pub(in crate::gateway) fn is_exact(self) -> bool {
        !matches!(self, Self::Unpublished)
    }
}

/// The number of tokens of a text that stands by itself. The first of a family loads its vocabulary, which takes half a
/// second of work; who comes meanwhile waits.
pub(in crate::gateway) fn count(family: Family, text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    match family {
        Family::O200k | Family::Unpublished => Tokenizer::o200k_base().count(text),
        Family::Cl100k => Tokenizer::cl100k_base().count(text),
        Family::Published(encoding) => published::count(encoding, text),
    }
}

/// Loads the vocabulary of `model` in the background, so that the first request does not wait for it.
pub(in crate::gateway) fn warm(model: &str) {
    static LOADING: Mutex<Vec<Family>> = Mutex::new(Vec::new());
    let family = Family::of(model);
    let mut loading = LOADING.lock().expect("no holder of this lock can panic");
    if !loading.contains(&family) {
        loading.push(family);
        std::thread::spawn(move || count(family, "warm"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_lead_to_their_vocabulary() {
        for (model, family) in [
            ("gpt-4o-mini", Family::O200k),
            ("gpt-5-mini", Family::O200k),
            ("openai/o3", Family::O200k),
            ("gpt-oss-20b", Family::O200k),
            ("gpt-4-turbo", Family::Cl100k),
            ("gpt-35-turbo", Family::Cl100k),
            ("text-embedding-3-large", Family::Cl100k),
            ("llama3.2", Family::Published("llama3")),
            ("claude-sonnet-5", Family::Unpublished),
            ("anything", Family::Unpublished),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
