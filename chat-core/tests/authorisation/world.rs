//! The service that is tried: a chat-core on SQLite with everybody in it, and one conversation in every state.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use backbone::MemoryBackbone;
use proto::{
    internal::v1::{SignInByLinkRequest, sign_in_response::Outcome},
    metadata,
    v1::{
        Audience, ConsultationState, CreateConsultationRequest, CreateDisplayLinkRequest, CreateGroupRequest, CreateSignInLinkRequest,
        GetPeopleRequest, Hide, ImportRequest, ListOrganisationsRequest, MutePersonRequest, OpenDirectRequest, OrganisationScope, Poll,
        PollClosed, Post, SetConsultationStateRequest, UpdatePersonRequest, account_service_client::AccountServiceClient,
        consultation_service_client::ConsultationServiceClient, conversation_service_client::ConversationServiceClient,
        directory_service_client::DirectoryServiceClient, display_service_client::DisplayServiceClient,
        moderation_service_client::ModerationServiceClient, poll_service_client::PollServiceClient, post::Content,
    },
};
use tonic::{Request, transport::Channel};
use uuid::Uuid;

use crate::{
    common::{Core, Database, by, comment, post, seq},
    people::{Caller, Cast, Extra, Home, Role, Tie, Who, organisations_csv, people_csv},
};

/// The control log, which is a conversation to nobody.
const CONTROL: Uuid = Uuid::from_u128(1);
/// The operator that a new service begins with.
const OPERATOR: u32 = 1;
/// Nobody's number.
const UNKNOWN: u32 = 999_999;
const HOUR_MS: i64 = 3_600_000;
/// Comments and polls that are used up by those who call, and one that stays.
const USED: usize = 150;

/// Where a command is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A consultation of `Own` in this state.
    Draft,
    Scheduled,
    Open,
    Paused,
    Closed,
    /// A group of everybody who is `Joined`.
    Group,
    /// The direct conversation of the two who are `Party`.
    Direct,
    /// The control log's id.
    Control,
    /// An id that nothing has.
    Missing,
    /// The command is about no conversation.
    Nowhere,
}

impl Place {
    pub const CONSULTATIONS: [Self; 5] = [Self::Draft, Self::Scheduled, Self::Open, Self::Paused, Self::Closed];
    /// Wherever there is an id to be named.
    pub const ALL: [Self; 9] =
        [Self::Draft, Self::Scheduled, Self::Open, Self::Paused, Self::Closed, Self::Group, Self::Direct, Self::Control, Self::Missing];

    pub fn is_consultation(self) -> bool {
        Self::CONSULTATIONS.contains(&self)
    }

    /// Whether comments stand here.
    pub fn has_comments(self) -> bool {
        matches!(self, Self::Open | Self::Paused | Self::Closed | Self::Group | Self::Direct)
    }
}

/// What a command is tried on.
#[derive(Debug, Default)]
pub struct Object {
    /// The conversation's.
    pub id: String,
    /// A consultation's.
    pub version: u32,
    /// The id of a consultation's display link.
    pub link: String,
    /// seq of a comment by its author.
    pub comments: BTreeMap<u32, u64>,
    /// Comments by whoever runs the conversation, or by one of the two.
    pub more: Pile,
    /// The same, hidden; none where nobody hides.
    pub hidden: Pile,
    /// Polls by the same.
    pub polls: Pile,
    /// seq of one more, which has ended.
    pub ended_poll: u64,
}

/// seqs of events, for commands that each use one up.
#[derive(Debug, Default)]
pub struct Pile {
    seqs: Vec<u64>,
    used: AtomicUsize,
}

impl Pile {
    fn of(seqs: Vec<u64>) -> Self {
        Self { seqs, used: AtomicUsize::default() }
    }

    /// One that nobody else is given; 1, which is an event that nothing can be done about, where there are none.
    pub fn take(&self) -> u64 {
        let used = self.used.fetch_add(1, Ordering::Relaxed);
        assert!(used < self.seqs.len() || self.seqs.is_empty(), "more callers than were reckoned with");
        self.seqs.get(used).copied().unwrap_or(1)
    }

    /// The last one, which nobody takes; 1 where there are none.
    pub fn last(&self) -> u64 {
        self.seqs.last().copied().unwrap_or(1)
    }
}

/// Clients of every service.
#[derive(Clone)]
pub struct Clients {
    pub conversations: ConversationServiceClient<Channel>,
    pub consultations: ConsultationServiceClient<Channel>,
    pub directory: DirectoryServiceClient<Channel>,
    pub accounts: AccountServiceClient<Channel>,
    pub displays: DisplayServiceClient<Channel>,
    pub moderation: ModerationServiceClient<Channel>,
    pub polls: PollServiceClient<Channel>,
}

