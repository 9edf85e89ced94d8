//! Listing: filters, sorting and paging, all of it in the database.

use chrono::{DateTime, NaiveDateTime, Utc};
use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};

use crate::{
    ImageService,
    db::{
        image::{self, Column, Model},
        member,
    },
    view::VISIBILITIES,
};

const DEFAULT_LIMIT: u64 = 25;
const MAX_LIMIT: u64 = 1000;

/// Query keys that are no custom properties.
const RESERVED: &[&str] =
    &["limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "tag", "size_min", "size_max"];

impl ImageService {
    /// The page and whether it is full.
    pub async fn list(&self, context: &RequestContext, query: &Query) -> Result<(Vec<Model>, bool)> {
        let limit = match query.get("limit").map(str::parse::<i64>) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if limit >= 0 => std::cmp::min(limit.unsigned_abs(), MAX_LIMIT),
            Some(_) => return Err(bad("limit param must be an integer that is not negative")),
        };
        let mut select = image::live().filter(scope(context, query)?).filter(filters(query)?);
        let order = order(query)?;
        if let Some(marker) = query.get("marker") {
            let row = image::find(self.database.read(), marker).await?;
            let row = row.ok_or_else(|| bad("Invalid marker. Image could not be found."))?;
            select = select.filter(after(&order, &row));
        }
        for (column, direction) in &order {
            select = select.order_by(*column, direction.clone());
        }
        let rows = select.limit(limit).all(self.database.read()).await?;
        let full = limit > 0 && rows.len() as u64 == limit;
        Ok((rows, full))
    }
}

/// What the caller gets to see, by visibility and membership.
fn scope(context: &RequestContext, query: &Query) -> Result<Condition> {
    let project = context.project_id().unwrap_or_default();
    let status = query.get("member_status").unwrap_or("accepted");
    if !["accepted", "pending", "rejected", "all"].contains(&status) {
        return Err(bad(&format!("Invalid status: {status}")));
    }
    let mut membership = member::Entity::find()
        .select_only()
        .column(member::Column::ImageId)
        .filter(member::Column::MemberId.eq(project));
    if status != "all" {
        membership = membership.filter(member::Column::Status.eq(status));
    }
    let shared_with_me = Column::Visibility.eq("shared").and(Column::Id.in_subquery(membership.into_query()));
    let own = Column::Owner.eq(project);
    let condition = Condition::any().add(own.clone()).add(Column::Visibility.eq("public")).add(shared_with_me);
    Ok(match query.get("visibility") {
        None => condition,
        Some("all") if context.is_admin() => Condition::all(),
        Some("all") => condition.add(Column::Visibility.eq("community")),
        Some("community") => Condition::all().add(Column::Visibility.eq("community")),
        Some(wanted) if VISIBILITIES.contains(&wanted) => {
            Condition::all().add(condition).add(Column::Visibility.eq(wanted))
        }
        Some(other) => return Err(bad(&format!("Invalid visibility value: {other}"))),
    })
}

fn filters(query: &Query) -> Result<Condition> {
    let mut all = Condition::all();
    if !query.has("os_hidden") {
        all = all.add(Column::OsHidden.eq(false));
    }
    for tag in query.all("tag") {
        all = all.add(Expr::cust_with_values("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)", [tag]));
    }
    for (key, value) in query.iter() {
        let number = || value.parse::<i64>().map_err(|_| bad(&format!("Unable to filter on {key} with {value}")));
        let flag = || match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(bad(&format!("Unable to filter on {key} with {value}"))),
        };
        all = match key {
            "id" => all.add(text(Column::Id, value)),
            "name" => all.add(text(Column::Name, value)),
            "status" => all.add(text(Column::Status, value)),
            "container_format" => all.add(text(Column::ContainerFormat, value)),
            "disk_format" => all.add(text(Column::DiskFormat, value)),
            "owner" => all.add(Column::Owner.eq(value)),
            "checksum" => all.add(Column::Checksum.eq(value)),
            "os_hash_value" => all.add(Column::OsHashValue.eq(value)),
            "protected" => all.add(Column::Protected.eq(flag()?)),
            "os_hidden" => all.add(Column::OsHidden.eq(flag()?)),
            "size_min" => all.add(Column::Size.gte(number()?)),
            "size_max" => all.add(Column::Size.lte(number()?)),
            "min_ram" => all.add(Column::MinRam.eq(number()?)),
            "min_disk" => all.add(Column::MinDisk.eq(number()?)),
            "created_at" => all.add(moment(Column::CreatedAt, value)?),
            "updated_at" => all.add(moment(Column::UpdatedAt, value)?),
            _ if RESERVED.contains(&key) => all,
            _ => all.add(Expr::cust_with_values(
                "EXISTS (SELECT 1 FROM json_each(properties) WHERE key = ? AND value = ?)",
                [key, value],
            )),
        };
    }
    Ok(all)
}

