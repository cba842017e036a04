//! The list of subjects, one line each: their settings, tables and services. A new subject is its crate, its line in the
//! workspace's and this crate's Cargo.toml, and its line here.

use kernel::{Context, Subject, store::Migrations};
use serde::{Deserialize, Serialize};

macro_rules! subjects {
    ($($name:ident $(($options:ty))? $([$migrations:expr])?: $subject:expr;)*) => {
        /// Settings of the subjects that have any, by subject.
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct SubjectOptions {
            $($(
                #[allow(missing_docs, reason = "explained in the subject's own options")]
                pub $name: $options,
            )?)*
        }

        /// All subjects, running.
        pub fn start(context: &Context, options: &SubjectOptions, followers: usize) -> Vec<Subject> {
            let parts = Parts { context, options, followers };
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
    options: &'a SubjectOptions,
    followers: usize,
}

subjects! {
    accounts: |parts: &Parts<'_>| accounts::subject(parts.context);
    conversations: |parts: &Parts<'_>| conversations::subject(parts.context, parts.followers);
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
