//! Screens in a hall: links by which one shows one consultation, the sessions they sign in with, and what such a session may
//! read. What a link grants is in `rights`; that it was made or ended is an event of the control log, in the same transaction.

mod options;
pub mod rows;
mod sessions;

use std::sync::Arc;

use async_trait::async_trait;
use proto::{
    internal::v1::{DisplayLinkCreated, DisplayLinkEnded, SessionEnded, control_event::Kind},
    v1::{CreateDisplayLinkRequest, DisplayLink, DisplayScope, Refusal, RefusalCode},
};
use tonic::metadata::MetadataMap;
use uuid::Uuid;

pub use options::DisplayOptions;
pub use sessions::identity;

use self::rows::LinkRow;
use crate::{
    accounts::{Caller, tokens},
    clock,
    control::Control,
    conversations::{Conversations, parse_id},
    fault::{Error, Fault},
    log::{Change, Effect, HeadRow},
    rights::{Asker, Grant, Rights, Rules},
    store::{Store, Tx},
};

/// A label at most, characters.
const LABEL_CHARS: usize = 80;
/// A link is noted as seen at most this often, ms; screens are asked about at least once a minute.
const SEEN_EVERY_MS: i64 = 45_000;

/// Display links. Shared as `Arc<Displays>`.
pub struct Displays {
    /// What is shown.
    pub conversations: Arc<Conversations>,
    /// Bounds.
    pub options: DisplayOptions,
}

/// A screen that makes a public call, allowed to show its consultation at this moment.
pub struct Screen {
    /// The consultation's head.
    pub head: HeadRow,
    /// What it may show.
    pub scope: DisplayScope,
}

/// A public call's display link; `None`: it is a person's. The edge strips this name from what clients send.
#[must_use]
pub fn link_of(metadata: &MetadataMap) -> Option<&str> {
    metadata.get(proto::metadata::DISPLAY).map(|value| value.to_str().unwrap_or_default())
}

/// The page of a hall that takes a link: its secret stands in the fragment, which no server sees and no log holds.
fn path(conversation: Uuid, secret: &str) -> String {
    format!("/hall/{conversation}#{secret}")
}

impl Displays {
    /// Makes a link. The only time that its path is known.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, INVALID, TOO_LARGE (too many are good already); a fault.
    pub async fn create(&self, caller: &Caller, asked: CreateDisplayLinkRequest) -> Result<DisplayLink, Error> {
        let id = parse_id(&asked.id, "id")?;
        let label = asked.label.trim();
        if label.chars().count() > LABEL_CHARS {
            return Err(Refusal::of(RefusalCode::TooLarge).field("label").into());
        }
        if !label.is_empty() {
            proto::codec::check_text(label).map_err(|refusal| refusal.field("label"))?;
        }
        let secret = tokens::new_secret();
        let mut new = NewLink {
            rights: &self.conversations.rights,
            options: &self.options,
            caller,
            label,
            expires_ms: asked.expires_ms,
            secret: tokens::stored(&secret).unwrap_or_default(),
            made: None,
        };
        self.commit(id, &mut new).await?;
        let made = new.made.ok_or_else(|| Fault::Corrupt("a display link was not made".into()))?;
        Ok(made.told(path(id, &secret)))
    }

    /// The links of a consultation, the newest first.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN; a fault.
    pub async fn list(&self, caller: &Caller, id: &str) -> Result<Vec<DisplayLink>, Error> {
        let seen = self.conversations.see(caller, id).await?;
        seen.rules.may_manage(seen.asker())?;
        let links = rows::of(&self.conversations.store, seen.head.conversation).await?;
        Ok(links.iter().map(|link| link.told(String::new())).collect())
    }

    /// Ends a link, and every session that was signed in by it.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN; a fault.
    pub async fn end(&self, caller: &Caller, link: &str) -> Result<DisplayLink, Error> {
        let not_found = || Error::from(Refusal::of(RefusalCode::NotFound).field("id"));
        let link = parse_id(link, "id")?;
        let row = rows::one(&self.conversations.store, link).await?.ok_or_else(not_found)?;
        // Whoever may not watch the consultation is not told that there is such a link.
        self.commit(row.conversation, &mut EndLink { rights: &self.conversations.rights, caller, link }).await.map_err(
            |error| match error {
                Error::Refused(refusal) if refusal.code() == RefusalCode::NotFound => not_found(),
                error => error,
            },
        )?;
        let ended = rows::one(&self.conversations.store, link).await?.ok_or_else(not_found)?;
        Ok(ended.told(String::new()))
    }

    async fn commit(&self, id: Uuid, change: &mut dyn Change) -> Result<(), Error> {
        self.conversations.log.commit(id, change).await?;
        self.conversations.control.committed();
        Ok(())
    }

    /// The screen that makes this call, if its link lets it show its consultation now.
    ///
    /// # Errors
    /// What [`Grant::may_show`] says; a fault.
    pub async fn screen(&self, link: &str) -> Result<Screen, Error> {
        let unknown = || Error::from(RefusalCode::SessionEnded);
        let id = Uuid::try_parse(link).map_err(|_| unknown())?;
        let row = rows::one(&self.conversations.store, id).await?.ok_or_else(unknown)?;
        let grant = row.grant();
        let head = self.conversations.log.head(grant.conversation).await?.ok_or(RefusalCode::NotFound)?;
        let rules = self.conversations.rights.rules(&head).await?;
        judge(&self.conversations.rights, grant, grant.conversation, &rules, clock::now_ms())?;
        let scope = DisplayScope { link: id.to_string(), conversation: grant.conversation.to_string() };
        Ok(Screen { head, scope })
    }
}

