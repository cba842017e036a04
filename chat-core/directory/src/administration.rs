//! Keeping the directory: organisations and people made, changed and imported by those whose they are to keep.

use std::collections::HashMap;

use kernel::{
    Context, Error,
    accounts::Caller,
    control::Record,
    directory::{NewPerson, PersonEntry, Roles, check_login, check_name, rows},
};
use proto::v1::{
    CreateOrganisationRequest, CreatePersonRequest, ImportReport, ImportRequest, Organisation, Person, Refusal, RefusalCode, Role,
    UpdatePersonRequest,
};

use crate::{
    import::{complaint, parse_organisations, parse_people},
    person::to_proto,
    rules::{invalid, is_administrator, may_administer, may_grant},
};

fn login_taken(login: &str) -> Refusal {
    Refusal::of(RefusalCode::Conflict).field("login").words(format!("账号 {login} 已被使用。"), format!("The login {login} is taken."))
}

async fn show_person(context: &Context, id: u32) -> Result<Person, Error> {
    let entry = context.directory.snapshot().person(id).cloned().ok_or(RefusalCode::NotFound)?;
    let login = rows::find_login(&context.store, id).await?.unwrap_or_default();
    Ok(to_proto(&entry, login))
}

/// Makes an organisation below one that the caller keeps; at the top: for operators.
///
/// # Errors
/// FORBIDDEN, INVALID, CONFLICT (the code stands already); a fault.
pub async fn create_organisation(context: &Context, caller: &Caller, asked: CreateOrganisationRequest) -> Result<Organisation, Error> {
    let directory = context.directory.snapshot();
    let code = asked.code.trim().to_owned();
    if code.is_empty() || code.len() > 64 {
        return Err(invalid("code").into());
    }
    let name = check_name(&asked.name)?;
    let level = if asked.parent == 0 {
        if !caller.person.roles.has(Role::Operator) {
            return Err(RefusalCode::Forbidden.into());
        }
        1
    } else {
        may_administer(&directory, &caller.person, asked.parent)?;
        directory.organisation(asked.parent).ok_or_else(|| invalid("parent"))?.level + 1
    };
    let mut tx = context.store.begin().await?;
    rows::lock_directory(&mut tx).await?;
    // As they are under the lock: this process may not have heard of the newest yet.
    if rows::list_organisations_within(&mut tx).await?.iter().any(|one| one.code == code) {
        return Err(Refusal::of(RefusalCode::Conflict).field("code").into());
    }
    let (id, _) = rows::find_next_ids(&mut tx).await?;
    let organisation = Organisation { id, code, name, parent: asked.parent, level };
    rows::insert_organisations(&mut tx, std::slice::from_ref(&organisation)).await?;
    context.commit_directory(tx, caller.person.id, vec![Record::organisations_changed(vec![id])]).await?;
    Ok(organisation)
}

/// Adds a person.
///
/// # Errors
/// FORBIDDEN, INVALID, CONFLICT (the login is taken); a fault.
pub async fn create_person(context: &Context, caller: &Caller, asked: CreatePersonRequest) -> Result<Person, Error> {
    let directory = context.directory.snapshot();
    let roles = Roles::from_roles(asked.roles());
    directory.organisation(asked.organisation).ok_or_else(|| invalid("organisation"))?;
    may_grant(&directory, &caller.person, asked.organisation, roles)?;
    let (login, name) = (check_login(&asked.login)?, check_name(&asked.name)?);
    let mut tx = context.store.begin().await?;
    rows::lock_directory(&mut tx).await?;
    if rows::has_login(&mut tx, &login).await? {
        return Err(login_taken(&login).into());
    }
    let (_, id) = rows::find_next_ids(&mut tx).await?;
    let person = NewPerson { id, login, name, organisation: asked.organisation, roles, password: None, demo: false };
    let now_ms = tx.now_ms().await?;
    rows::insert_people(&mut tx, &[person], now_ms).await?;
    context.commit_directory(tx, caller.person.id, Record::people_changed(&[id], "created")).await?;
    show_person(context, id).await
}

/// Changes a person. Who is disabled is signed out everywhere.
///
/// # Errors
/// FORBIDDEN, INVALID, NOT_FOUND; a fault.
pub async fn update_person(context: &Context, caller: &Caller, asked: UpdatePersonRequest) -> Result<Person, Error> {
    let directory = context.directory.snapshot();
    let before = directory.person(asked.id).ok_or(RefusalCode::NotFound)?;
    directory.organisation(asked.organisation).ok_or_else(|| invalid("organisation"))?;
    let roles = Roles::from_roles(asked.roles());
    // What they are now, and what they are to be: both must be the caller's to give.
    may_grant(&directory, &caller.person, before.organisation, before.roles)?;
    may_grant(&directory, &caller.person, asked.organisation, roles)?;
    if asked.disabled && asked.id == caller.person.id {
        return Err(invalid("disabled").words("不能停用自己的账号。", "You cannot disable your own account.").into());
    }
    let after = PersonEntry {
        id: asked.id,
        name: check_name(&asked.name)?.into(),
        organisation: asked.organisation,
        roles,
        disabled: asked.disabled,
        card: before.card,
    };
    let mut tx = context.store.begin().await?;
    rows::lock_directory(&mut tx).await?;
    let now_ms = tx.now_ms().await?;
    rows::update_person(&mut tx, &after, now_ms).await?;
    let mut records = if after.disabled { context.accounts.end_sessions_of(&mut tx, asked.id, None).await? } else { Vec::new() };
    records.extend(Record::people_changed(&[asked.id], if after.disabled { "disabled" } else { "updated" }));
    context.commit_directory(tx, caller.person.id, records).await?;
    show_person(context, asked.id).await
}

