//! Sessions of guests: signed in by a link, again and again; beside tickets and tokens of people, and never theirs.

use proto::{
    internal::v1::SignInByDisplayRequest,
    v1::{Refusal, RefusalCode},
};
use uuid::Uuid;

use super::{Accounts, SignedInAs};
use crate::{
    control::Record,
    fault::{Error, Fault},
    guests::{self, GuestRow, rows},
    store::Tx,
    tokens,
};

impl Accounts {
    /// Signs a guest in. Whether its conversation may be shown just now is judged when it asks for it: a screen in the hall
    /// may be switched on before that.
    ///
    /// # Errors
    /// LINK_INVALID (unknown, ended or expired), RATE_LIMITED; a fault.
    pub async fn sign_in_guest(&self, asked: SignInByDisplayRequest) -> Result<SignedInAs, Error> {
        self.judge_address(&asked.address)?;
        // Read before the session is made: what ends it after this has a later position.
        let control = self.directory.position();
        let now_ms = self.now_ms();
        let mut tx = self.store.begin().await?;
        let link = match tokens::hash_secret(&asked.link) {
            Some(secret) => rows::find_link_by_secret(&mut tx, &secret, now_ms).await?,
            None => None,
        };
        let Some(link) = link else {
            drop(tx);
            self.count_failure(&asked.address);
            return Err(Refusal::of(RefusalCode::LinkInvalid)
                .words("这个大屏链接无效、已停用或已过期。", "This display link is unknown, ended or expired.")
                .into());
        };
        let token = tokens::create_secret();
        let guest = GuestRow { id: Uuid::new_v4(), link: link.id, conversation: link.conversation, expires_ms: link.expires_ms };
        let mut records = Vec::new();
        let standing = rows::list_sessions(&mut tx, link.id).await?;
        for old in standing.into_iter().skip(self.options.sessions_per_link.max(1) - 1) {
            rows::end_session(&mut tx, old, now_ms).await?;
            records.push(guests::session_ended(old, link.id));
        }
        let client: String = asked.client.chars().filter(|c| !c.is_control()).take(proto::limits::CLIENT_CHARS).collect();
        rows::insert_session(&mut tx, guest.id, link.id, &tokens::hash_secret(&token).unwrap_or_default(), &client, now_ms).await?;
        rows::update_seen(&mut tx, link.id, now_ms).await?;
        let identity = guest.to_identity(control);
        records.push(Record::session_started(guest.id, identity.person));
        // The service's own doing: nobody stands before a screen.
        self.control.commit(tx, 0, records).await?;
        metrics::counter!("yitang_chat_core_display_sign_ins_total").increment(1);
        Ok(SignedInAs { token, identity })
    }

    /// Ends a guest's session; gives what to record, where there was one.
    ///
    /// # Errors
    /// A fault.
    pub(super) async fn end_guest(&self, tx: &mut Tx<'_>, session: Uuid) -> Result<Option<Record>, Fault> {
        let link = rows::end_session(tx, session, self.now_ms()).await?;
        Ok(link.map(|link| guests::session_ended(session, link)))
    }
}
