//! Signing in and out.

use proto::{
    internal::v1::{Identity, SignInByLinkRequest, SignInRequest},
    v1::{Refusal, RefusalCode, Role, SignInLink},
};
use uuid::Uuid;

use super::{Accounts, Caller, password::check_strength, rows};
use crate::{
    control::Record,
    directory::{
        NewPerson, Roles, check_login,
        rows::{insert_organisations, insert_people},
    },
    execute,
    fault::{Error, Fault},
    fetch_one, guests,
    store::Tx,
    tokens,
};

/// A new session and its token, which is shown this once.
#[derive(Clone, Debug)]
pub struct SignedInAs {
    /// 256 random bits, base64url.
    pub token: String,
    /// Whose it is.
    pub identity: Identity,
}

impl Accounts {
    /// Signs in with a password.
    ///
    /// # Errors
    /// PASSWORD_WRONG (also where there is no such account), RATE_LIMITED, ACCOUNT_DISABLED, FORBIDDEN (a demo account from
    /// elsewhere), OVERLOADED; a fault.
    pub async fn sign_in(&self, asked: SignInRequest) -> Result<SignedInAs, Error> {
        let now_ms = self.now_ms();
        let login = asked.login.trim().to_lowercase();
        let wait_ms = self.by_login.lock().wait_ms(&login, now_ms).max(self.by_address.lock().wait_ms(&asked.address, now_ms));
        if wait_ms > 0 {
            metrics::counter!("yitang_chat_core_sign_ins_total", "outcome" => "limited").increment(1);
            return Err(Refusal::of(RefusalCode::RateLimited)
                .retry_after_ms(wait_ms)
                .words("密码多次输入错误，请稍候再试。", "Too many wrong passwords; please wait.")
                .into());
        }
        let fits = asked.password.len() <= 1_024 && check_login(&login).is_ok();
        let account = if fits { rows::find_account(&self.store, &login).await? } else { None };
        let hash = account.as_ref().and_then(|account| account.password.clone());
        if !self.passwords.verify(if fits { asked.password } else { String::new() }, hash.clone()).await? {
            let now_ms = self.now_ms();
            self.by_login.lock().note(&login, now_ms);
            self.by_address.lock().note(&asked.address, now_ms);
            metrics::counter!("yitang_chat_core_sign_ins_total", "outcome" => "wrong").increment(1);
            return Err(RefusalCode::PasswordWrong.into());
        }
        let account = account.ok_or(RefusalCode::PasswordWrong)?;
        self.by_login.lock().clear(&login);
        if account.disabled != 0 {
            return Err(RefusalCode::AccountDisabled.into());
        }
        if account.demo != 0 && !asked.loopback {
            return Err(Refusal::of(RefusalCode::Forbidden)
                .words("演示账号只能在本机使用。", "Demo accounts are accepted from this machine only.")
                .into());
        }
        let mut tx = self.store.begin().await?;
        // Changed while it was being verified: whoever changed it has ended all sessions, and this one would outlive that.
        let now = rows::hold_account(&mut tx, account.id).await?.filter(|now| now.password == hash).ok_or(RefusalCode::PasswordWrong)?;
        if now.disabled != 0 {
            return Err(RefusalCode::AccountDisabled.into());
        }
        metrics::counter!("yitang_chat_core_sign_ins_total", "outcome" => "done").increment(1);
        let (signed_in, records) = self.start_session(&mut tx, account.id as u32, &asked.client).await?;
        self.control.commit(tx, account.id as u32, records).await?;
        Ok(signed_in)
    }

