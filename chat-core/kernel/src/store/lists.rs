//! Lists in statements: one bound value on PostgreSQL; on SQLite, which binds no lists, as many as the list is long.

/// Lengths of the lists that SQLite is given: it prepares a statement for each, so always the same few are found again; and
/// even ten values a row stay far below the 32,766 that it binds.
const LENGTHS: [usize; 10] = [512, 256, 128, 64, 32, 16, 8, 4, 2, 1];

/// A list in portions of a few lengths, in order, none left out.
pub fn portions<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = LENGTHS.into_iter().find(|length| *length <= rest.len())?;
        let (portion, after) = rest.split_at(length);
        rest = after;
        Some(portion)
    })
}

/// Rows of a statement with a list in it: `$before` ends with the column (`… WHERE id`), then comes the list, then `$after`;
/// the other values are numbered from `$1`. On a `Store` or within a `Tx`; an empty list asks nothing. Gives
/// `Result<Vec<_>, sqlx::Error>`, in no certain order.
#[macro_export]
macro_rules! fetch_among {
    ($on:expr, $row:ty, $before:expr, $list:expr, $after:expr $(, $bind:expr)* $(,)?) => {
        async {
            let list = $list;
            let mut found: Vec<$row> = Vec::new();
            if list.is_empty() {
                return Ok::<_, sqlx::Error>(found);
            }
            let place = 1_usize $(+ { let _ = &$bind; 1 })*;
            if matches!($on.split(), $crate::store::Either::Postgres(_)) {
                let sql = format!("{} = ANY(${place}){}", $before, $after);
                if let $crate::store::Either::Postgres(on) = $on.split() {
                    let query = sqlx::query_as::<sqlx::Postgres, $row>(sqlx::AssertSqlSafe(sql))$(.bind($bind))*;
                    found = query.bind(list.to_vec()).fetch_all(on).await?;
                }
                return Ok(found);
            }
            for portion in $crate::store::portions(&list[..]) {
                let places: Vec<String> = (place..).take(portion.len()).map(|place| format!("${place}")).collect();
                let places = places.join(",");
                let sql = format!("{} IN ({places}){}", $before, $after);
                if let $crate::store::Either::Sqlite(on) = $on.split() {
                    let query = sqlx::query_as::<sqlx::Sqlite, $row>(sqlx::AssertSqlSafe(sql))$(.bind($bind))*;
                    let query = portion.iter().fold(query, |query, one| query.bind(one.clone()));
                    found.extend(query.fetch_all(on).await?);
                }
            }
            Ok(found)
        }
        .await
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_is_made_of_a_few_lengths() {
        let rows: Vec<u32> = (0..1_000).collect();
        for count in 0..rows.len() {
            let portions: Vec<&[u32]> = portions(&rows[..count]).collect();
            assert_eq!(portions.concat(), rows[..count]);
            assert!(portions.iter().all(|portion| LENGTHS.contains(&portion.len())));
        }
    }
}
