//! The authorisation table: every method of the public services, called by people of every role in every relation, and by screens
//! and nobody, on conversations in every state; what each answers is compared with what the subject says.
//!
//! A subject has one file here with its rows. A row is a [`Command`]: which method, where it is tried, how it is called, and what a
//! person is to be answered. Everything else is the same for all rows and stands here: nobody and unknown numbers are
//! UNAUTHENTICATED, the disabled are told so, and screens are refused where a row does not say more.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod consultations;
mod conversations;
mod directory;
mod displays;
mod moderation;
mod people;
mod polls;
mod posts;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use futures::{StreamExt as _, future::BoxFuture, stream};
use prost::Message as _;
use proto::v1::{Refusal, RefusalCode};
use tonic::Status;

use self::{
    people::{Caller, Who},
    world::{Cell, Place, World},
};

/// Calls under way at the same time.
const AT_ONCE: usize = 32;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    /// Answered with a list in which what is tried is; or is not.
    Listed,
    NotListed,
    /// Answered with a report that nothing was done.
    Complained,
    Refused(RefusalCode),
}

impl Outcome {
    fn listed(is_listed: bool) -> Self {
        if is_listed { Self::Listed } else { Self::NotListed }
    }

    /// The answer where something may be done, and FORBIDDEN where not.
    fn allowed(may: bool) -> Self {
        if may { Self::Answered } else { Self::Refused(RefusalCode::Forbidden) }
    }
}

/// One row of the table.
struct Command {
    /// "ConversationService/GetPage".
    method: &'static str,
    /// What is tried, where a method has several rows.
    case: String,
    places: Vec<Place>,
    /// Whether ties matter; otherwise one person of each role and home calls.
    ties: bool,
    /// Whether it changes what later calls are answered, so that there must be something new after it.
    changes: bool,
    /// Whether no other call may be under way meanwhile.
    alone: bool,
    call: Box<dyn Fn(Cell) -> BoxFuture<'static, Result<Outcome, Status>>>,
    expect: Box<dyn Fn(Who, Place) -> Outcome>,
    expect_screen: Box<dyn Fn(bool, Place) -> Outcome>,
}

impl Command {
    fn new<C, F>(
        method: &'static str,
        case: impl Into<String>,
        places: &[Place],
        call: C,
        expect: impl Fn(Who, Place) -> Outcome + 'static,
    ) -> Self
    where
        C: Fn(Cell) -> F + 'static,
        F: Future<Output = Result<Outcome, Status>> + Send + 'static,
    {
        Self {
            method,
            case: case.into(),
            places: places.to_vec(),
            ties: true,
            changes: false,
            alone: false,
            call: Box::new(move |cell| Box::pin(call(cell))),
            expect: Box::new(expect),
            expect_screen: Box::new(|_, _| Outcome::Refused(RefusalCode::Forbidden)),
        }
    }

    /// After it was answered, what it was tried on is made anew.
    fn changing(mut self) -> Self {
        self.changes = true;
        self
    }

    /// It changes something and changes it back.
    fn one_by_one(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Only roles and homes matter.
    fn without_ties(mut self) -> Self {
        self.ties = false;
        self
    }

    /// What a screen is answered. `own`: its link is of the consultation that is tried.
    fn for_screens(mut self, expect: impl Fn(bool, Place) -> Outcome + 'static) -> Self {
        self.expect_screen = Box::new(expect);
        self
    }

    fn make(&self, cell: Cell) -> BoxFuture<'static, Outcome> {
        let call = (self.call)(cell);
        Box::pin(async move { call.await.unwrap_or_else(|status| Outcome::Refused(Refusal::from_status(&status).code())) })
    }

    fn expected(&self, caller: Caller, place: Place) -> Outcome {
        match caller {
            Caller::Nobody | Caller::Unknown => Outcome::Refused(RefusalCode::Unauthenticated),
            Caller::Disabled(..) => Outcome::Refused(RefusalCode::AccountDisabled),
            Caller::Screen => (self.expect_screen)(place.is_consultation(), place),
            Caller::OtherScreen => (self.expect_screen)(false, place),
            Caller::Person(who) => (self.expect)(who, place),
        }
    }
}