/// Adds and renames organisations from a file: all or nothing.
///
/// # Errors
/// FORBIDDEN; a fault. What is wrong with the file is in the report.
pub async fn import_organisations(context: &Context, caller: &Caller, asked: ImportRequest) -> Result<ImportReport, Error> {
    if !caller.person.roles.has(Role::Operator) {
        return Err(RefusalCode::Forbidden.into());
    }
    let lines = match parse_organisations(&asked.csv) {
        Ok(lines) => lines,
        Err(errors) => return Ok(ImportReport { errors, ..ImportReport::default() }),
    };
    let mut tx = context.store.begin().await?;
    rows::lock_directory(&mut tx).await?;
    let (mut next, _) = rows::find_next_ids(&mut tx).await?;
    let standing = rows::list_organisations_within(&mut tx).await?;
    let mut by_code: HashMap<String, Organisation> = standing.into_iter().map(|one| (one.code.clone(), one)).collect();
    let mut report = ImportReport::default();
    let (mut added, mut renamed) = (Vec::new(), Vec::new());
    let mut lines = lines;
    lines.sort_by_key(|line| line.level);
    for line in lines {
        if let Some(known) = by_code.get(&line.code) {
            if known.name == line.name {
                report.unchanged += 1;
            } else {
                report.changed += 1;
                renamed.push((known.id, line.name));
            }
            continue;
        }
        let parent = by_code.get(&line.parent_code).map(|parent| (parent.id, parent.level));
        let (parent, level) = match parent {
            Some((id, level)) if level + 1 == line.level => (id, line.level),
            None if line.parent_code.is_empty() && line.level == 1 => (0, 1),
            _ => {
                report.errors.push(complaint(
                    line.line,
                    format!("上级单位“{}”不存在，或不是上一层级。", line.parent_code),
                    format!("The organisation above, \"{}\", does not exist or is not one level up.", line.parent_code),
                ));
                continue;
            }
        };
        let organisation = Organisation { id: next, code: line.code.clone(), name: line.name, parent, level };
        next += 1;
        by_code.insert(line.code, organisation.clone());
        added.push(organisation);
    }
    report.added = added.len() as u32;
    if !report.errors.is_empty() || asked.dry_run {
        return Ok(report);
    }
    rows::insert_organisations(&mut tx, &added).await?;
    let now_ms = tx.now_ms().await?;
    let mut shown_anew = Vec::new();
    for (id, name) in &renamed {
        shown_anew.extend(rows::rename_organisation(&mut tx, *id, name, now_ms).await?);
    }
    let organisations = added.iter().map(|one| one.id).chain(renamed.iter().map(|one| one.0)).collect();
    let mut records = vec![Record::organisations_changed(organisations)];
    records.extend(Record::people_changed(&shown_anew, "renamed"));
    context.commit_directory(tx, caller.person.id, records).await?;
    Ok(report)
}

/// Adds and changes people from a file: all or nothing.
///
/// # Errors
/// FORBIDDEN; a fault. What is wrong with the file is in the report.
pub async fn import_people(context: &Context, caller: &Caller, asked: ImportRequest) -> Result<ImportReport, Error> {
    // Before a line of it is read: whoever keeps no directory takes no time of those who do.
    if !is_administrator(&caller.person) {
        return Err(RefusalCode::Forbidden.into());
    }
    let directory = context.directory.snapshot();
    let lines = match parse_people(&asked.csv) {
        Ok(lines) => lines,
        Err(errors) => return Ok(ImportReport { errors, ..ImportReport::default() }),
    };
    let mut tx = context.store.begin().await?;
    rows::lock_directory(&mut tx).await?;
    let (_, mut next) = rows::find_next_ids(&mut tx).await?;
    // As they are under the lock: who was disabled while this was read stays disabled.
    let standing = rows::list_people_within(&mut tx).await?;
    let mut report = ImportReport::default();
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    let by_code: HashMap<String, u32> = directory.organisations().into_iter().map(|one| (one.code, one.id)).collect();
    for line in lines {
        let Some(organisation) = by_code.get(&line.organisation_code).copied() else {
            let code = &line.organisation_code;
            report.errors.push(complaint(line.line, format!("单位代码 {code} 不存在。"), format!("There is no organisation {code}.")));
            continue;
        };
        let before = standing.get(&line.login);
        let may = may_grant(&directory, &caller.person, organisation, line.roles)
            .and_then(|()| before.map_or(Ok(()), |before| may_grant(&directory, &caller.person, before.organisation, before.roles)));
        if let Err(refusal) = may {
            report.errors.push(complaint(line.line, refusal.message_zh, refusal.message_en));
            continue;
        }
        match before {
            Some(before) => {
                let after = PersonEntry { name: line.name.into(), organisation, roles: line.roles, ..before.clone() };
                if after == *before {
                    report.unchanged += 1;
                } else {
                    changed.push(after);
                }
            }
            None => {
                added.push(NewPerson {
                    id: next,
                    login: line.login,
                    name: line.name,
                    organisation,
                    roles: line.roles,
                    password: None,
                    demo: false,
                });
                next += 1;
            }
        }
    }
    (report.added, report.changed) = (added.len() as u32, changed.len() as u32);
    if !report.errors.is_empty() || asked.dry_run {
        return Ok(report);
    }
    let now_ms = tx.now_ms().await?;
    rows::insert_people(&mut tx, &added, now_ms).await?;
    rows::update_people(&mut tx, &changed, now_ms).await?;
    let ids: Vec<u32> = added.iter().map(|one| one.id).chain(changed.iter().map(|one| one.id)).collect();
    context.commit_directory(tx, caller.person.id, Record::people_changed(&ids, "imported")).await?;
    Ok(report)
}
