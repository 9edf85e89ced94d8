//! Lists: filters, tags, sorting, paging and links, in SQL, driven by the attribute table.

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ModelTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Value,
    sea_query::ExprTrait,
};
use serde_json::json;

use crate::{
    NetworkService,
    attribute::{Filter, check},
    db::{Stored, tag},
    error::{bad_request, invalid_input},
    resource::{Resource, View, nothing, render},
};

type Column<R> = <<R as Resource>::Entity as EntityTrait>::Column;

/// A page and the links to its neighbours, as query strings.
pub struct Page {
    pub items: Vec<View>,
    pub links: Option<Vec<(&'static str, String)>>,
}

const RESERVED: [&str; 6] = ["fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"];
const TAG_FILTERS: [&str; 4] = ["tags", "tags-any", "not-tags", "not-tags-any"];

pub async fn list<R: Resource>(service: &NetworkService, context: &RequestContext, query: &Query) -> Result<Page> {
    context.auth()?;
    let reverse = query.get("page_reverse").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let limit = limit_of(query)?;
    let mut order = order_of::<R>(query)?;
    if reverse {
        for (_, ascending) in &mut order {
            *ascending = !*ascending;
        }
    }
    let connection = service.database.read();
    let mut select = R::Entity::find().filter(R::visible(context)).filter(filters::<R>(context, query)?);
    if let Some(id) = query.get("marker").filter(|id| !id.is_empty()) {
        let marker = crate::resource::find::<R>(connection, context, id).await?;
        select = select.filter(behind::<R>(&order, &marker));
    }
    for (column, ascending) in &order {
        select = select.order_by(*column, if *ascending { Order::Asc } else { Order::Desc });
    }
    if let Some(limit) = limit {
        select = select.limit(limit);
    }
    let mut models: Vec<R::Model> = select.all(connection).await?;
    if reverse {
        models.reverse();
    }
    let links = limit.map(|limit| {
        let short = (models.len() as u64) < limit;
        let mut links = Vec::new();
        if let (Some(first), Some(last)) = (models.first(), models.last()) {
            if reverse || !short {
                links.push(("next", query.with(&[("marker", Some(last.id())), ("page_reverse", None)])));
            }
            if !reverse || !short {
                links.push(("previous", query.with(&[("marker", Some(first.id())), ("page_reverse", Some("True"))])));
            }
        }
        links
    });
    Ok(Page { items: render::<R>(service, context, &models).await?, links })
}

/// Keeps the keys that `fields` names.
pub fn keep_fields(query: &Query, mut view: View) -> View {
    let wanted: Vec<&str> = query.all("fields").filter(|name| !name.is_empty()).collect();
    if !wanted.is_empty() {
        view.retain(|name, _| wanted.contains(&name.as_str()));
    }
    view
}

fn limit_of(query: &Query) -> Result<Option<u64>> {
    let Some(text) = query.get("limit") else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(0) => Ok(None),
        Ok(number) if number > 0 => Ok(u64::try_from(number).ok()),
        _ => Err(Error::invalid(
            "BadRequest",
            format!("Bad limit request: Limit must be an integer 0 or greater and not '{}'.", text.escape_default()),
        )),
    }
}

/// Sort columns with ascending or not; the id is always last.
fn order_of<R: Resource>(query: &Query) -> Result<Vec<(Column<R>, bool)>> {
    let keys: Vec<&str> = query.all("sort_key").collect();
    let directions: Vec<&str> = query.all("sort_dir").collect();
    if keys.len() != directions.len() && !(directions.is_empty() && keys.is_empty()) {
        return Err(bad_request("The number of sort_keys and sort_dirs must be same"));
    }
    let sortable = |key: &str| R::ATTRIBUTES.iter().any(|row| row.name == key && row.sort);
    let bad: Vec<_> = keys.iter().filter(|key| !sortable(key)).map(|key| format!("'{key}'")).collect();
    if !bad.is_empty() {
        return Err(bad_request(format!("[{}] is invalid attribute for sort_keys", bad.join(", "))));
    }
    let mut order = Vec::new();
    for (key, direction) in keys.iter().zip(directions) {
        let ascending = match direction {
            "asc" => true,
            "desc" => false,
            _ => {
                return Err(bad_request(format!(
                    "[{}] is invalid value for sort_dirs, valid value is 'asc' and 'desc'",
                    query.all("sort_dir").map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ")
                )));
            }
        };
        if let Some(column) = R::column(key) {
            order.push((column, ascending));
        }
    }
    if !keys.contains(&"id")
        && let Some(column) = R::column("id")
    {
        order.push((column, true));
    }
    Ok(order)
}

