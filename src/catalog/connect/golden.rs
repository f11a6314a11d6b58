//! Golden files: what each client is told for documents of every sort, and that its texts are what they claim to be.

use super::{ConnectOption, Form, Step, forms, options};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/connect").join(name)
}

fn read(name: &str) -> Vec<ConnectOption> {
    options(&serde_json::from_str(&std::fs::read_to_string(fixture(name)).unwrap()).unwrap())
}

fn shown(options: &[ConnectOption]) -> String {
    let mut text = String::new();
    for option in options {
        text += &format!("# {} [{}]\n", option.label, option.key);
        for need in option.needs.iter().chain(&option.optional) {
            text += &format!("#   {}\n", serde_json::to_string(need).unwrap());
        }
        for form in forms(option) {
            text += &format!("\n## {}\n", form.title);
            for step in form.steps {
                text += &format!("--- {} ({})\n{}\n", step.label, step.language, step.text.trim_end());
            }
        }
        text.push('\n');
    }
    text
}

/// Set `BLESS` to write the files anew; then read the difference.
fn compare(name: &str) {
    let text = shown(&read(&format!("{name}.json")));
    let golden = fixture(&format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    let at = text.lines().zip(expected.lines()).position(|(ours, theirs)| ours != theirs);
    assert!(text == expected, "{name}: first difference in line {:?}", at.map(|at| at + 1));
}

#[test]
fn remotes_are_told_as_each_client_wants_them() {
    compare("remotes");
}

#[test]
fn packages_are_told_as_each_client_wants_them() {
    compare("packages");
}

#[test]
fn hostile_documents_are_told_as_data() {
    compare("hostile");
}

fn all_steps() -> Vec<(ConnectOption, Form, Step)> {
    let every = ["remotes.json", "packages.json", "hostile.json"].into_iter().flat_map(read);
    every
        .flat_map(|option| {
            let forms = forms(&option);
            forms.into_iter().flat_map(move |form| {
                let (option, steps) = (option.clone(), form.steps.clone());
                steps.into_iter().map(move |step| (option.clone(), form.clone(), step))
            })
        })
        .collect()
}

#[test]
fn every_json_and_toml_parses_and_holds_the_server_under_its_name() {
    for (option, form, step) in all_steps() {
        let file: Value = match step.language {
            "json" => serde_json::from_str(&step.text).unwrap(),
            "toml" => serde_json::to_value(toml::from_str::<toml::Table>(&step.text).unwrap()).unwrap(),
            _ => continue,
        };
        let servers = ["servers", "mcpServers", "mcp_servers"].iter().find_map(|word| file.get(word)).unwrap();
        assert_eq!(servers.as_object().unwrap().keys().collect::<Vec<_>>(), [&option.key], "{}", form.title);
    }
}

#[test]
fn links_carry_the_same_configuration_as_the_files() {
    for (option, form, step) in all_steps().into_iter().filter(|(_, _, step)| step.language == "link") {
        let href = step.href.unwrap();
        assert!(href.is_ascii() && !href.contains(['"', '\'', '<', '>', ' ']), "{href}");
        let file = form.steps.iter().find(|step| step.language == "json");
        let file: Value = file.map(|step| serde_json::from_str(&step.text).unwrap()).unwrap_or_default();
        if let Some((_, query)) = href.split_once(":mcp/install?") {
            let once = percent_decode_str(query).decode_utf8().unwrap();
            let twice = percent_decode_str(&once).decode_utf8().unwrap();
            let mut config: Value = serde_json::from_str(&twice).unwrap();
            let (name, inputs) = (config["name"].take(), config["inputs"].take());
            let config: serde_json::Map<_, _> =
                config.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
            assert_eq!((name, inputs), (option.key.as_str().into(), file["inputs"].clone()));
            assert_eq!(Value::Object(config), file["servers"][&option.key]);
        } else if href.starts_with("cursor:") {
            let config = href.split_once("&config=").unwrap().1;
            let config = percent_decode_str(config).decode_utf8().unwrap();
            let config = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, config.as_ref()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&config).unwrap(), file["mcpServers"][&option.key]);
        }
    }
}

#[test]
fn no_command_does_more_than_it_says() {
    let folder = tempfile::tempdir().unwrap();
    for (_, form, step) in all_steps().into_iter().filter(|(_, _, step)| step.language == "sh") {
        // Every program is replaced by one that prints its words; whatever else ran would leave a file.
        let script = "for p in code claude codex gemini npx uvx docker dnx cargo bunx env curl example-files sha256sum; do eval \"$p() { printf '%s\\\\n' \\\"\\$@\\\"; }\"; done\n";
        let output = std::process::Command::new("bash")
            .args(["-euc", &format!("{script}{}", step.text)])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}\n{}", form.title, step.text, String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{}: {}", form.title, step.text);
    }
}