    /// Signs in with a one-use link, and sets a password where one is given.
    ///
    /// # Errors
    /// LINK_INVALID, PASSWORD_WEAK (the link stays good), ACCOUNT_DISABLED, RATE_LIMITED, OVERLOADED; a fault.
    pub async fn sign_in_by_link(&self, asked: SignInByLinkRequest) -> Result<SignedInAs, Error> {
        let now_ms = self.now_ms();
        self.judge_address(&asked.address)?;
        let hash = if asked.new_password.is_empty() {
            None
        } else {
            check_strength(&asked.new_password, "")?;
            Some(self.passwords.hash(asked.new_password).await?)
        };
        let mut tx = self.store.begin().await?;
        let person = match tokens::hash_secret(&asked.link) {
            Some(link) => rows::take_link(&mut tx, &link, now_ms).await?,
            None => None,
        };
        let Some(person) = person else {
            self.count_failure(&asked.address);
            return Err(RefusalCode::LinkInvalid.into());
        };
        let account = rows::find_account_by_id(&mut tx, person).await?.ok_or(RefusalCode::LinkInvalid)?;
        if account.disabled != 0 {
            return Err(RefusalCode::AccountDisabled.into());
        }
        let mut records = Vec::new();
        if let Some(hash) = hash {
            rows::update_password(&mut tx, person, &hash).await?;
            records = self.end_sessions_of(&mut tx, person as u32, None).await?;
            records.extend(Record::people_changed(&[person as u32], "password"));
        }
        let (signed_in, started) = self.start_session(&mut tx, person as u32, &asked.client).await?;
        records.extend(started);
        self.control.commit(tx, person as u32, records).await?;
        Ok(signed_in)
    }

    /// Whose tokens these are, in the order asked; `None`: nobody's, or its session has ended. When a gateway is lost they come
    /// by the thousand: one statement for people's, and one more for what is left, which may be a guest's.
    ///
    /// # Errors
    /// A fault.
    pub async fn check_sessions(&self, tokens: &[String]) -> Result<Vec<Option<Identity>>, Fault> {
        // Read before the sessions: what ends one after this has a later position.
        let control = self.directory.position();
        let now_ms = self.now_ms();
        let stored: Vec<Option<Vec<u8>>> = tokens.iter().map(|token| tokens::hash_secret(token)).collect();
        let known: Vec<Vec<u8>> = stored.iter().flatten().cloned().collect();
        let people = rows::find_by_token(&self.store, &known, now_ms).await?;
        let others: Vec<Vec<u8>> = known.into_iter().filter(|token| !people.contains_key(token)).collect();
        let guests_of = guests::rows::find_by_token(&self.store, &others, now_ms).await?;
        let whose = |token: Option<Vec<u8>>| {
            let token = token?;
            match people.get(&token) {
                Some(session) => self.identity(session, control),
                None => guests_of.get(&token).map(|guest| guest.to_identity(control)),
            }
        };
        Ok(stored.into_iter().map(whose).collect())
    }

    /// Ends a session, whoever's it is (the edge shows that it is the caller's own).
    ///
    /// # Errors
    /// A fault.
    pub async fn end_session(&self, session: Uuid, person: Option<u32>) -> Result<u32, Error> {
        let mut tx = self.store.begin().await?;
        let ended = rows::end_session(&mut tx, session, person.map_or(0, i64::from), self.now_ms()).await?;
        if let Some(person) = ended.map(|person| person as u32) {
            self.control.commit(tx, person, vec![Record::session_ended(session, person)]).await?;
            return Ok(1);
        }
        // Of a guest: nobody's, so nobody names it as one of theirs.
        let guest = if person.is_none() { self.end_guest(&mut tx, session).await? } else { None };
        let Some(record) = guest else { return Ok(0) };
        self.control.commit(tx, 0, vec![record]).await?;
        Ok(1)
    }

    /// A person's sessions that have neither ended nor expired, the newest first.
    ///
    /// # Errors
    /// A fault.
    pub async fn list_sessions(&self, person: u32) -> Result<Vec<rows::SessionRow>, Fault> {
        rows::list_sessions(&self.store, person.into(), self.now_ms()).await
    }

    /// Ends all of a person's sessions but the one that they call from; gives how many.
    ///
    /// # Errors
    /// A fault.
    pub async fn end_other_sessions(&self, caller: &Caller) -> Result<u32, Error> {
        let mut tx = self.store.begin().await?;
        let records = self.end_sessions_of(&mut tx, caller.person.id, Some(caller.session)).await?;
        let ended = records.len() as u32;
        self.control.commit(tx, caller.person.id, records).await?;
        Ok(ended)
    }