/// One call to be made.
#[derive(Clone)]
pub struct Cell {
    pub clients: Clients,
    pub cast: Arc<Cast>,
    pub caller: Caller,
    pub place: Place,
    pub object: Arc<Object>,
    /// A session of the witness.
    pub session: String,
    elsewhere: Arc<Object>,
    counter: Arc<AtomicU32>,
}

impl Cell {
    /// As the edge sends it for this caller.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let screen = |link: &str, message| {
            let mut request = Request::new(message);
            request.metadata_mut().insert(metadata::DISPLAY, link.parse().unwrap());
            request
        };
        match self.caller {
            Caller::Nobody => Request::new(message),
            Caller::Screen if self.place.is_consultation() => screen(&self.object.link, message),
            Caller::Screen | Caller::OtherScreen => screen(&self.elsewhere.link, message),
            _ => by(self.person(), message),
        }
    }

    /// The same call by the service's own operator.
    pub fn by_operator<T>(&self, message: T) -> Request<T> {
        by(OPERATOR, message)
    }

    /// The caller's number; one that nobody has where the caller is no person.
    pub fn person(&self) -> u32 {
        match self.caller {
            Caller::Person(who) => self.cast.person(who),
            Caller::Disabled(role, home) => self.cast.disabled(role, home),
            _ => UNKNOWN,
        }
    }

    /// seq of a comment by the caller; another's where they have none.
    pub fn own_comment(&self) -> u64 {
        self.object.comments.get(&self.person()).copied().unwrap_or_else(|| self.others_comment())
    }

    /// seq of a comment by somebody else, who takes nothing back before this is asked for; 1, which is no comment, where there are none.
    pub fn others_comment(&self) -> u64 {
        let me = self.person();
        let witness = self.object.comments.get(&self.cast.extra(Extra::Witness));
        if let Some(seq) = witness {
            return *seq;
        }
        self.object.comments.iter().find(|(author, _)| **author != me).map_or(1, |(_, seq)| *seq)
    }

    /// Never the same twice.
    pub fn next_number(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }
}

fn now_ms() -> i64 {
    clock::Clock::default().now_ms()
}

/// Whom the consultations are for: `Own` with all below it; members of these post, and those who are invited by name.
pub fn audiences(cast: &Cast) -> (Audience, Audience) {
    let organisations = vec![OrganisationScope { organisation: cast.organisation(Home::Own), with_below: true }];
    let watch = Audience { organisations: organisations.clone(), ..Audience::default() };
    let mut people = cast.tied(&[Tie::Invited, Tie::Author, Tie::Muted]);
    people.push(cast.extra(Extra::Witness));
    (watch, Audience { organisations, roles: vec![proto::v1::Role::Member.into()], people })
}

/// Everything that is tried.
pub struct World {
    core: Core,
    cast: Arc<Cast>,
    objects: BTreeMap<Place, Arc<Object>>,
    session: String,
    counter: Arc<AtomicU32>,
    // Gone with the test.
    _database: Database,
}

impl World {
    pub async fn start() -> Self {
        let database = Database::sqlite();
        let mut core = Core::start_with(&database.url(), Arc::new(MemoryBackbone::new(1_024)), |options| {
            // What was called when the world was made is still called too recently at the end.
            options.consultations.call_every_s = 3_600;
        })
        .await;
        let cast = Arc::new(populate(&mut core).await);
        let session = sign_in_witness(&mut core, &cast).await;
        let mut this = Self { core, cast, objects: BTreeMap::new(), session, counter: Arc::default(), _database: database };
        for place in Place::ALL.into_iter().chain([Place::Nowhere]) {
            this.make(place, true).await;
        }
        this
    }

    pub async fn stop(self) {
        self.core.stop().await;
    }

    pub fn cell(&self, caller: Caller, place: Place) -> Cell {
        Cell {
            clients: Clients {
                conversations: self.core.conversations.clone(),
                consultations: self.core.consultations.clone(),
                directory: self.core.directory.clone(),
                accounts: self.core.accounts.clone(),
                displays: self.core.displays.clone(),
                moderation: self.core.moderation.clone(),
                polls: self.core.polls.clone(),
            },
            cast: self.cast.clone(),
            caller,
            place,
            object: self.objects[&place].clone(),
            session: self.session.clone(),
            elsewhere: self.objects[&Place::Nowhere].clone(),
            counter: self.counter.clone(),
        }
    }

