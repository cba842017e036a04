//! The demonstration: a whole province of plausible people, some groups, a consultation that is open and one that is
//! coming. Deterministic; refuses where other people already are.

mod names;

use consultations::Draft;
use kernel::{
    Error, Fault,
    control::{Control, Record},
    conversations::{NewConversation, create_conversation},
    directory::{
        NewPerson, Roles,
        rows::{insert_organisations, insert_people},
    },
    fetch_one,
    rights::whole_of,
};
use proto::v1::{Audience, ConversationCreated, ConversationKind, Organisation, OrganisationScope, Role, event::Kind};

use crate::ChatCore;

/// The organisations of a real consultative body (public data).
const ORGANISATIONS: &str = include_str!("../../demo/organisations.csv");
/// People of the demonstration.
pub const PEOPLE: usize = 27_000;
/// Time for the directory to have read the demonstration, which is opened with its people.
const DIRECTORY_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);
/// What they all sign in with, from this machine only.
pub const PASSWORD: &str = "yitang-demo";
/// Who may be invited to the meeting that is open now.
const MEETING: usize = 221;

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeded {
    /// How many people; 0: the demonstration stood already.
    pub people: usize,
    /// How many organisations.
    pub organisations: usize,
    /// The consultation that is open now.
    pub open: String,
}

/// Makes the demonstration. Where it stands already, nothing changes.
///
/// # Errors
/// When other people are there already; a fault.
pub async fn seed_demo(core: &ChatCore) -> Result<Seeded, Error> {
    let context = core.context();
    let hash = context.accounts.hash_password(PASSWORD).await?;
    let mut tx = context.store.begin().await?;
    let (people, demo): (i64, i64) = fetch_one!(tx, (i64, i64), "SELECT count(*), count(CASE WHEN demo <> 0 THEN 1 END) FROM people")?;
    if demo > 0 {
        return Ok(Seeded::default());
    }
    if people > 0 {
        return Err(Fault::Settings("there are other people here already; the demonstration is for an empty service".to_owned()).into());
    }
    let now_ms = context.clock.now_ms();
    let organisations = organisations()?;
    insert_organisations(&mut tx, &organisations).await?;
    let everybody = people_of(&organisations, &hash);
    insert_people(&mut tx, &everybody, now_ms).await?;

    let mut appended = Vec::new();
    let top = organisations.first().map_or(1, |organisation| organisation.id);
    let staff = everybody.iter().find(|person| person.organisation == top && person.roles.has(Role::Staff)).map_or(1, |person| person.id);
    let district = district(&organisations);
    let members: Vec<u32> = within(&organisations, &everybody, district, Role::Member).take(MEETING).collect();
    let moderators: Vec<u32> = within(&organisations, &everybody, district, Role::Staff).take(2).collect();
    let open = Draft {
        title: "请你来协商：让老旧小区改造更贴民心".to_owned(),
        description: OPEN_AGENDA.to_owned(),
        opens_ms: 0,
        closes_ms: 0,
        // The whole province may watch; those invited and the district's own speak.
        watch: whole_of(top),
        post: Audience {
            organisations: vec![OrganisationScope { organisation: top, with_below: true }],
            roles: vec![Role::Member as i32, Role::Staff as i32],
            people: members.clone(),
        },
        moderate: Audience { people: moderators, ..Audience::default() },
        slow_mode_s: 0,
    };
    let (open_id, made) = consultations::insert(&mut tx, staff, "demo-open", top, open).await?;
    appended.push(made);
    let coming = Draft {
        title: "请你来协商：推进城乡养老服务一体化".to_owned(),
        description: COMING_AGENDA.to_owned(),
        opens_ms: now_ms + 24 * 3_600_000,
        closes_ms: now_ms + 26 * 3_600_000,
        watch: whole_of(top),
        post: whole_of(top),
        moderate: Audience::default(),
        slow_mode_s: 10,
    };
    let (coming_id, made) = consultations::insert(&mut tx, staff, "demo-coming", top, coming).await?;
    appended.push(made);
    for (number, chunk) in members.chunks(12).take(5).enumerate() {
        let Some(owner) = chunk.first() else { continue };
        let title = format!("崇学书院读书群（{}）", number + 1);
        let client_id = format!("demo-group-{number}");
        let first = Kind::ConversationCreated(ConversationCreated { kind: ConversationKind::Group.into(), title: title.clone() });
        let new = NewConversation {
            id: uuid::Uuid::new_v4(),
            title: &title,
            created_by: *owner,
            client_id: Some(&client_id),
            direct: None,
            members: chunk,
            rules: conversations::group_rules(*owner),
            first,
        };
        appended.push(create_conversation(&mut tx, new).await?);
    }
    let mut records = vec![Record::organisations_changed(organisations.iter().map(|organisation| organisation.id).collect())];
    records.extend(Record::people_changed(&everybody.iter().map(|person| person.id).collect::<Vec<_>>(), "created"));
    records.extend([open_id, coming_id].map(|id| Record::rules_changed(id, Vec::new())));
    let position = Control::record(&mut tx, 0, records).await?;
    tx.commit().await?;
    context.control.committed();
    appended.into_iter().for_each(|made| context.log.announce(made));
    if let Some(position) = position {
        // A machine that is busy with other things reads 27,000 people in more than the two seconds of `wait_until`.
        context.directory.reach(position, DIRECTORY_WITHIN).await;
    }
    consultations::open(context, open_id, staff).await?;
    Ok(Seeded { people: everybody.len(), organisations: organisations.len(), open: open_id.to_string() })
}

