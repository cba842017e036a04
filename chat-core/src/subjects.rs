//! The list of subjects, one line each: their settings, tables and services. A new subject is its crate, its line in this crate's
//! Cargo.toml, and its line here.

use kernel::{Context, Subject, accounts::AccountOptions, log::LogOptions, store::Migrations, store::StoreOptions};
use serde::{Deserialize, Serialize};

macro_rules! subjects {
    ($($name:ident $(($options:ty))? $([$migrations:expr])?: $subject:expr;)*) => {
        /// Everything that is bounded or chosen in a chat-core: the kernel's parts, then the subjects that have settings, each under
        /// its name.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Options {
            /// The database.
            pub store: StoreOptions,
            /// The log.
            pub log: LogOptions,
            /// Passwords, sessions, tickets.
            pub accounts: AccountOptions,
            /// Conversations whose rules are kept in memory at most.
            pub rules_known: usize,
            /// What the organisation at the top is called where a new service begins with nothing.
            pub first_organisation: String,
            $($(
                #[allow(missing_docs, reason = "explained in the subject's own options")]
                pub $name: $options,
            )?)*
        }

        impl Default for Options {
            fn default() -> Self {
                Self {
                    store: StoreOptions::default(),
                    log: LogOptions::default(),
                    accounts: AccountOptions::default(),
                    rules_known: 20_000,
                    first_organisation: "议堂".to_owned(),
                    $($($name: <$options>::default(),)?)*
                }
            }
        }

        /// The sources of all settings, by the key they stand under (empty: of [`Options`] itself and the kernel): the comment above a
        /// field is what docs/settings.md says of it.
        #[must_use]
        pub fn option_sources() -> Vec<(&'static str, &'static str)> {
            let mut all = vec![("", include_str!("subjects.rs"))];
            all.extend(kernel::OPTION_SOURCES.map(|source| ("", source)));
            $($({
                let _: Option<$options> = None;
                all.push((stringify!($name), $name::OPTIONS_SOURCE));
            })?)*
            all
        }

        /// All subjects, running.
        pub fn start(context: &Context, options: &Options) -> Vec<Subject> {
            let parts = Parts { context, options };
            vec![$(($subject)(&parts)),*]
        }

        /// Tables of the kernel and of all subjects.
        #[must_use]
        pub fn migrations() -> Vec<Migrations> {
            let mut all = vec![kernel::MIGRATIONS.clone()];
            $($(all.push($migrations.clone());)?)*
            all
        }
    };
}

/// What subjects are started with.
struct Parts<'a> {
    context: &'a Context,
    options: &'a Options,
}

subjects! {
    accounts: |parts: &Parts<'_>| accounts::subject(parts.context);
    conversations: |parts: &Parts<'_>| conversations::subject(parts.context, parts.options.log.followers);
    consultations (consultations::ConsultationOptions): |parts: &Parts<'_>| consultations::subject(parts.context, &parts.options.consultations);
    directory: |parts: &Parts<'_>| directory::subject(parts.context);
    displays (displays::DisplayOptions): |parts: &Parts<'_>| displays::subject(parts.context, &parts.options.displays);
    moderation [moderation::MIGRATIONS]: |parts: &Parts<'_>| moderation::subject(parts.context);
    polls: |parts: &Parts<'_>| polls::subject(parts.context);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_two_migrations_have_one_version() {
        for database in ["sqlite", "postgres"] {
            let mut versions = BTreeMap::new();
            for part in migrations() {
                let part = if database == "sqlite" { part.sqlite } else { part.postgres };
                for migration in part.iter() {
                    let other = versions.insert(migration.version, migration.description.clone());
                    assert!(other.is_none(), "{database}: {} is {other:?} and {:?}", migration.version, migration.description);
                }
            }
            let expected: Vec<i64> = (1..=versions.len() as i64).collect();
            assert_eq!(versions.into_keys().collect::<Vec<_>>(), expected, "{database}: none is left out");
        }
    }
}
