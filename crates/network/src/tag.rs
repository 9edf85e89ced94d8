//! Tags of any taggable resource.

use std::collections::HashMap;

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::check,
    db::{self, CHUNK, tag},
    error::{bad_request, invalid_input},
    resource::{Change, Resource, find},
};

/// Tags of several resources with few queries.
pub async fn of(connection: &impl ConnectionTrait, ids: &[&str]) -> Result<HashMap<String, Vec<String>>> {
    let mut out: HashMap<String, Vec<String>> = HashMap::new();
    for ids in ids.chunks(CHUNK) {
        let rows = tag::Entity::find()
            .filter(tag::Column::ResourceId.is_in(ids.iter().copied()))
            .order_by_asc(tag::Column::Tag)
            .all(connection)
            .await?;
        for row in rows {
            out.entry(row.resource_id).or_default().push(row.tag);
        }
    }
    Ok(out)
}

pub async fn forget(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    tag::Entity::delete_many().filter(tag::Column::ResourceId.eq(id)).exec(connection).await?;
    Ok(())
}

/// A list of tags as a body carries it.
pub fn parse(value: Option<&Value>) -> Result<Vec<String>> {
    let Some(list) = value.and_then(Value::as_array) else {
        return Err(invalid_input("'tags' is not a list"));
    };
    let mut out: Vec<String> = Vec::new();
    for item in list {
        match item.as_str() {
            Some(text) if text.chars().count() <= 255 && !out.iter().any(|have| have == text) => {
                out.push(text.to_owned());
            }
            Some(text) if out.iter().any(|have| have == text) => {
                return Err(invalid_input(format!("Duplicate items in the list: '{}'", check::shown(&json!(list)))));
            }
            _ => return Err(invalid_input(format!("'{}' is not a valid string", check::shown(item)))),
        }
    }
    Ok(out)
}

pub async fn add(connection: &impl ConnectionTrait, id: &str, tags: &[String]) -> Result<()> {
    let have = of(connection, &[id]).await?.remove(id).unwrap_or_default();
    for text in tags.iter().filter(|text| !have.contains(text)) {
        db::insert(connection, tag::Model { resource_id: id.to_owned(), tag: text.clone() }).await?;
    }
    Ok(())
}

fn missing(tag: &str) -> Error {
    Error::not_found("TagNotFound", format!("Tag {tag} could not be found."))
}

async fn change_of<'a, R: Resource>(
    service: &'a NetworkService,
    context: &'a RequestContext,
    id: &str,
) -> Result<(Change<'a>, R::Model)> {
    context.auth()?;
    let mut change = Change::begin(service, context).await?;
    let model = find::<R>(&change.txn, context, id).await?;
    let target = R::target(&mut change, &model).await?;
    change.enforce(&format!("update_{}", R::SINGULAR), &target)?;
    Ok((change, model))
}

async fn finish<R: Resource>(change: Change<'_>, mut model: R::Model) -> Result<()>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
    R::Model: IntoActiveModel<<R::Entity as EntityTrait>::ActiveModel>,
{
    db::Stored::touch(&mut model);
    db::save(&change.txn, &model).await?;
    change.commit().await
}

pub async fn list<R: Resource>(service: &NetworkService, context: &RequestContext, id: &str) -> Result<Vec<String>> {
    context.auth()?;
    find::<R>(service.database.read(), context, id).await?;
    Ok(of(service.database.read(), &[id]).await?.remove(id).unwrap_or_default())
}

pub async fn has<R: Resource>(service: &NetworkService, context: &RequestContext, id: &str, tag: &str) -> Result<()> {
    let tags = list::<R>(service, context, id).await?;
    if tags.iter().any(|have| have == tag) { Ok(()) } else { Err(missing(tag)) }
}

/// Replaces all tags, or adds to them.
pub async fn put<R: Resource>(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: &Map<String, Value>,
    replace: bool,
) -> Result<Vec<String>>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
    R::Model: IntoActiveModel<<R::Entity as EntityTrait>::ActiveModel>,
{
    if !body.contains_key("tags") {
        return Err(bad_request("Invalid input for operation: 'tags' is missing."));
    }
    let tags = parse(body.get("tags"))?;
    let (change, model) = change_of::<R>(service, context, id).await?;
    if replace {
        forget(&change.txn, id).await?;
    }
    add(&change.txn, id, &tags).await?;
    finish::<R>(change, model).await?;
    list::<R>(service, context, id).await
}

pub async fn put_one<R: Resource>(service: &NetworkService, context: &RequestContext, id: &str, tag: &str) -> Result<()>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
    R::Model: IntoActiveModel<<R::Entity as EntityTrait>::ActiveModel>,
{
    let tags = parse(Some(&json!([tag])))?;
    let (change, model) = change_of::<R>(service, context, id).await?;
    add(&change.txn, id, &tags).await?;
    finish::<R>(change, model).await
}

/// Removes one tag, or all.
pub async fn remove<R: Resource>(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    tag: Option<&str>,
) -> Result<()>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
    R::Model: IntoActiveModel<<R::Entity as EntityTrait>::ActiveModel>,
{
    let (change, model) = change_of::<R>(service, context, id).await?;
    match tag {
        None => forget(&change.txn, id).await?,
        Some(text) => {
            let gone = tag::Entity::delete_many()
                .filter(tag::Column::ResourceId.eq(id))
                .filter(tag::Column::Tag.eq(text))
                .exec(&change.txn)
                .await?;
            if gone.rows_affected == 0 {
                return Err(missing(text));
            }
        }
    }
    finish::<R>(change, model).await
}
