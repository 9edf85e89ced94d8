//! Lists: filters with comparators, sorting and keyset paging, all in SQL (spec section 1.2).

use sahab_api::{Meta, Query};
use sahab_contract::{Error, Result};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Condition, Expr, ExprTrait, Func, Query as SqlQuery, SimpleExpr},
};
use serde_json::{Map, Value, json};

/// Most rows of one page, also when the caller sets no limit; more are reached by `links.next`.
const MAX_ROWS: u64 = 10_000;
/// Most rows that a caller's `limit` can ask for (`[DEFAULT] max_db_limit`).
const MAX_LIMIT: u64 = 1_000;

/// A column that a query parameter filters by.
pub enum Filter<C> {
    /// Equality and comparators.
    Text(&'static str, C),
    /// `true/false/1/0`; a bare name is true.
    Flag(&'static str, C),
}

/// Adds the conditions that the query names. Unknown parameters mean nothing.
pub fn filter<E: EntityTrait>(mut select: Select<E>, query: &Query, filters: &[Filter<E::Column>]) -> Select<E> {
    for (key, value) in query.iter() {
        let (name, comparator) = key.split_once("__").map_or((key, None), |(name, rest)| (name, Some(rest)));
        for filter in filters {
            match filter {
                Filter::Text(known, column) if *known == name => {
                    if let Some(condition) = compare(column.into_expr(), comparator, value) {
                        select = select.filter(condition);
                    }
                }
                Filter::Flag(known, column) if *known == name && comparator.is_none() => {
                    select = select.filter(column.eq(is_true(value)));
                }
                _ => {}
            }
        }
    }
    select
}

/// How upstream reads a flag in a query: anything but these is true, the empty text too.
pub fn is_true(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off")
}

/// Whether a flag without or with value is set.
pub fn flag(query: &Query, name: &str) -> bool {
    query.get(name).is_some_and(is_true)
}

/// Case-sensitive comparison by functions that every database has, since `LIKE` differs between them.
fn compare(column: SimpleExpr, comparator: Option<&str>, value: &str) -> Option<SimpleExpr> {
    let Some(comparator) = comparator else {
        return Some(column.eq(value));
    };
    let (comparator, column, value) = match comparator.strip_prefix('i') {
        Some(rest) => (rest, SimpleExpr::from(Func::lower(column)), value.to_lowercase()),
        None => (comparator, column, value.to_owned()),
    };
    let length = i32::try_from(value.chars().count()).unwrap_or(i32::MAX);
    let part = |start: SimpleExpr| {
        SimpleExpr::from(Func::cust("substr").args([column.clone(), start, Expr::value(length)])).eq(value.clone())
    };
    match comparator {
        "equals" => Some(column.eq(value)),
        "startswith" => Some(part(Expr::value(1))),
        "endswith" => {
            let from_end = Expr::expr(Func::char_length(column.clone())).sub(length).add(1);
            Some(part(from_end))
        }
        "contains" if value.is_empty() => None,
        "contains" => {
            let without = Func::cust("replace").args([column.clone(), Expr::value(value.clone()), Expr::value("")]);
            Some(Expr::expr(without).ne(column))
        }
        // Upstream ignores a comparator that it does not know.
        _ => None,
    }
}

/// A part of a list, and whether more follows.
pub struct Page<M> {
    pub rows: Vec<M>,
    pub truncated: bool,
}

/// Sorts by `sort_key` (of `sortable`) and id, starts after `marker`, and cuts at `limit`.
pub async fn page<E>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
    query: &Query,
    id: E::Column,
    sortable: &[(&str, E::Column)],
) -> Result<Page<E::Model>>
where
    E: EntityTrait,
    E::Model: Sync,
{
    let limit = match query.get("limit") {
        None => MAX_ROWS,
        Some(text) => match text.parse::<u64>() {
            Ok(0) => MAX_ROWS,
            Ok(limit) => std::cmp::min(limit, MAX_LIMIT),
            Err(_) => {
                return Err(Error::invalid(
                    "ValidationError",
                    format!(
                        "Invalid input for field/attribute limit. Value: {text}. '{text}' is not of type 'integer'"
                    ),
                ));
            }
        },
    };
    let sort = match query.get("sort_key") {
        None => None,
        Some(key) => match sortable.iter().find(|(name, _)| *name == key) {
            Some((_, column)) => Some(*column),
            None => {
                return Err(Error::invalid(
                    "ValidationError",
                    format!("Invalid input for field/attribute sort_key. Value: {key}. '{key}' cannot be sorted by"),
                ));
            }
        },
    };
    let descending = match query.get("sort_dir") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => {
            return Err(Error::invalid(
                "ValidationError",
                format!(
                    "Invalid input for field/attribute sort_dir. Value: {other}. '{other}' is not one of ['asc', 'desc']"
                ),
            ));
        }
    };
    let mut select = select;
    if let Some(marker) = query.get("marker").filter(|marker| !marker.is_empty()) {
        let known = E::find().select_only().column(id).filter(id.eq(marker)).into_tuple::<String>();
        if known.one(connection).await?.is_none() {
            return Err(Error::not_found("MarkerNotFound", format!("Marker {marker} could not be found.")));
        }
        let after = |column: E::Column, value: SimpleExpr| {
            if descending { Expr::expr(column.into_expr()).lt(value) } else { Expr::expr(column.into_expr()).gt(value) }
        };
        select = match sort {
            None => select.filter(after(id, Expr::value(marker))),
            Some(column) => {
                let of_marker = || {
                    let mut sub = SqlQuery::select();
                    sub.column(column).from(E::default()).and_where(id.eq(marker));
                    SimpleExpr::SubQuery(None, Box::new(sub.into()))
                };
                let same = Expr::expr(column.into_expr()).eq(of_marker()).and(after(id, Expr::value(marker)));
                select.filter(Condition::any().add(after(column, of_marker())).add(same))
            }
        };
    }
    let order = if descending { Order::Desc } else { Order::Asc };
    if let Some(column) = sort {
        select = select.order_by(column, order.clone());
    }
    let mut rows = select.order_by(id, order).limit(limit + 1).all(connection).await?;
    let truncated = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Page { rows, truncated })
}

/// The URL of the request itself.
pub fn self_url(meta: &Meta, query: &Query) -> String {
    let question = if query.raw().is_empty() { "" } else { "?" };
    format!("{}{}{question}{}", meta.base_url, meta.path, query.raw())
}

/// A list as it goes out. `last` is the id of the last item when more rows exist.
pub fn render(meta: &Meta, query: &Query, key: &str, items: Vec<Value>, last: Option<&str>) -> Value {
    let next = match last {
        Some(id) => Value::String(format!("{}{}?{}", meta.base_url, meta.path, query.with(&[("marker", Some(id))]))),
        None => Value::Null,
    };
    let mut body = Map::new();
    body.insert(key.to_owned(), Value::Array(items));
    body.insert("links".into(), json!({"self": self_url(meta, query), "next": next, "previous": null}));
    if last.is_some() {
        body.insert("truncated".into(), Value::Bool(true));
    }
    Value::Object(body)
}