    /// Puts something new in the place of what a command has changed. Nothing is said in it: who is answered about what is said uses
    /// one thing up and changes nothing else.
    pub async fn renew(&mut self, place: Place) {
        self.make(place, false).await;
    }

    async fn make(&mut self, place: Place, is_filled: bool) {
        let object = match place {
            Place::Draft | Place::Scheduled | Place::Open | Place::Paused | Place::Closed => self.make_consultation(place, is_filled).await,
            // What the screens from elsewhere show.
            Place::Nowhere => self.make_consultation(Place::Open, is_filled).await,
            Place::Group => self.make_group(is_filled).await,
            Place::Direct => self.open_direct(is_filled).await,
            Place::Control => Object { id: CONTROL.to_string(), ..Object::default() },
            Place::Missing => Object { id: Uuid::new_v4().to_string(), link: Uuid::new_v4().to_string(), ..Object::default() },
        };
        self.objects.insert(place, Arc::new(object));
    }

    async fn make_consultation(&mut self, place: Place, is_filled: bool) -> Object {
        let convenor = self.cast.extra(Extra::Convenor);
        let (watch, post) = audiences(&self.cast);
        let asked = CreateConsultationRequest {
            client_id: Uuid::now_v7().to_string(),
            organisation: self.cast.organisation(Home::Own),
            title: format!("{place:?}"),
            opens_ms: if place == Place::Scheduled { now_ms() + 24 * HOUR_MS } else { 0 },
            watch: Some(watch),
            post: Some(post),
            moderators: self.cast.tied(&[Tie::Moderator]),
            ..CreateConsultationRequest::default()
        };
        let mut made = self.core.consultations.create_consultation(by(convenor, asked)).await.unwrap().into_inner();
        let link = CreateDisplayLinkRequest { id: made.id.clone(), ..CreateDisplayLinkRequest::default() };
        let link = self.core.displays.create_display_link(by(convenor, link)).await.unwrap().into_inner();
        let mut said = Object::default();
        if place.has_comments() {
            made = self.set_state(&made.id, ConsultationState::Open).await;
            if is_filled {
                let authors = self.cast.tied(&[Tie::Author, Tie::Muted]);
                said = self.fill(&made.id, convenor, authors, true).await;
                self.mute(&made.id).await;
            }
        }
        match place {
            Place::Paused => made = self.set_state(&made.id, ConsultationState::Paused).await,
            Place::Closed => made = self.set_state(&made.id, ConsultationState::Closed).await,
            _ => {}
        }
        Object { id: made.id, version: made.version, link: link.id, ..said }
    }

    async fn mute(&self, id: &str) {
        let convenor = self.cast.extra(Extra::Convenor);
        let mutes = self.cast.tied(&[Tie::Muted]).into_iter().map(|person| {
            let mute = MutePersonRequest { id: id.to_owned(), person, until_ms: now_ms() + HOUR_MS, reason: String::new() };
            let mut moderation = self.core.moderation.clone();
            async move { moderation.mute_person(by(convenor, mute)).await }
        });
        futures::future::try_join_all(mutes).await.expect("those who do not run it are muted");
    }

    async fn set_state(&mut self, id: &str, state: ConsultationState) -> proto::v1::Consultation {
        let asked = SetConsultationStateRequest { id: id.to_owned(), state: state.into(), reason: String::new() };
        let convenor = self.cast.extra(Extra::Convenor);
        self.core.consultations.set_consultation_state(by(convenor, asked)).await.unwrap().into_inner()
    }

    async fn make_group(&mut self, is_filled: bool) -> Object {
        let owner = self.cast.person(Who::OWNER);
        let mut people = self.cast.tied(&[Tie::Joined]);
        people.push(self.cast.extra(Extra::Witness));
        let asked = CreateGroupRequest { client_id: Uuid::now_v7().to_string(), title: "Group".to_owned(), people: people.clone() };
        let made = self.core.conversations.create_group(by(owner, asked)).await.unwrap().into_inner();
        people.push(owner);
        let said = if is_filled { self.fill(&made.id, owner, people, true).await } else { Object::default() };
        Object { id: made.id, ..said }
    }

    async fn open_direct(&mut self, is_filled: bool) -> Object {
        let [one, other] = Who::PARTIES.map(|who| self.cast.person(who));
        let opened = self.core.conversations.open_direct(by(one, OpenDirectRequest { person: other })).await.unwrap().into_inner();
        let said = if is_filled { self.fill(&opened.id, one, vec![one, other], false).await } else { Object::default() };
        Object { id: opened.id, ..said }
    }