fn judge(rights: &Rights, grant: Grant, conversation: Uuid, rules: &Rules, now_ms: i64) -> Result<(), Refusal> {
    let directory = rights.directory().snapshot();
    let maker = directory.person(grant.maker).map(|person| Asker { directory: &directory, person, now_ms });
    grant.may_show(conversation, rules, maker, now_ms)
}

/// Notes that screens have just shown these, in a task of its own: nobody waits for it.
pub fn note_seen(store: &Store, links: Vec<&LinkRow>, now_ms: i64) {
    let due: Vec<Uuid> = links.into_iter().filter(|link| link.seen_ms < now_ms - SEEN_EVERY_MS).map(|link| link.id).collect();
    if due.is_empty() {
        return;
    }
    let store = store.clone();
    tokio::spawn(async move {
        let noted = async {
            let mut tx = store.begin().await?;
            for link in due {
                rows::seen(&mut tx, link, now_ms).await?;
            }
            tx.commit().await
        };
        if let Err(fault) = noted.await {
            tracing::debug!(%fault, "that a screen was seen is noted later");
        }
    });
}

struct NewLink<'a> {
    rights: &'a Rights,
    options: &'a DisplayOptions,
    caller: &'a Caller,
    label: &'a str,
    expires_ms: i64,
    secret: Vec<u8>,
    made: Option<LinkRow>,
}

#[async_trait]
impl Change for NewLink<'_> {
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error> {
        let directory = self.rights.directory().snapshot();
        let rules = self.rights.rules_within(tx, head).await?;
        rules.may_manage(Asker { directory: &directory, person: &self.caller.person, now_ms })?;
        if !matches!(*rules, Rules::Consultation(_)) {
            return Err(RefusalCode::Unsupported.into());
        }
        let most_ms = now_ms + self.options.link_most_s as i64 * 1_000;
        let expires_ms = match self.expires_ms {
            0 => (now_ms + self.options.link_s as i64 * 1_000).min(most_ms),
            wanted if wanted > now_ms && wanted <= most_ms => wanted,
            _ => {
                let hours = self.options.link_most_s / 3_600;
                return Err(Refusal::of(RefusalCode::Invalid)
                    .field("expires_ms")
                    .words(
                        format!("有效期须晚于现在，且不超过 {hours} 小时。"),
                        format!("It must expire later than now, and within {hours} hours."),
                    )
                    .into());
            }
        };
        if rows::good(tx, head.conversation, now_ms).await? >= self.options.links_per_consultation as i64 {
            let most = self.options.links_per_consultation;
            return Err(Refusal::of(RefusalCode::TooLarge)
                .words(
                    format!("一次协商最多有 {most} 个有效的大屏链接，请先停用不再使用的。"),
                    format!("A consultation has at most {most} display links at a time: end one that is not used any more."),
                )
                .into());
        }
        let row = LinkRow {
            id: Uuid::new_v4(),
            conversation: head.conversation,
            label: self.label.to_owned(),
            created_by: self.caller.person.id.into(),
            created_ms: now_ms,
            expires_ms,
            seen_ms: 0,
            ended_ms: None,
            ended_by: 0,
        };
        rows::insert(tx, &row, &self.secret).await?;
        let created = DisplayLinkCreated {
            link: row.id.to_string(),
            conversation: head.conversation.to_string(),
            label: row.label.clone(),
            expires_ms,
        };
        Control::record(tx, self.caller.person.id, Kind::DisplayLinkCreated(created)).await?;
        self.made = Some(row);
        // Nothing for the public log, and nobody else's rights change.
        Ok(Effect::default())
    }
}

struct EndLink<'a> {
    rights: &'a Rights,
    caller: &'a Caller,
    link: Uuid,
}

#[async_trait]
impl Change for EndLink<'_> {
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error> {
        let by = self.caller.person.id;
        let directory = self.rights.directory().snapshot();
        let rules = self.rights.rules_within(tx, head).await?;
        rules.may_manage(Asker { directory: &directory, person: &self.caller.person, now_ms })?;
        if !rows::end(tx, self.link, by.into(), now_ms).await? {
            return Ok(Effect::default());
        }
        let mut kinds = Vec::new();
        for session in rows::sessions_of(tx, self.link).await? {
            if rows::end_session(tx, session, now_ms).await?.is_some() {
                kinds.push(ended(session, self.link));
            }
        }
        kinds.push(Kind::DisplayLinkEnded(DisplayLinkEnded { link: self.link.to_string(), conversation: head.conversation.to_string() }));
        Control::record_all(tx, by, kinds).await?;
        Ok(Effect::default())
    }
}

/// That a screen's session has ended, as gateways hear it.
fn ended(session: Uuid, link: Uuid) -> Kind {
    Kind::SessionEnded(SessionEnded { session: session.to_string(), person: proto::display::number(link) })
}
