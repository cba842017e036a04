//! The parts of a scenario's results, put together: one JSON, one page.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::Value;

/// Where a part's files are.
#[must_use]
pub fn file(folder: &Path, part: &str, extension: &str) -> PathBuf {
    folder.join("parts").join(format!("{part}.{extension}"))
}

/// The JSON of a part.
///
/// # Errors
/// When it is not there.
pub fn read(folder: &Path, part: &str) -> anyhow::Result<Value> {
    let path = file(folder, part, "json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

/// Writes SCENARIO.json: the first part's fields at the top, where there is one, and each named part as an object; and
/// SCENARIO.html with the pages of all.
///
/// # Errors
/// When a part is not there, or nothing can be written.
pub fn combine(folder: &Path, scenario: &str, first: Option<&str>, named: &[(&str, &str)]) -> anyhow::Result<Value> {
    let mut whole = match first {
        Some(part) => read(folder, part)?,
        None => serde_json::json!({ "scenario": scenario, "valid": true }),
    };
    let mut pages = Vec::new();
    for (name, part) in first.iter().map(|part| ("", *part)).chain(named.iter().copied()) {
        let figures = read(folder, part)?;
        if !name.is_empty() {
            if figures["valid"] == false {
                whole["valid"] = false.into();
            }
            whole[name] = figures;
        }
        let page = fs::read_to_string(file(folder, part, "html")).unwrap_or_default();
        pages.push(if name.is_empty() { page } else { page.replace("<h1>", &format!("<h1>{name} · ")) });
    }
    fs::write(folder.join(format!("{scenario}.json")), serde_json::to_string_pretty(&whole)?)?;
    fs::write(folder.join(format!("{scenario}.html")), join_pages(&pages))?;
    Ok(whole)
}

/// Several pages under one another: the head of the first, and the bodies of all.
fn join_pages(pages: &[String]) -> String {
    let mut whole = String::new();
    for (number, page) in pages.iter().enumerate() {
        let body = page.strip_suffix("</html>").unwrap_or(page);
        whole.push_str(if number == 0 { body } else { body.split_once("<h1>").map_or("", |(head, _)| &body[head.len()..]) });
    }
    whole.push_str("</html>");
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stand_under_one_another() {
        let page = |name: &str| format!("<!doctype html><html><style></style><h1>{name}</h1><p>x</p></html>");
        assert_eq!(join_pages(&[page("a"), page("b")]), "<!doctype html><html><style></style><h1>a</h1><p>x</p><h1>b</h1><p>x</p></html>");
    }

    #[test]
    fn an_invalid_part_makes_the_whole_invalid() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("parts")).expect("a folder");
        for (part, valid) in [("one", true), ("other", false)] {
            fs::write(file(folder.path(), part, "json"), format!(r#"{{"valid":{valid},"connections":3}}"#)).expect("written");
        }
        let whole = combine(folder.path(), "steady", Some("one"), &[("off", "other")]).expect("parts");
        assert_eq!((&whole["valid"], &whole["connections"], &whole["off"]["connections"]), (&false.into(), &3.into(), &3.into()));
    }
}
