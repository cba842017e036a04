//! Who calls: people of every role, in every relation to the organisation `Own` that everything tried belongs to.

use std::collections::BTreeMap;

/// What a person is in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Member,
    Staff,
    Administrator,
    Operator,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Member, Self::Staff, Self::Administrator, Self::Operator];

    pub fn to_proto(self) -> proto::v1::Role {
        match self {
            Self::Member => proto::v1::Role::Member,
            Self::Staff => proto::v1::Role::Staff,
            Self::Administrator => proto::v1::Role::Administrator,
            Self::Operator => proto::v1::Role::Operator,
        }
    }
}

/// Where a person belongs. `Above` is above `Own` and `Beside`; `Below` is below `Own`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Home {
    Own,
    Above,
    Below,
    Beside,
}

impl Home {
    pub const ALL: [Self; 4] = [Self::Own, Self::Above, Self::Below, Self::Beside];

    /// Whether `other` is this organisation or one below it.
    pub fn covers(self, other: Self) -> bool {
        self == other || self == Self::Above || self == Self::Own && other == Self::Below
    }

    /// As it is written in imports.
    pub fn code(self) -> &'static str {
        match self {
            // The organisation that a new service begins with.
            Self::Above => "1",
            Self::Own => "own",
            Self::Below => "below",
            Self::Beside => "beside",
        }
    }
}

/// What a person has to do with what is tried, beside their role and home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    Stranger,
    /// Named among those who post in the consultation.
    Invited,
    /// Invited, and the author of a comment in it.
    Author,
    /// The same, and muted since.
    Muted,
    /// Named as a moderator of the consultation.
    Moderator,
    /// Made the group.
    Owner,
    /// One of the group.
    Joined,
    /// One of the two of the direct conversation.
    Party,
}

/// A person whose account is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    pub role: Role,
    pub home: Home,
    pub tie: Tie,
}

impl Who {
    /// Makes and runs consultations of this organisation: its staff, and administrators of it or above it.
    pub fn manages(self, organisation: Home) -> bool {
        match self.role {
            Role::Staff => self.home == organisation,
            Role::Administrator => self.home.covers(organisation),
            Role::Member | Role::Operator => false,
        }
    }

    /// Moderates the consultation.
    pub fn moderates(self) -> bool {
        self.manages(Home::Own) || self.tie == Tie::Moderator
    }

    /// Named among those who post in the consultation.
    pub fn is_invited(self) -> bool {
        matches!(self.tie, Tie::Invited | Tie::Author | Tie::Muted)
    }

    /// The consultation is for `Own` with those below it, and their members post.
    pub fn is_in_audience(self) -> bool {
        Home::Own.covers(self.home)
    }

    /// Has a comment of their own in the consultation.
    pub fn has_commented(self) -> bool {
        matches!(self.tie, Tie::Author | Tie::Muted)
    }

    /// Keeps the directory of this organisation.
    pub fn administers(self, organisation: Home) -> bool {
        self.role == Role::Operator || self.role == Role::Administrator && self.home.covers(organisation)
    }

    /// Gives this role to somebody of this organisation.
    pub fn grants(self, organisation: Home, role: Role) -> bool {
        self.administers(organisation) && (role != Role::Operator || self.role == Role::Operator)
    }

    /// All whom the table tries.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for role in Role::ALL {
            for home in Home::ALL {
                let ties = [Tie::Stranger, Tie::Invited, Tie::Author, Tie::Muted, Tie::Moderator, Tie::Joined];
                let who = ties.map(|tie| Self { role, home, tie });
                // Those who run a consultation cannot be muted in it.
                all.extend(who.into_iter().filter(|who| who.tie != Tie::Muted || !who.manages(Home::Own)));
            }
        }
        all.push(Self::OWNER);
        all.extend(Self::PARTIES);
        all
    }

    /// Who made the group.
    pub const OWNER: Self = Self { role: Role::Member, home: Home::Own, tie: Tie::Owner };
    /// The two of the direct conversation.
    pub const PARTIES: [Self; 2] =
        [Self { role: Role::Member, home: Home::Own, tie: Tie::Party }, Self { role: Role::Staff, home: Home::Beside, tie: Tie::Party }];

    fn login(self) -> String {
        format!("{:?}.{:?}.{:?}", self.role, self.home, self.tie).to_lowercase()
    }
}

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Without any metadata of an edge.
    Nobody,
    /// With the number of a person who is not in the directory.
    Unknown,
    /// Of this role and home, and disabled.
    Disabled(Role, Home),
    Person(Who),
    /// A screen whose display link is of the consultation that is tried.
    Screen,
    /// A screen of another consultation, which is open.
    OtherScreen,
}