/// Rows that come after the marker in this order; nulls are the smallest values.
fn behind<R: Resource>(order: &[(Column<R>, bool)], marker: &R::Model) -> Condition {
    let mut any = Condition::any();
    for (index, (column, ascending)) in order.iter().enumerate() {
        let mut all = Condition::all();
        for (equal, _) in &order[..index] {
            let value = marker.get(*equal);
            all = if is_null(&value) { all.add(equal.is_null()) } else { all.add(equal.eq(value)) };
        }
        let value = marker.get(*column);
        all = match (is_null(&value), ascending) {
            (true, true) => all.add(column.is_not_null()),
            (true, false) => all.add(nothing()),
            (false, true) => all.add(column.gt(value)),
            (false, false) => all.add(Condition::any().add(column.lt(value)).add(column.is_null())),
        };
        any = any.add(all);
    }
    any
}

fn is_null(value: &Value) -> bool {
    *value == value.as_null()
}

fn filters<R: Resource>(context: &RequestContext, query: &Query) -> Result<Condition> {
    let mut all = Condition::all();
    let mut seen: Vec<&str> = Vec::new();
    let mut bad: Vec<String> = Vec::new();
    for (key, _) in query.iter() {
        if RESERVED.contains(&key) || seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let values: Vec<&str> = query.all(key).collect();
        if R::TAGGED && TAG_FILTERS.contains(&key) {
            all = all.add(tag_condition::<R>(key, &values));
            continue;
        }
        if key == "changed_since" {
            all = all.add(changed_since::<R>(&values)?);
            continue;
        }
        let attribute = R::ATTRIBUTES.iter().find(|row| row.name == key);
        match attribute.and_then(|row| row.filter) {
            None => bad.push(format!("'{key}'")),
            Some(Filter::Special) => all = all.add(R::special_filter(context, key, &values)?),
            Some(filter) => {
                if let Some(column) = R::column(key) {
                    all = all.add(compare(filter, column, &values)?);
                }
            }
        }
    }
    if !bad.is_empty() {
        return Err(bad_request(format!("[{}] is invalid attribute for filtering", bad.join(", "))));
    }
    Ok(all)
}

fn compare<C: ColumnTrait>(filter: Filter, column: C, values: &[&str]) -> Result<Condition> {
    let one_of = |list: Vec<Value>| Condition::all().add(column.is_in(list));
    Ok(match filter {
        Filter::Bool => one_of(values.iter().map(|text| Ok(flag(text)?.into())).collect::<Result<_>>()?),
        Filter::Int => one_of(
            values
                .iter()
                .map(|text| match text.parse::<i64>() {
                    Ok(number) => Ok(number.into()),
                    Err(_) => Err(invalid_input(format!("'{text}' is not an integer"))),
                })
                .collect::<Result<_>>()?,
        ),
        Filter::Lower => one_of(values.iter().map(|text| text.to_ascii_lowercase().into()).collect()),
        Filter::Text | Filter::Special => one_of(values.iter().map(|text| (*text).into()).collect()),
    })
}

/// A boolean in a query.
pub fn flag(text: &str) -> Result<bool> {
    check::boolean(json!(text))
        .ok()
        .and_then(|value| value.as_bool())
        .ok_or_else(|| invalid_input(format!("'{text}' cannot be converted to boolean")))
}

fn tag_condition<R: Resource>(key: &str, values: &[&str]) -> Condition {
    let tags: Vec<String> = values.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
    let Some(id) = R::column("id") else { return nothing() };
    let mut distinct = tags.clone();
    distinct.sort();
    distinct.dedup();
    let mut owners = tag::Entity::find()
        .select_only()
        .column(tag::Column::ResourceId)
        .filter(tag::Column::Tag.is_in(distinct.clone()));
    if !key.ends_with("-any") {
        let wanted = i64::try_from(distinct.len()).unwrap_or(i64::MAX);
        owners = owners.group_by(tag::Column::ResourceId).having(tag::Column::Tag.count().gte(wanted));
    }
    let owners = owners.into_query();
    let condition = if key.starts_with("not-") { id.not_in_subquery(owners) } else { id.in_subquery(owners) };
    Condition::all().add(condition)
}

fn changed_since<R: Resource>(values: &[&str]) -> Result<Condition> {
    let text = values.first().copied().unwrap_or_default();
    let naive = chrono::NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%dT%H:%M:%S%.f");
    let (Ok(time), Some(column)) = (naive, R::column("updated_at")) else {
        return Err(invalid_input(format!("'{text}' is not a valid timestamp")));
    };
    Ok(Condition::all().add(column.gte(time.and_utc())))
}
