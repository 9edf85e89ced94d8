//! The rules of images: who sees and changes them, which values are allowed, how their status moves.

use axum::body::Body;
use sahab_contract::{Error, Kind, RequestContext, Result, context::now};
use sahab_db::is_unique_violation;
use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::{
    ImageService,
    db::{image, image::Model, member},
    patch::Change,
    view::{BASE, CONTAINER_FORMATS, DISK_FORMATS, READ_ONLY, VISIBILITIES},
};

const MAX_TAGS: usize = 128;
const MAX_PROPERTIES: usize = 128;

pub fn not_found(id: &str) -> Error {
    Error::not_found("ImageNotFound", format!("No image found with ID {id}"))
}

impl ImageService {
    pub(crate) async fn recover(&self) -> Result<()> {
        let txn = self.database.begin().await?;
        for mut row in image::live().filter(image::Column::Status.eq("saving")).all(&txn).await? {
            row.status = "queued".into();
            image::save(&txn, row).await?;
        }
        txn.commit().await?;
        for name in self.store.names().await? {
            let row = image::find(self.database.read(), &name).await?;
            if !row.is_some_and(|row| matches!(row.status.as_str(), "active" | "deactivated")) {
                self.store.remove_name(&name).await?;
            }
        }
        Ok(())
    }

    /// Whether the rule allows it; `member` is the caller's own membership, if it matters to the rule.
    pub(crate) fn allows(&self, context: &RequestContext, rule: &str, row: &Model, member: Option<&str>) -> bool {
        let target = json!({
            "owner": row.owner, "visibility": row.visibility, "member_id": member.unwrap_or_default(), "id": row.id,
        });
        self.enforcer.allows(context, rule, &target)
    }

    pub(crate) fn enforce(&self, context: &RequestContext, rule: &str, row: &Model) -> Result<()> {
        match self.allows(context, rule, row, None) {
            true => Ok(()),
            false => Err(Error::forbidden("Forbidden", format!("You are not authorized to complete {rule} action."))),
        }
    }

    /// The image, if the caller may see it at all.
    pub(crate) async fn visible(&self, context: &RequestContext, id: &str) -> Result<Model> {
        let row = image::find(self.database.read(), id).await?.ok_or_else(|| not_found(id))?;
        let member = match context.project_id() {
            Some(project) if row.visibility == "shared" && project != row.owner => {
                member::find(self.database.read(), id, project).await?.map(|member| member.member_id)
            }
            _ => None,
        };
        match self.allows(context, "get_image", &row, member.as_deref()) {
            true => Ok(row),
            false => Err(not_found(id)),
        }
    }

    pub async fn create(&self, context: &RequestContext, mut body: Map<String, Value>) -> Result<Model> {
        let owner = match body.remove("owner") {
            None | Some(Value::Null) => context.require_project()?.to_owned(),
            Some(Value::String(owner)) if owner == context.require_project()? || context.is_admin() => owner,
            Some(_) => {
                return Err(Error::forbidden("Forbidden", "You are not permitted to create images owned by others."));
            }
        };
        let id = match body.remove("id") {
            None => context.new_uuid(),
            Some(Value::String(id)) if uuid::Uuid::parse_str(&id).is_ok() => id.to_lowercase(),
            Some(other) => return Err(schema_error(&format!("{other} does not match the pattern of an id"), "id")),
        };
        let now = now();
        let mut row = Model {
            id: id.clone(),
            name: None,
            status: "queued".into(),
            visibility: "shared".into(),
            owner,
            protected: false,
            os_hidden: false,
            disk_format: None,
            container_format: None,
            size: None,
            min_ram: 0,
            min_disk: 0,
            checksum: None,
            os_hash_value: None,
            properties: json!({}),
            tags: json!([]),
            created_at: now,
            updated_at: now,
            deleted: false,
        };
        self.enforce(context, "add_image", &row)?;
        for (key, value) in body {
            set(&mut row, &key, value)?;
        }
        if row.visibility == "public" {
            self.enforce(context, "publicize_image", &row)?;
        }
        let txn = self.database.begin().await?;
        image::insert(&txn, row.clone()).await.map_err(|error| match is_unique_violation(&error) {
            true => Error::conflict("Duplicate", format!("Image ID {id} already exists!")),
            false => error.into(),
        })?;
        txn.commit().await?;
        Ok(row)
    }

