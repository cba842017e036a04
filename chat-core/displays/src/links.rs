//! Links by which a screen in a hall shows one consultation: made, listed, ended. That one was made or ended is an event of the
//! control log, in the same transaction.

use async_trait::async_trait;
use kernel::{
    Context, Error, Fault,
    accounts::Caller,
    control::{Control, Record},
    guests::{self, LinkRow, rows},
    log::{Change, Effect, HeadRow},
    parse_id,
    rights::{Asker, Rights},
    store::Tx,
    tokens,
};
use proto::{
    internal::v1::{DisplayLinkCreated, DisplayLinkEnded, control_event::Kind},
    v1::{CreateDisplayLinkRequest, DisplayLink, Refusal, RefusalCode},
};
use uuid::Uuid;

use crate::DisplayOptions;

/// A label at most, characters.
const LABEL_CHARS: usize = 80;

/// Display links.
pub struct Links {
    /// The kernel.
    pub context: Context,
    /// How long links are good, and how many of one consultation at a time.
    pub options: DisplayOptions,
}

/// The page of a hall that takes a link: its secret stands in the fragment, which no server sees and no log holds.
fn path(conversation: Uuid, secret: &str) -> String {
    format!("/hall/{conversation}#{secret}")
}

/// As staff see it. `path` only where it was just made.
fn to_proto(link: &LinkRow, path: String) -> DisplayLink {
    DisplayLink {
        id: link.id.to_string(),
        consultation: link.conversation.to_string(),
        label: link.label.clone(),
        path,
        created_ms: link.created_ms,
        expires_ms: link.expires_ms,
        created_by: link.created_by as u32,
        last_seen_ms: link.seen_ms,
        ended_ms: link.ended_ms.unwrap_or(0),
        ended_by: link.ended_by as u32,
    }
}

impl Links {
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
        let secret = tokens::create_secret();
        let mut new = NewLink {
            rights: &self.context.rights,
            options: &self.options,
            caller,
            label,
            expires_ms: asked.expires_ms,
            secret: tokens::hash_secret(&secret).unwrap_or_default(),
            made: None,
        };
        self.context.commit(id, &mut new).await?;
        let made = new.made.ok_or_else(|| Fault::Corrupt("a display link was not made".into()))?;
        Ok(to_proto(&made, path(id, &secret)))
    }

    /// The links of a consultation, the newest first.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN; a fault.
    pub async fn list(&self, caller: &Caller, id: &str) -> Result<Vec<DisplayLink>, Error> {
        let seen = self.context.see(caller, id).await?;
        seen.rules.may_manage(seen.asker())?;
        let links = rows::list_links(&self.context.store, seen.head.conversation).await?;
        Ok(links.iter().map(|link| to_proto(link, String::new())).collect())
    }

    /// Ends a link, and every session that was signed in by it.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN; a fault.
    pub async fn end(&self, caller: &Caller, link: &str) -> Result<DisplayLink, Error> {
        let not_found = || Error::from(Refusal::of(RefusalCode::NotFound).field("id"));
        let link = parse_id(link, "id")?;
        let row = rows::find_link(&self.context.store, link).await?.ok_or_else(not_found)?;
        // Whoever may not watch the consultation is not told that there is such a link.
        let mut change = EndLink { rights: &self.context.rights, caller, link };
        self.context.commit(row.conversation, &mut change).await.map_err(|error| match error {
            Error::Refused(refusal) if refusal.code() == RefusalCode::NotFound => not_found(),
            error => error,
        })?;
        let ended = rows::find_link(&self.context.store, link).await?.ok_or_else(not_found)?;
        Ok(to_proto(&ended, String::new()))
    }
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
        if rules.members().is_some() {
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
        if rows::count_good_links(tx, head.conversation, now_ms).await? >= self.options.links_per_consultation as i64 {
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
        rows::insert_link(tx, &row, &self.secret).await?;
        let created = DisplayLinkCreated {
            link: row.id.to_string(),
            conversation: head.conversation.to_string(),
            label: row.label.clone(),
            expires_ms,
        };
        Control::record(tx, self.caller.person.id, vec![Record::new(Kind::DisplayLinkCreated(created))]).await?;
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
        if !rows::end_link(tx, self.link, by.into(), now_ms).await? {
            return Ok(Effect::default());
        }
        let mut records = guests::end_sessions(tx, self.link, now_ms).await?;
        let ended = DisplayLinkEnded { link: self.link.to_string(), conversation: head.conversation.to_string() };
        records.push(Record::new(Kind::DisplayLinkEnded(ended)));
        Control::record(tx, by, records).await?;
        Ok(Effect::default())
    }
}