    /// Comments by these people; and by `asker` as many comments and polls as there are callers, and more. `hides`: they may hide
    /// comments, and do.
    async fn fill(&mut self, id: &str, asker: u32, mut people: Vec<u32>, hides: bool) -> Object {
        if !people.contains(&self.cast.extra(Extra::Witness)) && people.len() > 2 {
            people.push(self.cast.extra(Extra::Witness));
        }
        let poll = || {
            let options = ["赞成", "反对"].map(str::to_owned).to_vec();
            post(id, Content::Poll(Poll { question: "是否赞成".to_owned(), options }))
        };
        let comments = people.iter().map(|person| (*person, comment(id, "一条发言"))).collect();
        let comments = people.iter().copied().zip(self.post_all(comments).await).collect();
        let more = self.post_all((0..USED).map(|_| (asker, comment(id, "又一条发言"))).collect()).await;
        let hidden = if hides {
            let hidden = self.post_all((0..USED).map(|_| (asker, comment(id, "一条离题的发言"))).collect()).await;
            self.post_all(
                hidden.iter().map(|target| (asker, post(id, Content::Hide(Hide { target: *target, ..Hide::default() })))).collect(),
            )
            .await;
            hidden
        } else {
            Vec::new()
        };
        let mut polls = self.post_all((0..=USED).map(|_| (asker, poll())).collect()).await;
        let ended_poll = polls.pop().unwrap();
        self.post_all(vec![(asker, post(id, Content::PollClosed(PollClosed { target: ended_poll })))]).await;
        let [more, hidden, polls] = [more, hidden, polls].map(Pile::of);
        Object { comments, more, hidden, polls, ended_poll, ..Object::default() }
    }

    async fn post_all(&mut self, posts: Vec<(u32, Post)>) -> Vec<u64> {
        self.core.submit_all(posts).await.into_iter().map(|receipt| seq(&receipt.expect("whoever is part of it may"))).collect()
    }
}

async fn populate(core: &mut Core) -> Cast {
    core.core.as_ref().unwrap().first_operator_link().await.unwrap().expect("a new service");
    testkit::eventually(crate::common::SOON, "the operator is in the directory", || {
        let mut directory = core.directory.clone();
        async move { directory.list_organisations(by(OPERATOR, ListOrganisationsRequest {})).await.ok() }
    })
    .await;
    let import = |csv| by(OPERATOR, ImportRequest { csv, dry_run: false });
    let report = core.directory.import_organisations(import(organisations_csv())).await.unwrap().into_inner();
    assert_eq!(report.errors, []);
    let report = core.directory.import_people(import(people_csv())).await.unwrap().into_inner();
    assert_eq!(report.errors, []);
    let organisations =
        core.directory.list_organisations(by(OPERATOR, ListOrganisationsRequest {})).await.unwrap().into_inner().organisations;
    let find = |home: Home| organisations.iter().find(|one| one.code == home.code()).unwrap().id;
    let ids = (OPERATOR + 1..=OPERATOR + report.added).collect();
    let people = core.directory.get_people(by(OPERATOR, GetPeopleRequest { ids })).await.unwrap().into_inner().people;
    let cast = Cast::new(
        people.iter().map(|person| (person.name.clone(), person.id)).collect(),
        Home::ALL.into_iter().map(|home| (home, find(home))).collect(),
    );
    let mut disabled = vec![cast.extra(Extra::Lost)];
    disabled.extend(Role::ALL.into_iter().flat_map(|role| Home::ALL.map(|home| cast.disabled(role, home))));
    for person in people.into_iter().filter(|person| disabled.contains(&person.id)) {
        let proto::v1::Person { id, name, organisation, roles, .. } = person;
        let asked = UpdatePersonRequest { id, name, organisation, roles, disabled: true };
        core.directory.update_person(by(OPERATOR, asked)).await.unwrap();
    }
    cast
}

async fn sign_in_witness(core: &mut Core, cast: &Cast) -> String {
    let asked = CreateSignInLinkRequest { person: cast.extra(Extra::Witness) };
    let link = core.directory.create_sign_in_link(by(OPERATOR, asked)).await.unwrap().into_inner();
    let link = link.path.split('#').nth(1).unwrap().to_owned();
    let asked = SignInByLinkRequest { link, ..SignInByLinkRequest::default() };
    match core.edge.sign_in_by_link(asked).await.unwrap().into_inner().outcome.unwrap() {
        Outcome::SignedIn(signed_in) => signed_in.identity.unwrap().session,
        Outcome::Refusal(refusal) => panic!("{refusal:?}"),
    }
}
