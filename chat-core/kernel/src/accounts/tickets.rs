//! One-use tickets for the socket, in batches: when all come back at once they come by the thousand.

use std::collections::{HashMap, HashSet};

use proto::internal::v1::{Redeemed, TicketFor, TicketShown};
use uuid::Uuid;

use super::{
    Accounts,
    rows::{self, NewTicket},
};
use crate::{fault::Fault, guests, tokens};

impl Accounts {
    /// Tickets for these sessions, in the order asked; empty where a session has ended.
    ///
    /// # Errors
    /// A fault.
    pub async fn issue_tickets(&self, wanted: &[TicketFor]) -> Result<Vec<String>, Fault> {
        let now_ms = self.now_ms();
        let ids: Vec<Option<Uuid>> = wanted.iter().map(|one| Uuid::try_parse(&one.session).ok()).collect();
        let known: Vec<Uuid> = ids.iter().flatten().copied().collect();
        let mut tx = self.store.begin().await?;
        let live = rows::find_live(&mut tx, &known, now_ms).await?;
        rows::update_seen(&mut tx, &live, now_ms).await?;
        let mut live: HashSet<Uuid> = live.into_iter().map(|session| session.id).collect();
        let others: Vec<Uuid> = known.into_iter().filter(|id| !live.contains(id)).collect();
        live.extend(guests::rows::find_live(&mut tx, &others, now_ms).await?.into_iter().map(|guest| guest.id));
        let mut secrets = Vec::with_capacity(wanted.len());
        let mut tickets = Vec::with_capacity(wanted.len());
        for (one, id) in wanted.iter().zip(ids) {
            let Some(session) = id.filter(|id| live.contains(id)) else {
                secrets.push(String::new());
                continue;
            };
            let secret = tokens::create_secret();
            tickets.push(NewTicket { ticket: tokens::hash_secret(&secret).unwrap_or_default(), session, origin: one.origin.clone() });
            secrets.push(secret);
        }
        if !tickets.is_empty() {
            rows::insert_tickets(&mut tx, &tickets, now_ms + self.options.ticket_ms as i64).await?;
        }
        tx.commit().await?;
        Ok(secrets)
    }

    /// Whose tickets these are, in the order shown. Each is good once, whatever comes of it.
    ///
    /// # Errors
    /// A fault.
    pub async fn redeem_tickets(&self, shown: &[TicketShown]) -> Result<Vec<Redeemed>, Fault> {
        let control = self.directory.position();
        let now_ms = self.now_ms();
        let stored: Vec<Option<Vec<u8>>> = shown.iter().map(|one| tokens::hash_secret(&one.ticket)).collect();
        let known: Vec<Vec<u8>> = stored.iter().flatten().cloned().collect();
        let mut tx = self.store.begin().await?;
        let mut taken: HashMap<Vec<u8>, rows::TakenTicket> =
            rows::take_tickets(&mut tx, &known, now_ms).await?.into_iter().map(|one| (one.ticket.clone(), one)).collect();
        let sessions: Vec<Uuid> = taken.values().map(|one| one.session).collect();
        let live: HashMap<Uuid, rows::SessionRow> =
            rows::find_live(&mut tx, &sessions, now_ms).await?.into_iter().map(|session| (session.id, session)).collect();
        let others: Vec<Uuid> = sessions.into_iter().filter(|id| !live.contains_key(id)).collect();
        let guests_of: HashMap<Uuid, guests::GuestRow> =
            guests::rows::find_live(&mut tx, &others, now_ms).await?.into_iter().map(|guest| (guest.id, guest)).collect();
        // Before anybody is let in: a ticket that was used must not come back after a crash.
        tx.commit().await?;
        Ok(shown
            .iter()
            .zip(stored)
            .map(|(one, stored)| {
                let ticket = stored.and_then(|stored| taken.remove(&stored)).filter(|ticket| ticket.origin == one.origin);
                let identity = ticket.and_then(|ticket| match live.get(&ticket.session) {
                    Some(session) => self.identity(session, control),
                    None => guests_of.get(&ticket.session).map(|guest| guest.to_identity(control)),
                });
                Redeemed { identity }
            })
            .collect())
    }
}
