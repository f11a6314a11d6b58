//! What files cost in tokens. No vendor publishes a formula, so these are guesses, rather too many than too few.

use super::count::{Family, count};
use base64::Engine;
use memchr::memmem;

/// Vendors read a page both as text and as a picture; Anthropic's guide to PDF files gives 1,500 to 3,000 tokens a page.
const PAGE: u64 = 3_000;
/// Where the marks of pages are packed away, a page is taken to be this large: text with a picture here and there.
const BYTES_A_PAGE: u64 = 50_000;
/// The most pages that OpenAI takes, and Anthropic of most models: what is larger has larger pages.
const MOST_PAGES: u64 = 100;
/// Taken for a file that lies behind an address or an id: a page, as of an image it is a usual size. What the vendor then
/// reports is charged.
pub(super) const UNKNOWN: u64 = PAGE;

/// The tokens of a file in a `data:` address or in bare base64.
pub(super) fn tokens(family: Family, data: &str) -> u64 {
    let encoded = match data.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").map_or(rest, |(_, encoded)| encoded),
        None => data,
    };
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) else { return count(family, encoded) };
    let size = bytes.len() as u64;
    if is_pdf(&bytes) {
        let guessed = size.div_ceil(BYTES_A_PAGE).clamp(1, MOST_PAGES);
        return PAGE * Some(marked_pages(&bytes)).filter(|pages| *pages > 0).unwrap_or(guessed);
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => count(family, text),
        // Documents of an office: a text packed in a format of its own, counted as if it were neither.
        Err(_) => size / 4,
    }
}

/// ISO 32000, 7.5.2 and its note: the mark stands at the begin, or within the first kilobyte.
fn is_pdf(bytes: &[u8]) -> bool {
    memmem::find(&bytes[..bytes.len().min(1_024)], b"%PDF-").is_some()
}

/// ISO 32000, 7.7.3.3: each page is an object of the type `Page`; newer files may pack objects together.
fn marked_pages(bytes: &[u8]) -> u64 {
    const TYPE: &[u8] = b"/Type";
    let marks = memmem::find_iter(bytes, TYPE).filter(|at| {
        let name = bytes[at + TYPE.len()..].trim_ascii_start();
        name.strip_prefix(b"/Page").is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
    });
    marks.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_pdf_costs_by_its_pages_or_else_by_its_size() {
        let marked = b"%PDF-1.4 <</Type /Pages /Count 2>> <</Type/Page/Parent 1 0 R>> <</Type /Page>>".to_vec();
        let packed = |size: usize| [b"%PDF-1.7 ".to_vec(), vec![0xff; size]].concat();
        for (pdf, pages) in [(marked, 2), (packed(10), 1), (packed(120_000), 3), (packed(20_000_000), MOST_PAGES)] {
            let encoded = STANDARD.encode(pdf);
            assert_eq!(tokens(Family::O200k, &encoded), pages * PAGE);
            assert_eq!(tokens(Family::O200k, &format!("data:application/pdf;base64,{encoded}")), pages * PAGE);
        }
    }

    #[test]
    fn a_file_of_text_costs_what_the_text_does() {
        let text = "Where is berth nine? ".repeat(100);

        assert_eq!(tokens(Family::O200k, &STANDARD.encode(&text)), count(Family::O200k, &text));
        assert_eq!(tokens(Family::O200k, &STANDARD.encode([0xff; 400])), 100);
        assert_eq!(tokens(Family::O200k, "this is no base64"), count(Family::O200k, "this is no base64"));
    }
}