impl Caller {
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Nobody, Self::Unknown, Self::Screen, Self::OtherScreen];
        all.extend(Role::ALL.into_iter().flat_map(|role| Home::ALL.map(|home| Self::Disabled(role, home))));
        all.extend(Who::all().into_iter().map(Self::Person));
        all
    }

    /// Whether it differs from another caller in its tie only.
    pub fn is_stranger(self) -> bool {
        !matches!(self, Self::Person(who) if who.tie != Tie::Stranger)
    }
}

/// People who are called upon and do not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// Staff of `Own`: makes what is tried.
    Convenor,
    /// A member of `Own`, invited, one of the group, with a comment wherever there are some.
    Witness,
    /// A member of `Own` in no conversation.
    Newcomer,
    /// Disabled.
    Lost,
    /// Somebody of this home, with this role.
    Target(Role, Home),
}

/// Everybody's number in the directory.
#[derive(Default)]
pub struct Cast {
    by_login: BTreeMap<String, u32>,
    organisations: BTreeMap<Home, u32>,
}

fn extra_login(extra: Extra) -> String {
    match extra {
        Extra::Target(role, home) => format!("target.{role:?}.{home:?}").to_lowercase(),
        extra => format!("{extra:?}").to_lowercase(),
    }
}

fn disabled_login(role: Role, home: Home) -> String {
    format!("disabled.{role:?}.{home:?}").to_lowercase()
}

impl Cast {
    /// `people`: the numbers of those of [`people_csv`] by their names, which are their logins.
    pub fn new(people: BTreeMap<String, u32>, organisations: BTreeMap<Home, u32>) -> Self {
        Self { by_login: people, organisations }
    }

    fn number(&self, login: &str) -> u32 {
        *self.by_login.get(login).unwrap_or_else(|| panic!("{login} is not in the directory"))
    }

    pub fn person(&self, who: Who) -> u32 {
        self.number(&who.login())
    }

    pub fn disabled(&self, role: Role, home: Home) -> u32 {
        self.number(&disabled_login(role, home))
    }

    pub fn extra(&self, extra: Extra) -> u32 {
        self.number(&extra_login(extra))
    }

    pub fn organisation(&self, home: Home) -> u32 {
        self.organisations[&home]
    }

    /// All callers with one of these ties.
    pub fn tied(&self, ties: &[Tie]) -> Vec<u32> {
        Who::all().into_iter().filter(|who| ties.contains(&who.tie)).map(|who| self.person(who)).collect()
    }
}

/// Organisations to be imported.
pub fn organisations_csv() -> String {
    "code,name,level,parent_code\nown,Own,2,1\nbeside,Beside,2,1\nbelow,Below,3,own\n".to_owned()
}

/// People to be imported, each named as their login.
pub fn people_csv() -> String {
    let mut lines = vec!["login,name,organisation_code,roles".to_owned()];
    let mut add = |login: String, home: Home, role: Role| {
        lines.push(format!("{login},{login},{},{}", home.code(), format!("{role:?}").to_lowercase()));
    };
    Who::all().into_iter().for_each(|who| add(who.login(), who.home, who.role));
    for role in Role::ALL {
        for home in Home::ALL {
            add(disabled_login(role, home), home, role);
            add(extra_login(Extra::Target(role, home)), home, role);
        }
    }
    add(extra_login(Extra::Convenor), Home::Own, Role::Staff);
    for extra in [Extra::Witness, Extra::Newcomer, Extra::Lost] {
        add(extra_login(extra), Home::Own, Role::Member);
    }
    lines.join("\n") + "\n"
}