    pub async fn update(&self, context: &RequestContext, id: &str, changes: Vec<Change>) -> Result<Model> {
        let visible = self.visible(context, id).await?;
        self.enforce(context, "modify_image", &visible)?;
        let txn = self.database.begin().await?;
        let mut row = image::find(&txn, id).await?.ok_or_else(|| not_found(id))?;
        let before = row.clone();
        for change in changes {
            apply(context, &mut row, change)?;
        }
        if row.visibility == "public" && before.visibility != "public" {
            self.enforce(context, "publicize_image", &row)?;
        }
        let formats = |row: &Model| (row.disk_format.clone(), row.container_format.clone());
        if before.status != "queued" && formats(&before) != formats(&row) {
            return Err(Error::forbidden(
                "Forbidden",
                "Attribute container_format can be only replaced for a queued image.",
            ));
        }
        row.updated_at = now();
        image::save(&txn, row.clone()).await?;
        txn.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        let visible = self.visible(context, id).await?;
        self.enforce(context, "delete_image", &visible)?;
        let txn = self.database.begin().await?;
        let mut row = image::find(&txn, id).await?.ok_or_else(|| not_found(id))?;
        if row.protected {
            let text = format!("Image {id} is protected and cannot be deleted.");
            return Err(Error::forbidden("Forbidden", text));
        }
        row.deleted = true;
        row.status = "deleted".into();
        row.updated_at = now();
        image::save(&txn, row).await?;
        member::delete_all(&txn, id).await?;
        txn.commit().await?;
        // A crash before this line leaves a file that the next start removes.
        self.store.remove(id).await
    }

    pub async fn upload(&self, context: &RequestContext, id: &str, body: Body) -> Result<()> {
        let visible = self.visible(context, id).await?;
        self.enforce(context, "upload_image", &visible)?;
        if visible.disk_format.is_none() || visible.container_format.is_none() {
            let text = "Properties disk_format, container_format must be set prior to saving data.";
            return Err(Error::invalid("BadRequest", text));
        }
        self.move_status(id, &["queued"], "saving", |_| {}).await?;
        match self.store.write(id, body, self.size_cap).await {
            Ok(stored) => {
                let done = self
                    .move_status(id, &["saving"], "active", |row| {
                        row.size = i64::try_from(stored.size).ok();
                        row.checksum = Some(stored.md5.clone());
                        row.os_hash_value = Some(stored.sha512.clone());
                    })
                    .await;
                if let Err(error) = done {
                    self.store.remove(id).await?;
                    return Err(match error.kind() {
                        Kind::NotFound => {
                            Error::new(Kind::Gone, "Gone", format!("Image {id} was deleted during the upload."))
                        }
                        _ => error,
                    });
                }
                Ok(())
            }
            Err(error) => {
                let _ = self.move_status(id, &["saving"], "queued", |_| {}).await;
                Err(error)
            }
        }
    }

    /// The image and the bytes `range` (first, last inclusive) of it; `None` when it has no data yet.
    pub async fn download(
        &self,
        context: &RequestContext,
        id: &str,
        range: Option<(u64, Option<u64>)>,
    ) -> Result<Option<(Model, u64, u64, Body)>> {
        let row = self.visible(context, id).await?;
        let member = context.project_id().filter(|_| row.visibility == "shared");
        if !self.allows(context, "download_image", &row, member) {
            return Err(Error::forbidden("Forbidden", "You are not authorized to complete download_image action."));
        }
        if row.status == "deactivated" && !context.is_admin() {
            return Err(Error::forbidden(
                "Forbidden",
                "The requested image has been deactivated. Image data download is forbidden.",
            ));
        }
        let Some(size) = row.size.and_then(|size| u64::try_from(size).ok()) else { return Ok(None) };
        let (first, last) = match range {
            Some((first, last)) => (first, last.unwrap_or(u64::MAX).min(size.saturating_sub(1))),
            None => (0, size.saturating_sub(1)),
        };
        let length = if size == 0 { 0 } else { last.saturating_sub(first) + 1 };
        let body = self.store.read(id, first, length).await?;
        Ok(Some((row, first, length, body)))
    }

