//! Organisations and people from a spreadsheet (.csv): read whole, told line by line what is wrong, or taken whole.

use std::collections::{HashMap, HashSet};

use kernel::directory::{Roles, check_login, check_name};
use proto::v1::{ImportError, Role};
use serde::Deserialize;

/// How roles are written in a file.
pub const ROLE_NAMES: [(&str, &str, Role); 4] = [
    ("member", "委员", Role::Member),
    ("staff", "工作人员", Role::Staff),
    ("administrator", "管理员", Role::Administrator),
    ("operator", "运维", Role::Operator),
];
/// How levels are written in a file.
const LEVEL_NAMES: [(&str, &str, u32); 3] = [("province", "省", 1), ("city", "市", 2), ("county", "县", 3)];
/// More lines than this are not one import.
const LINES: usize = 100_000;

/// One organisation of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganisationLine {
    /// Which line, from 1 (the header).
    pub line: u32,
    /// The body's own code.
    pub code: String,
    /// As shown.
    pub name: String,
    /// 1 at the top.
    pub level: u32,
    /// Empty: none above it.
    pub parent_code: String,
}

/// One person of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonLine {
    /// Which line, from 1 (the header).
    pub line: u32,
    /// Folded.
    pub login: String,
    /// As shown.
    pub name: String,
    /// Where they belong.
    pub organisation_code: String,
    /// What they are.
    pub roles: Roles,
}

#[derive(Deserialize)]
struct OrganisationRecord {
    code: String,
    name: String,
    level: String,
    parent_code: String,
}

#[derive(Deserialize)]
struct PersonRecord {
    login: String,
    name: String,
    organisation_code: String,
    roles: String,
}

/// One line's complaint.
#[must_use]
pub fn complaint(line: u32, zh: impl Into<String>, en: impl Into<String>) -> ImportError {
    ImportError { line, message_zh: zh.into(), message_en: en.into() }
}

/// Reads organisations: `code,name,level,parent_code`; levels are province, city, county (省、市、县) or a number.
///
/// # Errors
/// Every line that is wrong.
pub fn parse_organisations(csv: &str) -> Result<Vec<OrganisationLine>, Vec<ImportError>> {
    let mut seen = HashMap::new();
    parse(csv, |line, record: OrganisationRecord| {
        let code = record.code.trim().to_owned();
        if code.is_empty() || code.len() > 64 {
            return Err(complaint(line, "缺少单位代码，或代码过长。", "The code is missing or too long."));
        }
        let name = check_name(&record.name).map_err(|refusal| complaint(line, refusal.message_zh, refusal.message_en))?;
        let level = record.level.trim().to_lowercase();
        let named = LEVEL_NAMES.iter().find(|(en, zh, _)| *en == level || *zh == level).map(|(.., level)| *level);
        let level = named
            .or_else(|| level.parse().ok().filter(|level| (1..=9).contains(level)))
            .ok_or_else(|| complaint(line, format!("层级“{level}”无法识别。"), format!("The level \"{level}\" is not known.")))?;
        if let Some(first) = seen.insert(code.clone(), line) {
            return Err(complaint(
                line,
                format!("代码 {code} 与第 {first} 行重复。"),
                format!("Code {code} stands on line {first} already."),
            ));
        }
        Ok(OrganisationLine { line, code, name, level, parent_code: record.parent_code.trim().to_owned() })
    })
}

/// Reads people: `login,name,organisation_code,roles`; roles are joined by `+` (member, staff, administrator, operator;
/// 委员、工作人员、管理员、运维).
///
/// # Errors
/// Every line that is wrong.
pub fn parse_people(csv: &str) -> Result<Vec<PersonLine>, Vec<ImportError>> {
    let mut seen = HashSet::new();
    parse(csv, |line, record: PersonRecord| {
        let complain = |refusal: proto::v1::Refusal| complaint(line, refusal.message_zh, refusal.message_en);
        let login = check_login(&record.login).map_err(complain)?;
        let name = check_name(&record.name).map_err(complain)?;
        let mut roles = Vec::new();
        for word in record.roles.split('+').map(str::trim).filter(|word| !word.is_empty()) {
            let role = ROLE_NAMES.iter().find(|(en, zh, _)| en.eq_ignore_ascii_case(word) || *zh == word).map(|(.., role)| *role);
            roles.push(
                role.ok_or_else(|| complaint(line, format!("角色“{word}”无法识别。"), format!("The role \"{word}\" is not known.")))?,
            );
        }
        if !seen.insert(login.clone()) {
            return Err(complaint(line, format!("账号 {login} 重复。"), format!("The login {login} stands twice.")));
        }
        let organisation_code = record.organisation_code.trim().to_owned();
        Ok(PersonLine { line, login, name, organisation_code, roles: Roles::from_roles(roles) })
    })
}

fn parse<R: for<'de> Deserialize<'de>, T>(
    csv: &str,
    mut convert: impl FnMut(u32, R) -> Result<T, ImportError>,
) -> Result<Vec<T>, Vec<ImportError>> {
    // Spreadsheets put a mark before the first header.
    let text = csv.strip_prefix('\u{FEFF}').unwrap_or(csv);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut lines = Vec::new();
    let mut errors = Vec::new();
    for record in reader.deserialize::<R>() {
        let converted = match record {
            Ok(record) => convert(lines.len() as u32 + errors.len() as u32 + 2, record),
            Err(error) => {
                let line = error.position().map_or(1, |position| position.line() as u32);
                Err(complaint(line, format!("无法读取这一行：{error}"), format!("This line cannot be read: {error}")))
            }
        };
        match converted {
            Ok(line) => lines.push(line),
            Err(error) => errors.push(error),
        }
        if lines.len() > LINES {
            errors.push(complaint(LINES as u32, "一次最多导入十万行。", "One import is at most 100,000 lines."));
            break;
        }
        if errors.len() >= 1_000 {
            break;
        }
    }
    if errors.is_empty() { Ok(lines) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_spreadsheets_write_them() {
        let organisations =
            parse_organisations("\u{FEFF}code,name,level,parent_code\r\n33,浙江省,province,\r\n3301,\"杭州市\",市,33\r\n").unwrap();
        assert_eq!(organisations.len(), 2);
        assert_eq!((organisations[1].level, organisations[1].parent_code.as_str()), (2, "33"));
        let people = parse_people("login,name,organisation_code,roles\nwang, 王芳 ,3301,委员+staff\nli,李雷,3301,\n").unwrap();
        assert_eq!(people[0].roles, Roles::from_roles([Role::Member, Role::Staff]));
        assert_eq!((people[0].name.as_str(), people[1].roles), ("王芳", Roles::default()));
    }

    #[test]
    fn every_wrong_line_is_told_with_its_number() {
        let errors = parse_people(
            "login,name,organisation_code,roles\nx,短,3301,member\nwang,王,3301,member\nwang,王,3301,member\nli,李,3301,国王\n",
        )
        .unwrap_err();
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 4, 5]);
        let missing = parse_people("login,name\nwang,王\n").unwrap_err();
        assert!(missing[0].message_en.contains("organisation_code"), "{missing:?}");
    }
}
