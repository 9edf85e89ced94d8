//! `limit`, `marker`, `sort_key`, `sort_dir`, and the link to the next page.

use sahab_api::Request;
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

use crate::{db::page::Page, request::Arguments, texts};

/// The largest page, and the one that is given without `limit`.
const LARGEST: u64 = 1000;
pub const KEYS: [&str; 4] = ["limit", "marker", "sort_key", "sort_dir"];

pub struct Paging<C> {
    pub page: Page<C>,
    pub marker: Option<String>,
}

/// `sortable` knows the columns by name; `first` is the default.
pub fn parse<C>(arguments: &Arguments, sortable: fn(&str) -> Option<C>, first: &str) -> Result<Paging<C>> {
    let limit = match arguments.text("limit")? {
        None => LARGEST,
        Some(text) => {
            let number = text.parse::<i64>().map_err(|_| texts::invalid_value("Limit must be an integer."))?;
            match u64::try_from(number) {
                Ok(number) if number > 0 => number.min(LARGEST),
                _ => return Err(texts::invalid_value("Limit must be positive")),
            }
        }
    };
    let descending = match arguments.text("sort_dir")? {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => {
            return Err(texts::invalid_value(format!(
                "Invalid sort direction: {}. Acceptable values are 'asc' or 'desc'",
                other.escape_debug()
            )));
        }
    };
    let key = arguments.text("sort_key")?.unwrap_or(first);
    let sort = sortable(key).ok_or_else(|| {
        Error::invalid("invalid-parameter-value", format!("The sort_key value \"{}\" is invalid.", key.escape_debug()))
    })?;
    let marker = arguments.text("marker")?.filter(|marker| !marker.is_empty()).map(str::to_owned);
    Ok(Paging { page: Page { limit, sort, descending }, marker })
}

/// Absolute URL of the next page, or null. Repeats the whole query: filters must not get lost on the way.
pub fn next<C>(request: &Request, collection: &str, page: &Page<C>, count: usize, last: Option<&str>) -> Value {
    let (Some(last), true) = (last, count as u64 == page.limit) else { return Value::Null };
    let limit = page.limit.to_string();
    let changes = vec![("limit", Some(limit.as_str())), ("marker", Some(last))];
    json!(format!("{}/v1/{collection}?{}", request.context.base_url, request.query.with(&changes)))
}