fn organisations() -> Result<Vec<Organisation>, Fault> {
    let mut lines = directory::parse_organisations(ORGANISATIONS)
        .map_err(|errors| Fault::Corrupt(format!("the demonstration's organisations: {errors:?}")))?;
    lines.sort_by_key(|line| line.level);
    let mut ids = std::collections::HashMap::new();
    let mut organisations = Vec::with_capacity(lines.len());
    for (line, id) in lines.into_iter().zip(1..) {
        ids.insert(line.code.clone(), id);
        let parent = ids.get(&line.parent_code).copied().unwrap_or(0);
        organisations.push(Organisation { id, code: line.code, name: line.name, parent, level: line.level });
    }
    Ok(organisations)
}

/// The same people each time: the province and cities have more staff, every organisation an administrator.
fn people_of(organisations: &[Organisation], hash: &str) -> Vec<NewPerson> {
    let mut names = names::Names::new();
    let weight = |organisation: &Organisation| match organisation.level {
        1 => 8,
        2 => 4,
        _ => 2,
    };
    let total: usize = organisations.iter().map(weight).sum();
    let mut people = Vec::with_capacity(PEOPLE);
    for (place, organisation) in organisations.iter().enumerate() {
        let left = organisations.len() - place - 1;
        let share = if left == 0 { PEOPLE - people.len() } else { PEOPLE * weight(organisation) / total };
        for number in 0..share {
            let id = people.len() as u32 + 1;
            let roles = match number {
                0 => Roles::from_roles([Role::Staff, Role::Administrator]),
                number if number <= share / 12 => Roles::from_roles([Role::Staff]),
                _ => Roles::from_roles([Role::Member]),
            };
            people.push(NewPerson {
                id,
                login: String::new(),
                name: names.next(),
                organisation: organisation.id,
                roles,
                password: Some(hash.to_owned()),
                demo: true,
            });
        }
    }
    // member1 … and staff1 …: easily said aloud. The very first also runs the service.
    let (mut members, mut staff) = (0, 0);
    for person in &mut people {
        let (prefix, number) = if person.roles.has(Role::Staff) { ("staff", &mut staff) } else { ("member", &mut members) };
        *number += 1;
        person.login = format!("{prefix}{number}");
    }
    if let Some(first) = people.first_mut() {
        first.roles = Roles::from_roles([Role::Staff, Role::Administrator, Role::Operator]);
    }
    people
}

/// A city below the top, whose people meet.
fn district(organisations: &[Organisation]) -> u32 {
    organisations.iter().find(|organisation| organisation.level == 2).or(organisations.first()).map_or(1, |organisation| organisation.id)
}

fn within<'a>(organisations: &'a [Organisation], people: &'a [NewPerson], top: u32, role: Role) -> impl Iterator<Item = u32> + 'a {
    let below = move |id: u32| {
        let mut next = Some(id);
        while let Some(organisation) = next.and_then(|id| organisations.get(id as usize - 1)) {
            if organisation.id == top {
                return true;
            }
            next = (organisation.parent != 0).then_some(organisation.parent);
        }
        false
    };
    people.iter().filter(move |person| person.roles.has(role) && below(person.organisation)).map(|person| person.id)
}

const OPEN_AGENDA: &str = "议程\n一、情况介绍：全省老旧小区改造进展\n二、委员发言：加装电梯、停车难、适老化、物业长效管理\n三、部门回应\n四、小结\n\n欢迎各位委员围绕议题发言，言之有据，简明扼要。";
const COMING_AGENDA: &str = "议程\n一、调研报告\n二、委员协商：村居养老、医养结合、护理人才\n三、部门回应";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_demonstration_is_a_whole_province_and_always_the_same() {
        let organisations = organisations().unwrap();
        assert_eq!(organisations.len(), 102);
        assert_eq!(organisations.iter().filter(|one| one.level == 2).count(), 11);
        assert!(organisations.iter().all(|one| one.level == 1 || one.parent != 0));
        let people = people_of(&organisations, "hash");
        assert_eq!(people.len(), PEOPLE);
        assert_eq!(people.iter().map(|person| &person.login).collect::<HashSet<_>>().len(), PEOPLE);
        assert!(people.iter().map(|person| &person.name).collect::<HashSet<_>>().len() > PEOPLE / 2);
        assert_eq!(people, people_of(&organisations, "hash"));
        assert!(within(&organisations, &people, district(&organisations), Role::Member).count() > MEETING);
    }
}
