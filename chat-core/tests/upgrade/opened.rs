//! A fixture, in a database of its own, and shorter words for what is asked of a chat-core that has opened it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use proto::{
    internal::v1::{HeadsRequest, SignInRequest, SignInResponse, sign_in_response::Outcome},
    v1::{
        Comment, ConsultationState, Event, Refusal, RefusalCode, SetConsultationStateRequest, event::Kind, page_request::Where,
        post::Content,
    },
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    answers::{Known, Services, read},
    common::{Core, Database, comment, post, seq},
};

/// What an earlier executable made, and what it answered.
#[derive(Deserialize)]
pub struct Fixture {
    /// Every field of the contract of that time: one of them that is not in an answer stood at its default.
    pub fields: BTreeSet<String>,
    pub known: Known,
    pub answers: BTreeMap<String, Value>,
}

impl Fixture {
    /// The fixtures of both databases, each in a copy of its own.
    pub fn all() -> [(Self, Database); 2] {
        let sqlite = Database::sqlite();
        let file = sqlite.url().strip_prefix("sqlite:").unwrap().to_owned();
        fs::write(file, unpacked("sqlite.db.gz")).unwrap();
        let postgres = Database::postgres();
        let dump = tempfile::NamedTempFile::new().unwrap();
        fs::write(dump.path(), unpacked("postgres.sql.gz")).unwrap();
        let mut psql = Command::new("psql");
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-f"]).arg(dump.path()).arg(postgres.url());
        assert!(psql.stdout(Stdio::null()).status().unwrap().success(), "the dump is restored");
        [(Self::read("sqlite.json.gz"), sqlite), (Self::read("postgres.json.gz"), postgres)]
    }

    fn read(name: &str) -> Self {
        serde_json::from_slice(&unpacked(name)).unwrap()
    }
}

fn unpacked(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub fn services(core: &Core) -> Services {
    Services {
        edge: core.edge.clone(),
        conversations: core.conversations.clone(),
        consultations: core.consultations.clone(),
        directory: core.directory.clone(),
        accounts: core.accounts.clone(),
        displays: core.displays.clone(),
        moderation: core.moderation.clone(),
        key: String::new(),
    }
}

/// A fixture that is open, with shorter words for what is asked of it.
pub struct Opened {
    pub core: Core,
    pub services: Services,
    pub known: Known,
}

impl Opened {
    pub async fn start(fixture: Fixture, database: &Database) -> Self {
        let core = Core::start(&database.url()).await;
        Self { services: services(&core), core, known: fixture.known }
    }

    pub fn person(&self, login: &str) -> u32 {
        self.known.people[login]
    }

    pub fn id(&self, conversation: &str) -> String {
        self.known.conversations[conversation].clone()
    }

    pub async fn say(&mut self, login: &str, conversation: &str) -> Result<proto::v1::Receipt, RefusalCode> {
        let (person, post) = (self.person(login), comment(&self.id(conversation), "升级之后"));
        self.services.submit(person, post).await.map_err(|refusal| refusal.code())
    }

    pub async fn put(&mut self, login: &str, conversation: &str, content: Content) -> Result<u64, RefusalCode> {
        let (person, post) = (self.person(login), post(&self.id(conversation), content));
        self.services.submit(person, post).await.map(|receipt| seq(&receipt)).map_err(|refusal| refusal.code())
    }

    pub async fn head(&mut self, conversation: &str) -> proto::internal::v1::Head {
        let conversations = vec![self.id(conversation)];
        let asked = HeadsRequest { conversations, ..HeadsRequest::default() };
        self.services.edge.heads(asked).await.unwrap().into_inner().heads.remove(0)
    }

    pub async fn event(&mut self, conversation: &str, seq: u64) -> Event {
        let id = self.id(conversation);
        read(&mut self.services, &id, Where::After(seq - 1), 1).await.events.remove(0)
    }

    pub async fn comment(&mut self, conversation: &str, seq: u64) -> Comment {
        let Some(Kind::Comment(comment)) = self.event(conversation, seq).await.kind else { panic!("event {seq} is no comment") };
        comment
    }

    /// The oldest comment of a person that stands, and how often it was edited.
    pub async fn oldest(&mut self, login: &str, conversation: &str, is_edited: bool) -> (u64, u32) {
        let (person, id) = (self.person(login), self.id(conversation));
        let page = read(&mut self.services, &id, Where::After(0), 200).await;
        let mut standing = page.events.iter().filter(|event| event.author == person).filter_map(|event| match &event.kind {
            Some(Kind::Comment(comment)) if comment.gone.is_none() => Some((event.seq, comment.version)),
            _ => None,
        });
        standing.find(|(_, version)| (*version > 0) == is_edited).unwrap()
    }

    pub async fn set_state(&mut self, login: &str, conversation: &str, state: ConsultationState) -> Result<ConsultationState, RefusalCode> {
        let asked = SetConsultationStateRequest { id: self.id(conversation), state: state.into(), reason: String::new() };
        let request = self.services.by(self.person(login), asked);
        let answer = self.services.consultations.set_consultation_state(request).await;
        answer.map(|changed| changed.into_inner().state()).map_err(code)
    }

    pub async fn sign_in(&mut self, login: &str, password: &str) -> Result<u32, RefusalCode> {
        let (login, password) = (login.to_owned(), password.to_owned());
        let asked = SignInRequest { login, password, client: "test".into(), address: "127.0.0.1".into(), loopback: true };
        whose(self.services.edge.sign_in(asked).await.unwrap().into_inner())
    }
}

pub fn code(status: tonic::Status) -> RefusalCode {
    Refusal::from_status(&status).code()
}

pub fn whose(answer: SignInResponse) -> Result<u32, RefusalCode> {
    match answer.outcome.unwrap() {
        Outcome::SignedIn(signed_in) => Ok(signed_in.identity.unwrap().person),
        Outcome::Refusal(refusal) => Err(refusal.code()),
    }
}
