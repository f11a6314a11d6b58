//! The reference of settings as Markdown, made from the fields' own documentation.

use super::Config;
use std::fmt::Write;

impl Config {
    /// `docs/SETTINGS.md`: one table a concern.
    #[must_use]
    pub fn reference_as_markdown() -> String {
        let mut page = String::from(
            "# Settings\n\n\
             Made from `src/base/config`; a test keeps it current (`WHARFINGER_UPDATE_DOCS=1 cargo test --lib config` rewrites it).\n\n\
             Each setting is an environment variable, or the same name in lower case without `WHARFINGER_` in a TOML file given\n\
             with `--config`. The environment wins over the file. Times carry a unit (`250ms`, `5s`, `10m`, `1h`), sizes may\n\
             (`64KiB`, `8MiB`), lists are comma-separated (an array in the file). `wharfinger check-config` prints what is in\n\
             force, and everything that is wrong at once.\n",
        );
        for section in Self::reference() {
            write!(
                page,
                "\n## {}\n\n| environment | default | meaning |\n| --- | --- | --- |\n",
                joined(section.doc).trim_end_matches('.')
            )
            .expect("writing to a string cannot fail");
            for setting in section.settings {
                let default = if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
                let name = setting.name.to_ascii_uppercase();
                writeln!(page, "| `WHARFINGER_{name}` | {default} | {} |", joined(setting.doc))
                    .expect("writing to a string cannot fail");
            }
        }
        page
    }
}

fn joined(doc: &[&str]) -> String {
    let text = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_reference_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SETTINGS.md");
        let page = Config::reference_as_markdown();

        if std::env::var_os("WHARFINGER_UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, &page).unwrap();
        }

        assert_eq!(
            std::fs::read_to_string(path).unwrap_or_default(),
            page,
            "docs/SETTINGS.md is not current: WHARFINGER_UPDATE_DOCS=1 cargo test --lib config"
        );
    }

    #[test]
    fn every_setting_stands_once_in_the_reference() {
        let page = Config::reference_as_markdown();

        for name in super::super::NAMES {
            let row = format!("| `WHARFINGER_{}` |", name.to_ascii_uppercase());
            assert_eq!(page.matches(&row).count(), 1, "{name}");
        }
    }
}