    /// Ends a person's sessions, but for one; gives what to record.
    ///
    /// # Errors
    /// A fault.
    pub async fn end_sessions_of(&self, tx: &mut Tx<'_>, person: u32, but: Option<Uuid>) -> Result<Vec<Record>, Fault> {
        let now_ms = self.now_ms();
        let mut records = Vec::new();
        for session in rows::list_sessions_within(tx, person.into()).await? {
            if Some(session.id) != but && rows::end_session(tx, session.id, person.into(), now_ms).await?.is_some() {
                records.push(Record::session_ended(session.id, person));
            }
        }
        Ok(records)
    }

    /// A link that signs this person in once; the one before is good no more. `by`: who made it.
    ///
    /// # Errors
    /// A fault.
    pub async fn create_link(&self, by: u32, person: u32, now_ms: i64) -> Result<SignInLink, Error> {
        let secret = tokens::create_secret();
        let expires_ms = now_ms + self.options.link_s as i64 * 1_000;
        let mut tx = self.store.begin().await?;
        rows::insert_link(&mut tx, &tokens::hash_secret(&secret).unwrap_or_default(), person.into(), expires_ms).await?;
        self.control.commit(tx, by, Record::people_changed(&[person], "link")).await?;
        Ok(SignInLink { path: link_path(&secret), expires_ms })
    }

    /// Where there is nobody yet: makes the first operator, and a link that signs them in once. Where there is only that
    /// operator, still without a password: a new link.
    ///
    /// # Errors
    /// A fault.
    pub async fn first_operator_link(&self, organisation: &str) -> Result<Option<SignInLink>, Error> {
        let mut tx = self.store.begin().await?;
        let (people, entered): (i64, i64) = fetch_one!(tx, (i64, i64), "SELECT count(*), count(password) FROM people")?;
        if people > 1 || entered > 0 {
            return Ok(None);
        }
        if people == 0 {
            let top = proto::v1::Organisation { id: 1, code: "1".to_owned(), name: organisation.to_owned(), parent: 0, level: 1 };
            let (organisations,): (i64,) = fetch_one!(tx, (i64,), "SELECT count(*) FROM organisations")?;
            if organisations == 0 {
                insert_organisations(&mut tx, &[top]).await?;
            }
            let (home,): (i64,) = fetch_one!(tx, (i64,), "SELECT min(id) FROM organisations")?;
            let operator = NewPerson {
                id: 1,
                login: "operator".to_owned(),
                name: "运维".to_owned(),
                organisation: home as u32,
                roles: Roles::from_roles([Role::Operator, Role::Administrator, Role::Staff]),
                password: None,
                demo: false,
            };
            insert_people(&mut tx, &[operator], self.now_ms()).await?;
            let mut records = vec![Record::organisations_changed(vec![home as u32])];
            records.extend(Record::people_changed(&[1], "created"));
            self.control.commit(tx, 0, records).await?;
        } else {
            drop(tx);
        }
        Ok(Some(self.create_link(0, 1, self.now_ms()).await?))
    }

    /// Sessions without a password, for load tests; by an operator at the machine itself. Members first, then staff, each in
    /// the order of their ids.
    ///
    /// # Errors
    /// A fault.
    pub async fn mint_sessions(&self, count: usize, client: &str) -> Result<Vec<String>, Error> {
        let directory = self.directory.snapshot();
        let mut people: Vec<(bool, u32)> =
            directory.people().filter(|person| !person.disabled).map(|person| (!person.roles.has(Role::Member), person.id)).collect();
        people.sort_unstable();
        people.truncate(count);
        let mut minted = Vec::with_capacity(people.len());
        for chunk in people.chunks(1_000) {
            let mut tx = self.store.begin().await?;
            let mut records = Vec::with_capacity(chunk.len());
            for (_, person) in chunk {
                let (signed_in, started) = self.insert_session(&mut tx, *person, client).await?;
                minted.push(signed_in.token);
                records.push(started);
            }
            self.control.commit(tx, 0, records).await?;
        }
        Ok(minted)
    }

