//! docker-compose.yml cannot be run where there is no container engine: so it is held to what `make up-local` runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use testkit::topology::{Addresses, FRONT_TEMPLATE, plan};

const COMPOSE: &str = include_str!("../../docker-compose.yml");
const BESIDES: [&str; 3] = ["postgres", "redis", "front"];

/// The lines of each service, without what stands around them.
fn services() -> BTreeMap<&'static str, Vec<&'static str>> {
    let inside = COMPOSE.split("\nservices:\n").nth(1).unwrap().split("\nnetworks:\n").next().unwrap();
    let mut services: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut name = "";
    for line in inside.lines().filter(|line| !line.trim().is_empty()) {
        match line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).and_then(|rest| rest.strip_suffix(':')) {
            Some(found) => name = found,
            None => services.entry(name).or_default().push(line),
        }
    }
    services
}

fn environment(lines: &[&'static str]) -> Vec<(String, String)> {
    let own = lines.iter().skip_while(|line| line.trim() != "environment:").skip(1).take_while(|line| line.starts_with("      "));
    own.map(|line| line.trim().split_once(": ").unwrap()).map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()
}

#[test]
fn compose_runs_the_roles_and_settings_of_up_local() {
    let mut services = services();
    for role in plan(&Addresses::in_compose()) {
        let name = role.endpoint.name.as_str();
        let lines = services.remove(name).unwrap_or_else(|| panic!("docker-compose.yml has no {name}"));
        assert_eq!(environment(&lines), role.settings, "the settings of {name}");
        let command = format!("    command: {:?}", role.arguments);
        assert!(lines.contains(&command.as_str()), "{name} should have {command}");
        assert!(lines.iter().any(|line| line.contains("/readyz")), "{name} has no health check");
    }
    for name in BESIDES {
        let lines = services.remove(name).unwrap_or_else(|| panic!("docker-compose.yml has no {name}"));
        assert!(lines.contains(&"    healthcheck:"), "{name} has no health check");
    }
    assert!(services.is_empty(), "up-local does not have {services:?}");
}

#[test]
fn the_front_proxy_is_told_all_that_its_template_asks_for() {
    let front = &services()["front"];
    let told = environment(front);
    for asked in FRONT_TEMPLATE.split("${").skip(1).map(|rest| rest.split('}').next().unwrap()) {
        assert!(told.iter().any(|(key, _)| key == asked), "docker-compose.yml does not set {asked}");
    }
    let addresses = Addresses::in_compose();
    for (key, port) in [("FRONT_LISTEN", addresses.front.http), ("FRONT_GRPC_LISTEN", addresses.front.grpc)] {
        assert!(told.contains(&(key.to_owned(), port.to_string())), "{key} is not {port}");
        assert!(front.iter().any(|line| line.contains(&format!("127.0.0.1:{port}:{port}"))), "{port} is not published");
    }
    let servers = &told.iter().find(|(key, _)| key == "FRONT_GATEWAYS").unwrap().1;
    assert!(addresses.gateways.iter().all(|gateway| servers.contains(&format!("server {} ", gateway.address))));
}

#[test]
fn every_setting_that_the_topology_sets_exists() {
    let document = include_str!("../../docs/settings.md");
    for (name, _) in plan(&Addresses::in_compose()).into_iter().flat_map(|role| role.settings) {
        let key = name.trim_start_matches("YITANG_").to_lowercase().replace("__", ".");
        let (section, key) = key.rsplit_once('.').unwrap_or(("", &key));
        let heading = if section.is_empty() { "## Of every role".to_owned() } else { format!("## `[{section}]`") };
        let part = document.split(&heading).nth(1).unwrap_or_else(|| panic!("no section {section}"));
        assert!(part.split("\n## ").next().unwrap().contains(&format!("| `{key}` |")), "{name} is no setting");
    }
}
