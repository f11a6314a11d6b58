//! Packages: the command that runs one, as the usual runner of its registry takes it.

use super::escape::{variable, visible};
use super::option::{ConnectOption, Launch, Way};
use super::remote;
use super::template::{Needs, Style, Template};
use crate::wire::server_json::{Argument, Package};

/// The package as a way to connect; none when no runner of its registry is known, or its name is not plain.
pub(super) fn option(key: &str, package: &Package) -> Option<ConnectOption> {
    let label = label(package);
    if package.registry_type == "mcpb" {
        let url = visible(&package.identifier);
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        let sha256 = package.file_sha256.clone().filter(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        return is_web.then(|| ConnectOption {
            label,
            key: key.to_owned(),
            way: Way::Bundle { url, sha256 },
            needs: Vec::new(),
            optional: Vec::new(),
        });
    }

    // A package that is connected to by address may name an address anywhere: see `remote.rs`.
    let is_served = matches!(package.transport.kind.as_str(), "streamable-http" | "sse");
    let prefix = if is_served { format!("{}_", variable(key)) } else { String::new() };
    let mut needs = Needs::new(&prefix);
    let launch = launch(package, &mut needs)?;
    let way = if is_served {
        let endpoint = remote::endpoint(&package.transport, &mut needs)?;
        Way::Served { launch, endpoint }
    } else {
        Way::Launched(launch)
    };
    Some(ConnectOption { label, key: key.to_owned(), way, needs: needs.list, optional: needs.optional })
}

fn label(package: &Package) -> String {
    let kind = match package.registry_type.as_str() {
        "npm" => "npm package",
        "pypi" => "Python package",
        "oci" => "container image",
        "nuget" => "NuGet package",
        "cargo" => "crate",
        "mcpb" => "MCP bundle",
        other => return format!("{} {}", visible(other), visible(&package.identifier)),
    };
    let name = visible(&package.identifier);
    let name =
        if package.registry_type == "mcpb" { name.rsplit('/').next().unwrap_or_default().to_owned() } else { name };
    match package.version.as_deref().filter(|version| !version.is_empty()) {
        Some(version) => format!("{kind} {name} {}", visible(version)),
        None => format!("{kind} {name}"),
    }
}

fn launch(package: &Package, needs: &mut Needs) -> Option<Launch> {
    let identifier = plain(&package.identifier)?;
    let version = package
        .version
        .as_deref()
        .filter(|version| !version.is_empty())
        .map(plain)
        .map_or(Some(None), |version| version.map(Some))?;
    let hint = package.runtime_hint.as_deref().filter(|hint| is_program(hint));
    let given = arguments(&package.runtime_arguments, needs);
    let environment = environment(package, needs);

    let mut install = None;
    let (command, mut line) = match package.registry_type.as_str() {
        "npm" => npm(&identifier, version.as_deref(), hint, given, package, needs),
        "pypi" => pypi(&identifier, version.as_deref(), hint, given, package, needs),
        "oci" => oci(&identifier, version.as_deref(), hint, given, &environment, package, needs),
        "nuget" => nuget(&identifier, version.as_deref(), given, package),
        "cargo" => {
            let mut words = vec!["cargo".to_owned(), "install".to_owned(), identifier.clone()];
            words.extend(version.iter().flat_map(|version| ["--version".to_owned(), version.clone()]));
            install = Some(words);
            (identifier.clone(), given)
        }
        _ => return None,
    };
    line.extend(arguments(&package.package_arguments, needs));
    Some(Launch { install, command, arguments: line, environment })
}

type Line = (String, Vec<Template>);

fn npm(
    identifier: &str,
    version: Option<&str>,
    hint: Option<&str>,
    given: Vec<Template>,
    package: &Package,
    needs: &Needs,
) -> Line {
    let wanted = joined(identifier, "@", version);
    let (command, before): (&str, &[&str]) = match hint {
        Some("bun" | "bunx") => ("bunx", &[]),
        Some("pnpm") => ("pnpm", &["dlx"]),
        Some("yarn") => ("yarn", &["dlx"]),
        Some("deno") => ("deno", &["run", "-A"]),
        _ => ("npx", &["-y"]),
    };
    let wanted = if command == "deno" { format!("npm:{wanted}") } else { wanted };
    let mut line: Vec<Template> =
        before.iter().filter(|word| !says(&given, needs, &[word, "--yes"])).map(|word| Template::text(word)).collect();
    if let Some(registry) = other_registry(package, &["registry.npmjs.org"]) {
        line.push(Template::text(&format!("--registry={registry}")));
    }
    (command.to_owned(), with_package(line, given, needs, identifier, &wanted))
}

fn pypi(
    identifier: &str,
    version: Option<&str>,
    hint: Option<&str>,
    given: Vec<Template>,
    package: &Package,
    needs: &Needs,
) -> Line {
    let mut line = Vec::new();
    let command = match hint {
        Some("pipx") => {
            line.push(Template::text("run"));
            "pipx"
        }
        _ => "uvx",
    };
    if let Some(index) = other_registry(package, &["pypi.org"]) {
        let option = if command == "uvx" { "--default-index" } else { "--index-url" };
        line.extend([Template::text(option), Template::text(&index)]);
    }
    (command.to_owned(), with_package(line, given, needs, identifier, &joined(identifier, "==", version)))
}

/// The package behind the arguments of the runner, unless those name it already, as careless documents do.
fn with_package(
    mut line: Vec<Template>,
    given: Vec<Template>,
    needs: &Needs,
    identifier: &str,
    wanted: &str,
) -> Vec<Template> {
    let is_named = given.iter().any(|word| {
        let word = word.render(&needs.list, Style::Written);
        word == wanted
            || word.strip_prefix(identifier).is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '=', ':']))
    });
    line.extend(given);
    if !is_named {
        line.push(Template::text(wanted));
    }
    line
}

