//! Sessions of screens: signed in by a display link, again and again; beside tickets and tokens of people, and never theirs.

use proto::{
    internal::v1::{Identity, SessionStarted, SignInByDisplayRequest, control_event::Kind},
    v1::{DisplayScope, Refusal, RefusalCode},
};
use uuid::Uuid;

use super::{
    ended,
    rows::{self, ScreenRow},
};
use crate::{
    accounts::{Accounts, SignedInAs, tokens},
    clock,
    fault::{Error, Fault},
    store::Tx,
};

/// Whose session it is: a screen's. It reaches as far as its link.
pub fn identity(screen: &ScreenRow, control: u64) -> Identity {
    Identity {
        person: proto::display::number(screen.link),
        session: screen.id.to_string(),
        path: Vec::new(),
        session_expires_ms: screen.expires_ms,
        control,
        display: Some(DisplayScope { link: screen.link.to_string(), conversation: screen.conversation.to_string() }),
    }
}

impl Accounts {
    /// Signs a screen in. Whether its consultation may be shown just now is judged when it asks for it: a screen in the hall
    /// may be switched on before that.
    ///
    /// # Errors
    /// LINK_INVALID (unknown, ended or expired), RATE_LIMITED; a fault.
    pub async fn sign_in_by_display(&self, asked: SignInByDisplayRequest) -> Result<SignedInAs, Error> {
        self.address_waits(&asked.address)?;
        // Read before the session is made: what ends it after this has a later position.
        let control = self.directory().position();
        let now_ms = clock::now_ms();
        let mut tx = self.store().begin().await?;
        let link = match tokens::stored(&asked.link) {
            Some(secret) => rows::by_secret(&mut tx, &secret, now_ms).await?,
            None => None,
        };
        let Some(link) = link else {
            drop(tx);
            self.note_failure(&asked.address);
            return Err(Refusal::of(RefusalCode::LinkInvalid)
                .words("这个大屏链接无效、已停用或已过期。", "This display link is unknown, ended or expired.")
                .into());
        };
        let token = tokens::new_secret();
        let screen = ScreenRow { id: Uuid::new_v4(), link: link.id, conversation: link.conversation, expires_ms: link.expires_ms };
        let mut kinds = Vec::new();
        let standing = rows::sessions_of(&mut tx, link.id).await?;
        for old in standing.into_iter().skip(self.sessions_per_link().max(1) - 1) {
            rows::end_session(&mut tx, old, now_ms).await?;
            kinds.push(ended(old, link.id));
        }
        let client: String = asked.client.chars().filter(|c| !c.is_control()).take(proto::limits::CLIENT_CHARS).collect();
        rows::insert_session(&mut tx, screen.id, link.id, &tokens::stored(&token).unwrap_or_default(), &client, now_ms).await?;
        rows::seen(&mut tx, link.id, now_ms).await?;
        let identity = identity(&screen, control);
        kinds.push(Kind::SessionStarted(SessionStarted { session: identity.session.clone(), person: identity.person }));
        // The service's own doing: nobody stands before a screen.
        self.finish(tx, 0, kinds).await?;
        metrics::counter!("yitang_chat_core_display_sign_ins_total").increment(1);
        Ok(SignedInAs { token, identity })
    }

    /// Ends a screen's session; what to record, where there was one.
    ///
    /// # Errors
    /// A fault.
    pub(crate) async fn end_screen(&self, tx: &mut Tx<'_>, session: Uuid) -> Result<Option<Kind>, Fault> {
        let link = rows::end_session(tx, session, clock::now_ms()).await?;
        Ok(link.map(|link| ended(session, link)))
    }
}