    /// Makes a session; where that is one too many, the oldest ends.
    async fn start_session(&self, tx: &mut Tx<'_>, person: u32, client: &str) -> Result<(SignedInAs, Vec<Record>), Error> {
        let mut records = Vec::new();
        let standing = rows::list_sessions_within(tx, person.into()).await?;
        for old in standing.iter().skip(self.options.sessions_per_person.max(1) - 1) {
            rows::end_session(tx, old.id, person.into(), self.now_ms()).await?;
            records.push(Record::session_ended(old.id, person));
        }
        let (signed_in, started) = self.insert_session(tx, person, client).await?;
        records.push(started);
        Ok((signed_in, records))
    }

    async fn insert_session(&self, tx: &mut Tx<'_>, person: u32, client: &str) -> Result<(SignedInAs, Record), Error> {
        let control = self.directory.position();
        let token = tokens::create_secret();
        let now_ms = self.now_ms();
        let row = rows::SessionRow {
            id: Uuid::new_v4(),
            person: person.into(),
            client: client.chars().filter(|c| !c.is_control()).take(proto::limits::CLIENT_CHARS).collect(),
            created_ms: now_ms,
            seen_ms: now_ms,
            expires_ms: now_ms + self.options.session_s as i64 * 1_000,
        };
        rows::insert_session(tx, &row, &tokens::hash_secret(&token).unwrap_or_default()).await?;
        let identity = Identity {
            person,
            session: row.id.to_string(),
            path: self.path_of(person),
            session_expires_ms: row.expires_ms,
            control,
            display: None,
        };
        let started = Record::session_started(row.id, person);
        Ok((SignedInAs { token, identity }, started))
    }

    pub(super) fn identity(&self, session: &rows::SessionRow, control: u64) -> Option<Identity> {
        let person = session.person as u32;
        Some(Identity {
            person,
            session: session.id.to_string(),
            path: self.path_of(person),
            session_expires_ms: session.expires_ms,
            control,
            display: None,
        })
    }

    fn path_of(&self, person: u32) -> Vec<u32> {
        let directory = self.directory.snapshot();
        directory.person(person).map(|person| directory.path(person.organisation).to_vec()).unwrap_or_default()
    }

    /// Sets a password in place of the old one; the other sessions end.
    ///
    /// # Errors
    /// PASSWORD_WRONG, PASSWORD_WEAK, RATE_LIMITED, OVERLOADED; a fault.
    pub async fn change_password(&self, caller: &Caller, old: String, new: String) -> Result<(), Error> {
        let person = i64::from(caller.person.id);
        let name = format!("#{person}");
        let wait_ms = self.by_login.lock().wait_ms(&name, self.now_ms());
        if wait_ms > 0 {
            return Err(Refusal::of(RefusalCode::RateLimited).retry_after_ms(wait_ms).into());
        }
        let mut tx = self.store.begin_read().await?;
        let verified = rows::find_account_by_id(&mut tx, person).await?.and_then(|account| account.password);
        let (login,): (String,) = fetch_one!(tx, (String,), "SELECT login FROM people WHERE id = $1", person)?;
        drop(tx);
        check_strength(&new, &login)?;
        if verified.is_some() && !self.passwords.verify(old, verified.clone()).await? {
            self.by_login.lock().note(&name, self.now_ms());
            return Err(Refusal::of(RefusalCode::PasswordWrong).field("old_password").into());
        }
        let hash = self.passwords.hash(new).await?;
        let mut tx = self.store.begin().await?;
        if !rows::replace_password(&mut tx, person, verified.as_deref(), &hash).await? {
            return Err(Refusal::of(RefusalCode::PasswordWrong).field("old_password").into());
        }
        execute!(tx, "DELETE FROM sign_in_links WHERE person = $1", person)?;
        let mut records = self.end_sessions_of(&mut tx, caller.person.id, Some(caller.session)).await?;
        records.extend(Record::people_changed(&[caller.person.id], "password"));
        self.control.commit(tx, caller.person.id, records).await?;
        Ok(())
    }

    /// A hash of this password, as stored.
    ///
    /// # Errors
    /// OVERLOADED; a fault.
    pub async fn hash_password(&self, password: &str) -> Result<String, Error> {
        self.passwords.hash(password.to_owned()).await
    }
}

/// The page that takes a link: its secret stands in the fragment, which no server sees and no log holds.
fn link_path(secret: &str) -> String {
    format!("/link#{secret}")
}