/// Equality, or `in:a,"b,c"`.
fn text(column: Column, value: &str) -> SimpleExpr {
    let Some(list) = value.strip_prefix("in:") else { return column.eq(value) };
    let (mut items, mut item, mut quoted) = (Vec::new(), String::new(), false);
    for character in list.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            other => item.push(other),
        }
    }
    items.push(item);
    column.is_in(items)
}

/// `gt:`, `gte:`, `lt:`, `lte:`, `eq:`, `neq:` and a time; without an operator, equality.
fn moment(column: Column, value: &str) -> Result<SimpleExpr> {
    let (operator, text) = match value.split_once(':') {
        Some((operator, rest)) if operator.chars().all(|c| c.is_ascii_alphabetic()) => (operator, rest),
        _ => ("eq", value),
    };
    let time = parse_time(text).ok_or_else(|| bad(&format!("Invalid time format: {text}.")))?;
    // The API shows whole seconds, so a second is what is compared.
    let next = time + chrono::TimeDelta::seconds(1);
    Ok(match operator {
        "gt" => column.gte(next),
        "gte" => column.gte(time),
        "lt" => column.lt(time),
        "lte" => column.lt(next),
        "eq" => column.gte(time).and(column.lt(next)),
        "neq" => column.lt(time).or(column.gte(next)),
        other => return Err(bad(&format!("Unable to filter by unknown operator '{other}'."))),
    })
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").map(|time| time.and_utc()))
        .ok()
}

/// Columns to sort by, ending with one that makes the order total.
fn order(query: &Query) -> Result<Vec<(Column, Order)>> {
    let direction = |text: &str| match text {
        "asc" => Ok(Order::Asc),
        "desc" => Ok(Order::Desc),
        other => Err(bad(&format!("Invalid sort direction: {other}"))),
    };
    let mut order = Vec::new();
    if let Some(sort) = query.get("sort") {
        for part in sort.split(',') {
            let (key, way) = part.split_once(':').unwrap_or((part, "desc"));
            order.push((column(key)?, direction(way)?));
        }
    } else {
        let keys: Vec<_> = query.all("sort_key").collect();
        let ways: Vec<_> = query.all("sort_dir").collect();
        if keys.len() > 1 && ways.len() > 1 && keys.len() != ways.len() {
            return Err(bad("Number of sort dirs does not match the number of sort keys"));
        }
        for (index, key) in keys.iter().enumerate() {
            let way = ways.get(index).or(ways.first()).copied().unwrap_or("desc");
            order.push((column(key)?, direction(way)?));
        }
        if keys.is_empty()
            && let Some(way) = ways.first()
        {
            order.push((Column::CreatedAt, direction(way)?));
        }
    }
    for fallback in [Column::CreatedAt, Column::Id] {
        if !order.iter().any(|(known, _)| std::mem::discriminant(known) == std::mem::discriminant(&fallback)) {
            order.push((fallback, Order::Desc));
        }
    }
    Ok(order)
}

fn column(key: &str) -> Result<Column> {
    Ok(match key {
        "name" => Column::Name,
        "status" => Column::Status,
        "container_format" => Column::ContainerFormat,
        "disk_format" => Column::DiskFormat,
        "size" => Column::Size,
        "id" => Column::Id,
        "created_at" => Column::CreatedAt,
        "updated_at" => Column::UpdatedAt,
        other => {
            return Err(bad(&format!(
                "Invalid sort key: {other}. It must be one of name, status, size, id, created_at, updated_at, disk_format, container_format."
            )));
        }
    })
}

/// Rows that come after `row` in the order; NULL sorts first, as SQLite does.
fn after(order: &[(Column, Order)], row: &Model) -> Condition {
    let mut any = Condition::any();
    let mut equal = Condition::all();
    for (column, direction) in order {
        let value = value_of(*column, row);
        let ascending = matches!(direction, Order::Asc);
        let beyond = match (&value, ascending) {
            (Some(value), true) => Some(column.gt(value.clone())),
            (Some(value), false) => Some(column.lt(value.clone()).or(column.is_null())),
            (None, true) => Some(column.is_not_null()),
            (None, false) => None,
        };
        if let Some(beyond) = beyond {
            any = any.add(equal.clone().add(beyond));
        }
        equal = match value {
            Some(value) => equal.add(column.eq(value)),
            None => equal.add(column.is_null()),
        };
    }
    any
}

fn value_of(column: Column, row: &Model) -> Option<sea_orm::Value> {
    match column {
        Column::Name => row.name.clone().map(Into::into),
        Column::Status => Some(row.status.clone().into()),
        Column::ContainerFormat => row.container_format.clone().map(Into::into),
        Column::DiskFormat => row.disk_format.clone().map(Into::into),
        Column::Size => row.size.map(Into::into),
        Column::CreatedAt => Some(row.created_at.into()),
        Column::UpdatedAt => Some(row.updated_at.into()),
        _ => Some(row.id.clone().into()),
    }
}

fn bad(text: &str) -> Error {
    Error::invalid("BadRequest", text)
}
