//! What a document says, brought within the bounds of what is kept: a long title or a broken link in a document is no
//! reason to refuse all the rest.

use super::findings::counted;
use super::{Finding, Outline};

const TITLE_CHARACTERS: usize = 300;
const SUMMARY_CHARACTERS: usize = 1_000;
const DESCRIPTION_CHARACTERS: usize = 200_000;
const VERSION_CHARACTERS: usize = 255;
const TAG_CHARACTERS: usize = 100;
const LINK_BYTES: usize = 2_000;
const MOST_TAGS: usize = 100;
const MOST_LINKS: usize = 20;

/// Cuts what is too long and leaves out what cannot be used, with a finding for each.
pub(super) fn tidy(outline: &mut Outline) {
    let mut findings = Vec::new();
    let texts = [
        ("title", &mut outline.title, TITLE_CHARACTERS),
        ("summary", &mut outline.summary, SUMMARY_CHARACTERS),
        ("description", &mut outline.description, DESCRIPTION_CHARACTERS),
        ("version", &mut outline.version, VERSION_CHARACTERS),
    ];
    for (what, text, most) in texts {
        let Some(end) = text.as_ref().and_then(|text| text.char_indices().nth(most)).map(|(end, _)| end) else {
            continue;
        };
        text.as_mut().expect("it was measured").truncate(end);
        findings.push(Finding::warning("too-long", "", format!("the {what} is cut to {most} characters")));
    }
    version(outline, &mut findings);
    links(outline, &mut findings);

    let told = outline.tags.len();
    outline.tags.retain(|tag| !tag.trim().is_empty() && tag.chars().count() <= TAG_CHARACTERS);
    outline.tags.truncate(MOST_TAGS);
    if outline.tags.len() < told {
        let message = format!("{} left out: too many, too long or empty", counted(told - outline.tags.len(), "tag"));
        findings.push(Finding::warning("tags-left-out", "", message));
    }
    outline.findings.extend(findings);
}

/// A version is part of addresses, and `latest` has a meaning of its own there.
fn version(outline: &mut Outline, findings: &mut Vec<Finding>) {
    let Some(version) = &outline.version else { return };
    let usable: String = version.trim().chars().map(|c| if c == '/' || c.is_control() { '-' } else { c }).collect();
    let usable = Some(usable).filter(|text| !text.is_empty() && text != "latest");
    if usable.as_ref() != Some(version) {
        let instead = usable.as_ref().map_or_else(|| "left out".to_owned(), |text| format!("read as {text:?}"));
        findings.push(Finding::warning("unusable-version", "", format!("the version {version:?} is {instead}")));
        outline.version = usable;
    }
}

fn links(outline: &mut Outline, findings: &mut Vec<Finding>) {
    let mut left_out = |what: &str, link: &str| {
        let shown: String = link.chars().take(80).collect();
        findings.push(Finding::warning("unusable-link", "", format!("{what} {shown:?} is no web address: left out")));
    };
    for contact in &mut outline.contacts {
        if let Some(link) = contact.url.take_if(|link| !is_link(link)) {
            left_out("the contact's address", &link);
        }
    }
    if let Some(licence) = &mut outline.licence
        && let Some(link) = licence.url.take_if(|link| !is_link(link))
    {
        left_out("the licence's address", &link);
    }
    outline.external_docs.retain(|doc| {
        let keep = is_link(&doc.url);
        if !keep {
            left_out("the further documentation", &doc.url);
        }
        keep
    });
    outline.icons.retain(|icon| {
        let keep = is_link(&icon.src);
        if !keep {
            left_out("the icon", &icon.src);
        }
        keep
    });
    outline.contacts.retain(|contact| contact.name.is_some() || contact.email.is_some() || contact.url.is_some());
    outline.contacts.truncate(MOST_LINKS);
    outline.external_docs.truncate(MOST_LINKS);
    outline.icons.truncate(MOST_LINKS);
}

fn is_link(text: &str) -> bool {
    text.len() <= LINK_BYTES
        && !text.chars().any(char::is_control)
        && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "data" | "mailto"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Contact, ExternalDoc, Icon};

    #[test]
    fn what_cannot_be_kept_is_cut_or_left_out_and_told() {
        let mut outline = Outline {
            title: Some("ü".repeat(400)),
            version: Some("v1/beta".to_owned()),
            tags: vec!["boats".to_owned(), "t".repeat(101), " ".to_owned()],
            contacts: vec![Contact { url: Some("harbour office".to_owned()), ..Contact::default() }],
            external_docs: vec![ExternalDoc { url: "/docs".to_owned(), ..ExternalDoc::default() }],
            icons: vec![Icon { src: "https://a.example/i.png".to_owned(), ..Icon::default() }],
            ..Outline::default()
        };

        tidy(&mut outline);

        assert_eq!(outline.title.unwrap().chars().count(), 300);
        assert_eq!(outline.version.as_deref(), Some("v1-beta"));
        assert_eq!(outline.tags, ["boats"]);
        assert!(outline.contacts.is_empty() && outline.external_docs.is_empty());
        assert_eq!(outline.icons.len(), 1);
        let rules: Vec<_> = outline.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(rules, ["too-long", "unusable-version", "unusable-link", "unusable-link", "tags-left-out"]);
    }

    #[test]
    fn what_is_in_order_stays_as_it_is() {
        let mut outline =
            Outline { title: Some("Boats".to_owned()), version: Some("1.0 beta".to_owned()), ..Outline::default() };
        let before = outline.clone();

        tidy(&mut outline);

        assert_eq!(outline, before);
    }

    #[test]
    fn the_word_latest_is_no_version() {
        let mut outline = Outline { version: Some("latest".to_owned()), ..Outline::default() };

        tidy(&mut outline);

        assert_eq!((outline.version, outline.findings.len()), (None, 1));
    }
}