    pub async fn set_active(&self, context: &RequestContext, id: &str, active: bool) -> Result<()> {
        let row = self.visible(context, id).await?;
        self.enforce(context, if active { "reactivate" } else { "deactivate" }, &row)?;
        let to = if active { "active" } else { "deactivated" };
        if !matches!(row.status.as_str(), "active" | "deactivated") {
            let text = format!("Not allowed to change the status of an image in status '{}'.", row.status);
            return Err(Error::forbidden("Forbidden", text));
        }
        self.move_status(id, &["active", "deactivated"], to, |_| {}).await
    }

    pub async fn set_tag(&self, context: &RequestContext, id: &str, tag: &str, present: bool) -> Result<()> {
        let visible = self.visible(context, id).await?;
        self.enforce(context, "modify_image", &visible)?;
        let txn = self.database.begin().await?;
        let mut row = image::find(&txn, id).await?.ok_or_else(|| not_found(id))?;
        let mut tags: Vec<Value> = row.tags.as_array().cloned().unwrap_or_default();
        let had = tags.iter().any(|known| known == tag);
        match (present, had) {
            (true, true) => return Ok(()),
            (true, false) => tags.push(tag.into()),
            (false, true) => tags.retain(|known| known != tag),
            (false, false) => {
                return Err(Error::not_found("TagNotFound", format!("Tag {tag} not found on image {id}.")));
            }
        }
        set(&mut row, "tags", Value::Array(tags))?;
        row.updated_at = now();
        image::save(&txn, row).await?;
        txn.commit().await?;
        Ok(())
    }

    async fn move_status(&self, id: &str, from: &[&str], to: &str, change: impl Fn(&mut Model)) -> Result<()> {
        let txn = self.database.begin().await?;
        let mut row = image::find(&txn, id).await?.ok_or_else(|| not_found(id))?;
        if !from.contains(&row.status.as_str()) {
            let text = format!("Image status transition from {} to {to} is not allowed", row.status);
            return Err(Error::conflict("Conflict", text));
        }
        row.status = to.to_owned();
        row.updated_at = now();
        change(&mut row);
        image::save(&txn, row).await?;
        txn.commit().await?;
        Ok(())
    }
}

fn schema_error(reason: &str, key: &str) -> Error {
    Error::invalid("BadRequest", format!("Provided object does not match schema 'image': {reason}. Failed on '{key}'."))
}

fn apply(context: &RequestContext, row: &mut Model, change: Change) -> Result<()> {
    match change {
        Change::Add(key, value) => {
            check_owner(context, &key)?;
            set(row, &key, value)
        }
        Change::Replace(key, value) => {
            check_owner(context, &key)?;
            if !BASE.contains(&key.as_str()) && !READ_ONLY.contains(&key.as_str()) && row.properties.get(&key).is_none()
            {
                return Err(Error::conflict("Conflict", format!("Property {key} does not exist.")));
            }
            set(row, &key, value)
        }
        Change::Remove(key) if BASE.contains(&key.as_str()) || READ_ONLY.contains(&key.as_str()) => {
            Err(Error::forbidden("Forbidden", format!("Property {key} may not be removed.")))
        }
        Change::Remove(key) => match row.properties.as_object_mut().and_then(|all| all.shift_remove(&key)) {
            Some(_) => Ok(()),
            None => Err(Error::conflict("Conflict", format!("Property {key} does not exist."))),
        },
    }
}

