//! The directory, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use clock::Clock;
use common::{Core, Database, SOON, by};
use kernel::{
    execute, fetch_one,
    store::{Store, StoreOptions},
};
use proto::v1::{
    CreatePersonRequest, GetMeRequest, ImportRequest, ListOrganisationsRequest, Refusal, RefusalCode, Role, SearchPeopleRequest,
};

async fn operator(core: &mut Core) -> u32 {
    core.core.as_ref().unwrap().first_operator_link().await.unwrap().unwrap();
    testkit::eventually(SOON, "the operator is in the directory", || {
        let mut directory = core.directory.clone();
        async move { directory.get_me(by(1, GetMeRequest {})).await.ok() }
    })
    .await;
    1
}

const TREE: &str = "code,name,level,parent_code\nP,某省,province,\nC1,甲市,city,P\nC2,乙市,city,P\nD1,甲市一区,county,C1\n";

#[tokio::test(flavor = "multi_thread")]
async fn imports_are_all_or_nothing_and_say_what_is_wrong() {
    for database in Database::both() {
        let mut core = Core::start(&database.url()).await;
        let operator = operator(&mut core).await;
        let import = |csv: &str, dry_run| ImportRequest { csv: csv.to_owned(), dry_run };
        let dry = core.directory.import_organisations(by(operator, import(TREE, true))).await.unwrap().into_inner();
        assert_eq!((dry.added, dry.errors.len()), (4, 0));
        let count = |core: &Core| {
            let mut directory = core.directory.clone();
            async move {
                directory.list_organisations(by(operator, ListOrganisationsRequest {})).await.unwrap().into_inner().organisations.len()
            }
        };
        assert_eq!(count(&core).await, 1, "a dry run changes nothing");
        assert_eq!(core.directory.import_organisations(by(operator, import(TREE, false))).await.unwrap().into_inner().added, 4);
        let again =
            core.directory.import_organisations(by(operator, import(&TREE.replace("乙市", "乙城"), false))).await.unwrap().into_inner();
        assert_eq!((again.added, again.changed, again.unchanged), (0, 1, 3));
        assert_eq!(count(&core).await, 5);

        let people = "login,name,organisation_code,roles\na1,张三,D1,member\na2,李四,NOWHERE,member\na3,王五,C2,国王\n";
        let refused = core.directory.import_people(by(operator, import(people, false))).await.unwrap().into_inner();
        assert!(!refused.errors.is_empty());
        let people = "login,name,organisation_code,roles\na1,张三,D1,member\na2,李四,C1,administrator\na3,王五,C2,staff+member\n";
        assert_eq!(core.directory.import_people(by(operator, import(people, false))).await.unwrap().into_inner().added, 3);
        let people = "login,name,organisation_code,roles\na1,张三丰,D1,member\na2,李四,C1,administrator\n";
        let changed = core.directory.import_people(by(operator, import(people, false))).await.unwrap().into_inner();
        assert_eq!((changed.added, changed.changed, changed.unchanged), (0, 1, 1));
        let found = core
            .directory
            .search_people(by(operator, SearchPeopleRequest { text: "三丰".into(), ..Default::default() }))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(found.people.len(), 1);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_keeps_only_what_is_below_and_another_process_hears_of_it() {
    let database = Database::postgres();
    let mut core = Core::start(&database.url()).await;
    let mut other = Core::start(&database.url()).await;
    let operator = operator(&mut core).await;
    let import = |csv: &str| ImportRequest { csv: csv.to_owned(), dry_run: false };
    core.directory.import_organisations(by(operator, import(TREE))).await.unwrap();
    let people = "login,name,organisation_code,roles\nadmin1,李四,C1,administrator\nm1,张三,D1,member\n";
    core.directory.import_people(by(operator, import(people))).await.unwrap();
    let organisations =
        core.directory.list_organisations(by(operator, ListOrganisationsRequest {})).await.unwrap().into_inner().organisations;
    let id = |code: &str| organisations.iter().find(|one| one.code == code).unwrap().id;
    let found = core
        .directory
        .search_people(by(operator, SearchPeopleRequest { text: "李四".into(), ..Default::default() }))
        .await
        .unwrap()
        .into_inner();
    let administrator = found.people[0].id;
    let create = |login: &str, organisation, role: Role| CreatePersonRequest {
        login: login.into(),
        name: "新人".into(),
        organisation,
        roles: vec![role.into()],
    };
    let created = core.directory.create_person(by(administrator, create("n1", id("D1"), Role::Staff))).await.unwrap().into_inner();
    for (login, organisation, role) in [("n2", id("C2"), Role::Member), ("n3", id("P"), Role::Member), ("n4", id("D1"), Role::Operator)] {
        let refused = core.directory.create_person(by(administrator, create(login, organisation, role))).await.unwrap_err();
        assert_eq!(Refusal::from_status(&refused).code(), RefusalCode::Forbidden, "{login}");
    }
    let member = created.id;
    let refused = core.directory.create_person(by(member, create("n5", id("D1"), Role::Member))).await.unwrap_err();
    assert_eq!(Refusal::from_status(&refused).code(), RefusalCode::Forbidden);
    // The other process follows the control log.
    testkit::eventually(SOON, "the other chat-core knows the newcomer", || {
        let mut directory = other.directory.clone();
        async move { directory.get_me(by(member, GetMeRequest {})).await.ok() }
    })
    .await;
    let me = other.directory.get_me(by(member, GetMeRequest {})).await.unwrap().into_inner();
    assert_eq!(me.organisations.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["D1", "C1", "P"]);
    core.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_disabled_while_a_list_was_imported_stays_disabled() {
    let database = Database::postgres();
    let mut core = Core::start(&database.url()).await;
    let operator = operator(&mut core).await;
    let import = |csv: &str| ImportRequest { csv: csv.to_owned(), dry_run: false };
    core.directory.import_organisations(by(operator, import(TREE))).await.unwrap();
    core.directory.import_people(by(operator, import("login,name,organisation_code,roles\nm1,张三,D1,member\n"))).await.unwrap();
    let store = Store::open(&StoreOptions { url: database.url(), lock_timeout_ms: 30_000, ..StoreOptions::default() }, Clock::default())
        .await
        .unwrap();
    // Somebody else has the directory's lock, disables, and adds another person: neither has been told to this process.
    let mut other = store.begin().await.unwrap();
    let lock = "SELECT 1::bigint FROM (SELECT pg_advisory_xact_lock(7217001)) AS locked";
    let _: (i64,) = fetch_one!(other, (i64,), lock).unwrap();
    let renamed = import("login,name,organisation_code,roles\nm1,张三丰,D1,member\nm2,李四,D1,member\n");
    let mut directory = core.directory.clone();
    let importing = tokio::spawn(async move { directory.import_people(by(operator, renamed)).await });
    testkit::eventually(SOON, "the import waits for the lock", || async {
        let (waiting,): (i64,) =
            fetch_one!(store, (i64,), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    execute!(other, "UPDATE people SET disabled = 1 WHERE login = 'm1'").unwrap();
    let added = "INSERT INTO people (id, login, name, organisation, roles, created_ms) SELECT max(id) + 1, 'm2', '李四', min(organisation), 1, 0 FROM people";
    execute!(other, added).unwrap();
    other.commit().await.unwrap();
    let report = importing.await.unwrap().unwrap().into_inner();
    assert_eq!((report.added, report.changed, report.errors.len()), (0, 2, 0), "{report:?}");
    let now: (String, i64) = fetch_one!(store, (String, i64), "SELECT name, disabled FROM people WHERE login = 'm1'").unwrap();
    assert_eq!(now, ("张三丰".to_owned(), 1));
    core.stop().await;
}