fn oci(
    identifier: &str,
    version: Option<&str>,
    hint: Option<&str>,
    given: Vec<Template>,
    environment: &[(String, Template)],
    package: &Package,
    needs: &Needs,
) -> Line {
    let has_tag = identifier.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let mut image = if has_tag { identifier.to_owned() } else { joined(identifier, ":", version) };
    if let Some(host) = other_registry(package, &["docker.io"])
        .and_then(|url| Some(url.split("://").nth(1)?.trim_end_matches('/').to_owned()))
    {
        let names_host = image.split('/').next().is_some_and(|first| first.contains(['.', ':']) && image.contains('/'));
        if !names_host {
            image = format!("{host}/{image}");
        }
    }
    let command = if hint == Some("podman") { "podman" } else { "docker" };

    // The document may hold the whole `run ...` line, a part of it, or only what is special.
    let mut given = given;
    let starts_with_run = given.first().is_some_and(|word| word.render(&needs.list, Style::Written) == "run");
    if starts_with_run {
        given.remove(0);
    }
    let mut line = vec![Template::text("run")];
    for (flag, said) in [("-i", ["-i", "--interactive", "-it", "-ti"].as_slice()), ("--rm", &["--rm"])] {
        if !says(&given, needs, said) {
            line.push(Template::text(flag));
        }
    }
    for (name, _) in environment {
        let is_passed = given.iter().any(|word| {
            let word = word.render(&needs.list, Style::Written);
            word == *name || word.starts_with(&format!("{name}="))
        });
        if !is_passed {
            line.extend([Template::text("-e"), Template::text(name)]);
        }
    }
    (command.to_owned(), with_package(line, given, needs, identifier, &image))
}

fn nuget(identifier: &str, version: Option<&str>, given: Vec<Template>, package: &Package) -> Line {
    let mut line = vec![Template::text(&joined(identifier, "@", version)), Template::text("--yes")];
    if let Some(source) = other_registry(package, &["api.nuget.org", "www.nuget.org", "nuget.org"]) {
        line.extend([Template::text("--source"), Template::text(&source)]);
    }
    line.extend(given);
    if !package.package_arguments.is_empty() {
        line.push(Template::text("--"));
    }
    ("dnx".to_owned(), line)
}

fn says(given: &[Template], needs: &Needs, words: &[&str]) -> bool {
    given.iter().any(|word| words.contains(&word.render(&needs.list, Style::Written).as_str()))
}

fn joined(identifier: &str, between: &str, version: Option<&str>) -> String {
    version.map_or_else(|| identifier.to_owned(), |version| format!("{identifier}{between}{version}"))
}

/// The registry, where it is not the usual one.
fn other_registry(package: &Package, usual: &[&str]) -> Option<String> {
    let url = visible(package.registry_base_url.as_deref()?);
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?.split('/').next()?;
    (!host.is_empty() && !usual.contains(&host)).then(|| url.clone())
}

/// A name that cannot be read as an option or a path out of the registry.
fn plain(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"@/._:+~^*=<>!-".contains(&byte);
    let starts_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'@');
    (starts_well && text.bytes().all(fits) && !text.contains("..")).then(|| text.to_owned())
}

fn is_program(hint: &str) -> bool {
    hint.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) && !hint.starts_with('-')
}

fn environment(package: &Package, needs: &mut Needs) -> Vec<(String, Template)> {
    let mut variables = Vec::new();
    for input in &package.environment_variables {
        let name = visible(&input.name);
        if name.is_empty() || name.contains(['=', ' ', '$']) || name.starts_with('-') {
            continue;
        }
        if let Some(value) = needs.value(input, &name) {
            variables.push((name, value));
        }
    }
    variables
}

/// Options of runners that take no value, which documents rarely say.
const FLAGS: [&str; 14] = [
    "-i",
    "--interactive",
    "-t",
    "--tty",
    "-it",
    "--rm",
    "--init",
    "--privileged",
    "--read-only",
    "-y",
    "--yes",
    "-d",
    "--detach",
    "--no-install",
];

fn arguments(arguments: &[Argument], needs: &mut Needs) -> Vec<Template> {
    let mut line = Vec::new();
    for argument in arguments {
        let input = &argument.input;
        let name = visible(&input.name);
        if argument.kind != "named" || name.is_empty() {
            let hint =
                argument.value_hint.clone().unwrap_or_else(|| if name.is_empty() { "value".to_owned() } else { name });
            line.extend(needs.value(input, &hint));
            continue;
        }
        let value = input.value.as_deref().unwrap_or_default();
        let is_flag =
            FLAGS.contains(&name.as_str()) || input.format.as_deref() == Some("boolean") || takes_nothing(argument);
        if is_flag {
            let is_off = value == "false" || (value.is_empty() && input.default.as_deref() == Some("false"));
            let is_asked = input.format.as_deref() == Some("boolean")
                && value.is_empty()
                && !input.is_required
                && input.default.as_deref() != Some("true");
            if !is_off && (!is_asked || FLAGS.contains(&name.as_str())) {
                line.push(Template::text(&name));
            }
        } else if let Some(value) = needs.value(input, argument.value_hint.as_deref().unwrap_or(&name)) {
            line.extend([Template::text(&name), value]);
        }
    }
    line
}

/// A named argument of which nothing is told but its name.
fn takes_nothing(argument: &Argument) -> bool {
    let input = &argument.input;
    let says_more = input.value.is_some()
        || input.default.is_some()
        || input.placeholder.is_some()
        || input.format.is_some()
        || input.description.is_some()
        || !input.choices.is_empty()
        || input.is_secret
        || input.is_required
        || argument.value_hint.is_some();
    !says_more
}