fn check_owner(context: &RequestContext, key: &str) -> Result<()> {
    match key == "owner" && !context.is_admin() {
        true => Err(Error::forbidden("Forbidden", "Only an administrator may change the owner of an image.")),
        false => Ok(()),
    }
}

/// Sets one attribute after checking its value.
fn set(row: &mut Model, key: &str, value: Value) -> Result<()> {
    let kind = |wanted: &str| schema_error(&format!("{value} is not of type {wanted}"), key);
    let one_of = |allowed: &[&str]| schema_error(&format!("{value} is not one of {allowed:?}"), key);
    let text = |limit: usize| match &value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() <= limit => Ok(Some(text.clone())),
        Value::String(_) => Err(schema_error(&format!("the value is longer than {limit} characters"), key)),
        _ => Err(kind("'null', 'string'")),
    };
    let flag = || value.as_bool().ok_or_else(|| kind("'boolean'"));
    let count = || match value.as_i64() {
        Some(number) if (0..=i64::from(i32::MAX)).contains(&number) => Ok(number),
        Some(_) => Err(schema_error(&format!("{value} is out of range"), key)),
        None => Err(kind("'integer'")),
    };
    let chosen = |allowed: &[&str]| match &value {
        Value::Null => Ok(None),
        Value::String(text) if allowed.contains(&text.as_str()) => Ok(Some(text.clone())),
        _ => Err(one_of(allowed)),
    };
    match key {
        "name" => row.name = text(255)?,
        "owner" => row.owner = text(255)?.ok_or_else(|| kind("'string'"))?,
        "visibility" => row.visibility = chosen(VISIBILITIES)?.ok_or_else(|| one_of(VISIBILITIES))?,
        "protected" => row.protected = flag()?,
        "os_hidden" => row.os_hidden = flag()?,
        "disk_format" => row.disk_format = chosen(DISK_FORMATS)?,
        "container_format" => row.container_format = chosen(CONTAINER_FORMATS)?,
        "min_ram" => row.min_ram = count()?,
        "min_disk" => row.min_disk = count()?,
        "tags" => row.tags = tags(&value, key)?,
        _ if READ_ONLY.contains(&key) => {
            return Err(Error::forbidden("Forbidden", format!("Attribute '{key}' is read-only.")));
        }
        _ if key.starts_with("os_glance") => {
            return Err(Error::forbidden("Forbidden", format!("Attribute '{key}' is reserved.")));
        }
        _ if key.is_empty() || key.chars().count() > 255 => {
            return Err(schema_error("a property name is too long", key));
        }
        _ => {
            let value = text(65_535)?.ok_or_else(|| kind("'string'"))?;
            if let Some(properties) = row.properties.as_object_mut() {
                properties.insert(key.to_owned(), value.into());
                if properties.len() > MAX_PROPERTIES {
                    let text = format!(
                        "The limit has been exceeded on the number of allowed image properties: {MAX_PROPERTIES}."
                    );
                    return Err(Error::new(Kind::TooLarge, "LimitExceeded", text));
                }
            }
        }
    }
    Ok(())
}

fn tags(value: &Value, key: &str) -> Result<Value> {
    let Value::Array(list) = value else { return Err(schema_error(&format!("{value} is not of type 'array'"), key)) };
    let mut tags: Vec<Value> = Vec::new();
    for tag in list {
        match tag {
            Value::String(text) if text.chars().count() <= 255 => {
                if !tags.contains(tag) {
                    tags.push(tag.clone());
                }
            }
            _ => return Err(schema_error(&format!("{tag} is no tag of at most 255 characters"), key)),
        }
    }
    if tags.len() > MAX_TAGS {
        let text = format!("The limit has been exceeded on the number of allowed image tags: {MAX_TAGS}.");
        return Err(Error::new(Kind::TooLarge, "LimitExceeded", text));
    }
    Ok(Value::Array(tags))
}