/// Every subject's rows. What changes something comes last, so that lists stay short while they are asked for.
fn commands() -> Vec<Command> {
    let subjects = [
        accounts::commands(),
        conversations::commands(),
        posts::commands(),
        polls::commands(),
        consultations::commands(),
        displays::commands(),
        moderation::commands(),
        directory::commands(),
    ];
    let mut commands: Vec<Command> = subjects.into_iter().flatten().collect();
    commands.sort_by_key(|command| command.changes);
    commands
}

/// Cells tried, answered and wrong.
#[derive(Clone, Copy, Default)]
struct Count {
    cells: usize,
    answered: usize,
    wrong: usize,
}

/// What all calls came to.
#[derive(Default)]
struct Table {
    by_method: BTreeMap<&'static str, Count>,
    wrong: Vec<String>,
}

impl Table {
    fn note(&mut self, command: &Command, place: Place, caller: Caller, found: Outcome) {
        let expected = command.expected(caller, place);
        let count = self.by_method.entry(command.method).or_default();
        count.cells += 1;
        count.answered += usize::from(!matches!(found, Outcome::Refused(_)));
        if found != expected {
            count.wrong += 1;
            self.wrong.push(format!("{} ({}) at {place:?} by {caller:?}: {found:?}, not {expected:?}", command.method, command.case));
        }
    }

    fn print(&self) {
        let line = |name: &str, count: Count| println!("{name:<44} {:>6} {:>8} {:>5}", count.cells, count.answered, count.wrong);
        println!("{:<44} {:>6} {:>8} {:>5}", "method", "cells", "answered", "wrong");
        let mut total = Count::default();
        for (method, count) in &self.by_method {
            line(method, *count);
            total.cells += count.cells;
            total.answered += count.answered;
            total.wrong += count.wrong;
        }
        line("all", total);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_is_answered_as_its_subject_says() {
    let mut world = World::start().await;
    let callers = Caller::all();
    let mut table = Table::default();
    for command in commands() {
        for place in command.places.iter().copied() {
            let callers = callers.iter().copied().filter(|caller| command.ties || caller.is_stranger());
            // Who is refused changes nothing, and need not wait for others.
            let (together, others): (Vec<_>, Vec<_>) = callers.partition(|caller| {
                let refused = matches!(command.expected(*caller, place), Outcome::Refused(_));
                !command.alone && (!command.changes || refused)
            });
            let calls = together.into_iter().map(|caller| {
                let found = command.make(world.cell(caller, place));
                async move { (caller, found.await) }
            });
            let found: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
            for (caller, found) in &found {
                table.note(&command, place, *caller, *found);
            }
            if command.changes && found.iter().any(|(_, found)| *found == Outcome::Answered) {
                world.renew(place).await;
            }
            for caller in others {
                let found = command.make(world.cell(caller, place)).await;
                table.note(&command, place, caller, found);
                if command.changes && found == Outcome::Answered {
                    world.renew(place).await;
                }
            }
        }
    }
    world.stop().await;
    table.print();
    assert!(table.wrong.is_empty(), "{} wrong cells:\n{}", table.wrong.len(), table.wrong.join("\n"));
}

/// A method that is added to a public service gets its row, or nobody has said who may call it.
#[test]
fn every_public_method_has_a_row() {
    let descriptors = prost_types::FileDescriptorSet::decode(proto::PUBLIC_DESCRIPTORS).unwrap();
    let services = descriptors.file.iter().flat_map(|file| &file.service);
    let methods: BTreeSet<String> =
        services.flat_map(|service| service.method.iter().map(|method| format!("{}/{}", service.name(), method.name()))).collect();
    let rows: BTreeSet<String> = commands().iter().map(|command| command.method.to_owned()).collect();
    assert!(methods.len() > 30, "{methods:?}");
    assert_eq!(methods.difference(&rows).collect::<Vec<_>>(), Vec::<&String>::new(), "methods without a row");
    assert_eq!(rows.difference(&methods).collect::<Vec<_>>(), Vec::<&String>::new(), "rows of no method");
}
