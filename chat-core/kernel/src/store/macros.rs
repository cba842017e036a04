//! One text of a statement on either database. `$on` is a `Store` (reads) or a `Tx`; rows are types that derive
//! `FromRow`, or tuples. All give `Result<_, sqlx::Error>`.

/// All rows.
#[macro_export]
macro_rules! fetch_all {
    ($on:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $on.split() {
            $crate::store::Either::Sqlite(on) => sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($bind))*.fetch_all(on).await,
            $crate::store::Either::Postgres(on) => sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($bind))*.fetch_all(on).await,
        }
    };
}

/// One row or none.
#[macro_export]
macro_rules! fetch_optional {
    ($on:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $on.split() {
            $crate::store::Either::Sqlite(on) => sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($bind))*.fetch_optional(on).await,
            $crate::store::Either::Postgres(on) => sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($bind))*.fetch_optional(on).await,
        }
    };
}

/// Exactly one row.
#[macro_export]
macro_rules! fetch_one {
    ($on:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $on.split() {
            $crate::store::Either::Sqlite(on) => sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($bind))*.fetch_one(on).await,
            $crate::store::Either::Postgres(on) => sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($bind))*.fetch_one(on).await,
        }
    };
}

/// How many rows were written.
#[macro_export]
macro_rules! execute {
    ($on:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $on.split() {
            $crate::store::Either::Sqlite(on) => sqlx::query::<sqlx::Sqlite>($sql)$(.bind($bind))*.execute(on).await.map(|done| done.rows_affected()),
            $crate::store::Either::Postgres(on) => sqlx::query::<sqlx::Postgres>($sql)$(.bind($bind))*.execute(on).await.map(|done| done.rows_affected()),
        }
    };
}
