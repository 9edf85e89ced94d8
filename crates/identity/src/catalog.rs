//! Regions, services and endpoints: what the catalogue is made of.

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
};
use serde_json::{Map, Value, json};

use crate::{
    db::catalog::{endpoint, policy_association, project_endpoint, region, service},
    db::limits::registered_limit,
    input::{Input, wrong},
    listing::{self, Filter, Page},
    login::expecting,
    service::{IdentityService, conflict, not_found},
    token::catalog::is_valid_template,
    view::merged,
};

/// Deepest nesting of regions; ends the walk up should the table ever hold a cycle.
const MAX_REGIONS: usize = 64;

pub(crate) struct RegionInput {
    pub id: Option<String>,
    pub parent_id: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub extra: Map<String, Value>,
}

impl RegionInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        Ok(RegionInput {
            id: input.text("id", 255)?,
            parent_id: input.text_or_null("parent_region_id", 255)?,
            description: input.text_or_null("description", 65_535)?,
            extra: input.extras()?,
        })
    }
}

#[derive(Default)]
pub(crate) struct ServiceInput {
    pub kind: Option<String>,
    pub name: Option<String>,
    pub enabled: Option<bool>,
    pub extra: Map<String, Value>,
}

impl ServiceInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        let kind = input.text("type", 255)?;
        if kind.as_deref() == Some("") {
            return Err(wrong("type", &json!(""), "'' should be non-empty"));
        }
        Ok(ServiceInput {
            kind,
            name: input.text_or_null("name", 255)?.flatten(),
            enabled: input.boolean("enabled")?,
            extra: input.extras()?,
        })
    }
}

#[derive(Default)]
pub(crate) struct EndpointInput {
    pub interface: Option<String>,
    pub region_id: Option<Option<String>>,
    /// Older name of the region; it is made when it does not exist.
    pub region: Option<Option<String>>,
    pub service_id: Option<String>,
    pub url: Option<String>,
    pub enabled: Option<bool>,
    pub extra: Map<String, Value>,
}

impl EndpointInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        let interface = input.text("interface", 255)?;
        if let Some(text) = &interface
            && !matches!(text.as_str(), "admin" | "internal" | "public")
        {
            let reason = format!("'{text}' is not one of ['admin', 'internal', 'public']");
            return Err(wrong("interface", &json!(text), &reason));
        }
        let url = input.text("url", 225)?;
        if let Some(text) = &url {
            check_url(text)?;
        }
        Ok(EndpointInput {
            interface,
            region_id: input.text_or_null("region_id", 255)?,
            region: input.text_or_null("region", 255)?,
            service_id: input.id("service_id")?,
            url,
            enabled: input.boolean("enabled")?,
            extra: input.extras()?,
        })
    }
}

fn check_url(url: &str) -> Result<()> {
    let scheme_end = url.find("://").unwrap_or(0);
    let scheme =
        scheme_end > 0 && url[..scheme_end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !scheme || url.chars().any(char::is_whitespace) {
        let reason = format!("{} does not match '^[a-zA-Z0-9+.-]+:.+'", crate::input::repr(&json!(url)));
        return Err(wrong("url", &json!(url), &reason));
    }
    if !is_valid_template(url) {
        return Err(Error::invalid(
            "URLValidationError",
            format!("Cannot create an endpoint with an invalid URL: {url}."),
        ));
    }
    Ok(())
}

impl IdentityService {
    pub(crate) async fn find_region(&self, id: &str) -> Result<region::Model> {
        region::Entity::find_by_id(id).one(self.read()).await?.ok_or_else(|| not_found("region", id))
    }

    pub(crate) async fn region_get(&self, context: &RequestContext, id: &str) -> Result<region::Model> {
        self.enforce(context, "identity:get_region", &Value::Null)?;
        self.find_region(id).await
    }

    pub(crate) async fn region_list(&self, context: &RequestContext, query: &Query) -> Result<Page<region::Model>> {
        self.enforce(context, "identity:list_regions", &Value::Null)?;
        let filters = [Filter::Text("parent_region_id", region::Column::ParentId)];
        let select = listing::filter(region::Entity::find(), query, &filters);
        listing::page(self.read(), select, query, region::Column::Id, &[("id", region::Column::Id)]).await
    }

    pub(crate) async fn region_create(&self, context: &RequestContext, input: RegionInput) -> Result<region::Model> {
        self.enforce(context, "identity:create_region", &Value::Null)?;
        let row = region::Model {
            id: input.id.filter(|id| !id.is_empty()).unwrap_or_else(|| context.new_hex_id()),
            parent_id: input.parent_id.flatten(),
            description: input.description.flatten().unwrap_or_default(),
            extra: Value::Object(input.extra),
        };
        if let Some(parent) = &row.parent_id {
            self.find_region(parent).await?;
        }
        let txn = self.begin().await?;
        if let Err(error) = region::Entity::insert(region::ActiveModel::from(row.clone())).exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate {
                conflict("region", format!("Duplicate ID, {}.", row.id))
            } else {
                error.into()
            });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn region_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: RegionInput,
    ) -> Result<region::Model> {
        self.enforce(context, "identity:update_region", &Value::Null)?;
        let mut row = self.find_region(id).await?;
        if let Some(parent) = input.parent_id {
            let mut above = parent.clone();
            for _ in 0..MAX_REGIONS {
                let Some(next) = above else { break };
                if next == id {
                    return Err(Error::invalid(
                        "CircularRegionHierarchyError",
                        format!(
                            "The specified parent region {} would create a circular region hierarchy.",
                            parent.unwrap_or_default()
                        ),
                    ));
                }
                above = self.find_region(&next).await?.parent_id;
            }
            row.parent_id = parent;
        }
        if let Some(description) = input.description {
            row.description = description.unwrap_or_default();
        }
        row.extra = merged(&row.extra, input.extra);
        let txn = self.begin().await?;
        region::Entity::update(region::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await?;
        txn.commit().await?;
        Ok(row)
    }

    /// With the regions below it.
    pub(crate) async fn region_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.enforce(context, "identity:delete_region", &Value::Null)?;
        self.find_region(id).await?;
        let txn = self.begin().await?;
        let mut all = vec![id.to_owned()];
        let mut open = all.clone();
        while !open.is_empty() && all.len() < 10_000 {
            let below = region::Entity::find().filter(region::Column::ParentId.is_in(open)).all(&*txn).await?;
            open = below.into_iter().map(|row| row.id).filter(|id| !all.contains(id)).collect();
            all.extend(open.iter().cloned());
        }
        let used = endpoint::Entity::find().filter(endpoint::Column::RegionId.is_in(all.clone())).count(&*txn).await?;
        if used > 0 {
            return Err(Error::forbidden(
                "RegionDeletionError",
                format!("Unable to delete region {id} because it or its child regions have associated endpoints."),
            ));
        }
        region::Entity::delete_many().filter(region::Column::Id.is_in(all)).exec(&*txn).await?;
        txn.commit().await
    }

    pub(crate) async fn find_service(&self, id: &str) -> Result<service::Model> {
        service::Entity::find_by_id(id).one(self.read()).await?.ok_or_else(|| not_found("service", id))
    }

    pub(crate) async fn service_get(&self, context: &RequestContext, id: &str) -> Result<service::Model> {
        self.enforce(context, "identity:get_service", &Value::Null)?;
        self.find_service(id).await
    }

    pub(crate) async fn service_list(&self, context: &RequestContext, query: &Query) -> Result<Page<service::Model>> {
        use service::Column;
        self.enforce(context, "identity:list_services", &Value::Null)?;
        let filters = [Filter::Text("type", Column::Kind), Filter::Text("name", Column::Name)];
        let select = listing::filter(service::Entity::find(), query, &filters);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id), ("type", Column::Kind)]).await
    }

    pub(crate) async fn service_create(&self, context: &RequestContext, input: ServiceInput) -> Result<service::Model> {
        self.enforce(context, "identity:create_service", &Value::Null)?;
        let row = service::Model {
            id: context.new_hex_id(),
            kind: input.kind.ok_or_else(|| expecting("type", "service"))?,
            name: input.name,
            enabled: input.enabled.unwrap_or(true),
            extra: Value::Object(input.extra),
        };
        let txn = self.begin().await?;
        if let Err(error) = service::Entity::insert(service::ActiveModel::from(row.clone())).exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate {
                conflict("service", format!("Duplicate ID, {}.", row.id))
            } else {
                error.into()
            });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn service_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: ServiceInput,
    ) -> Result<service::Model> {
        self.enforce(context, "identity:update_service", &Value::Null)?;
        let mut row = self.find_service(id).await?;
        if let Some(kind) = input.kind {
            row.kind = kind;
        }
        if let Some(name) = input.name {
            row.name = Some(name);
        }
        if let Some(enabled) = input.enabled {
            row.enabled = enabled;
        }
        row.extra = merged(&row.extra, input.extra);
        let txn = self.begin().await?;
        service::Entity::update(service::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await?;
        txn.commit().await?;
        Ok(row)
    }

    /// With its endpoints.
    pub(crate) async fn service_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.enforce(context, "identity:delete_service", &Value::Null)?;
        self.find_service(id).await?;
        let txn = self.begin().await?;
        let limits = registered_limit::Entity::find().filter(registered_limit::Column::ServiceId.eq(id));
        if limits.count(&*txn).await? > 0 {
            return Err(conflict("service", format!("registered limits refer to service {id}")));
        }
        let endpoints = endpoint::Entity::find().filter(endpoint::Column::ServiceId.eq(id)).all(&*txn).await?;
        let ids: Vec<String> = endpoints.into_iter().map(|row| row.id).collect();
        delete_endpoints(&*txn, &ids).await?;
        service::Entity::delete_by_id(id).exec(&*txn).await?;
        policy_association::Entity::delete_many()
            .filter(policy_association::Column::ServiceId.eq(id))
            .exec(&*txn)
            .await?;
        txn.commit().await
    }

    pub(crate) async fn find_endpoint(&self, id: &str) -> Result<endpoint::Model> {
        endpoint::Entity::find_by_id(id).one(self.read()).await?.ok_or_else(|| not_found("endpoint", id))
    }

    pub(crate) async fn endpoint_get(&self, context: &RequestContext, id: &str) -> Result<endpoint::Model> {
        self.enforce(context, "identity:get_endpoint", &Value::Null)?;
        self.find_endpoint(id).await
    }

    pub(crate) async fn endpoint_list(&self, context: &RequestContext, query: &Query) -> Result<Page<endpoint::Model>> {
        use endpoint::Column;
        self.enforce(context, "identity:list_endpoints", &Value::Null)?;
        let filters = [
            Filter::Text("interface", Column::Interface),
            Filter::Text("service_id", Column::ServiceId),
            Filter::Text("region_id", Column::RegionId),
        ];
        let select = listing::filter(endpoint::Entity::find(), query, &filters);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await
    }

    pub(crate) async fn endpoint_create(
        &self,
        context: &RequestContext,
        input: EndpointInput,
    ) -> Result<endpoint::Model> {
        self.enforce(context, "identity:create_endpoint", &Value::Null)?;
        let mut row = endpoint::Model {
            id: context.new_hex_id(),
            interface: input.interface.unwrap_or_default(),
            region_id: None,
            service_id: input.service_id.unwrap_or_default(),
            url: input.url.unwrap_or_default(),
            enabled: input.enabled.unwrap_or(true),
            extra: Value::Object(input.extra),
        };
        self.check_service(&row.service_id).await?;
        let txn = self.begin().await?;
        row.region_id = match (input.region_id.flatten(), input.region.flatten()) {
            (Some(id), _) => {
                check_region(&*txn, &id).await?;
                Some(id)
            }
            (None, Some(name)) => {
                ensure_region(&*txn, &name).await?;
                Some(name)
            }
            (None, None) => None,
        };
        if let Err(error) = endpoint::Entity::insert(endpoint::ActiveModel::from(row.clone())).exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate {
                conflict("endpoint", format!("Duplicate ID, {}.", row.id))
            } else {
                error.into()
            });
        }
        txn.commit().await?;
        Ok(row)
    }

    async fn check_service(&self, id: &str) -> Result<()> {
        match self.find_service(id).await {
            Err(error) if error.is_not_found() => Err(expecting("endpoint service_id", "service table")),
            other => other.map(|_| ()),
        }
    }

    pub(crate) async fn endpoint_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: EndpointInput,
    ) -> Result<endpoint::Model> {
        self.enforce(context, "identity:update_endpoint", &Value::Null)?;
        let mut row = self.find_endpoint(id).await?;
        if let Some(interface) = input.interface {
            row.interface = interface;
        }
        if let Some(service_id) = input.service_id {
            self.check_service(&service_id).await?;
            row.service_id = service_id;
        }
        if let Some(url) = input.url {
            row.url = url;
        }
        if let Some(enabled) = input.enabled {
            row.enabled = enabled;
        }
        row.extra = merged(&row.extra, input.extra);
        let txn = self.begin().await?;
        if let Some(region) = input.region_id {
            if let Some(id) = &region {
                check_region(&*txn, id).await?;
            }
            row.region_id = region;
        } else if let Some(region) = input.region {
            if let Some(name) = &region {
                ensure_region(&*txn, name).await?;
            }
            row.region_id = region;
        }
        endpoint::Entity::update(endpoint::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await?;
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn endpoint_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.enforce(context, "identity:delete_endpoint", &Value::Null)?;
        self.find_endpoint(id).await?;
        let txn = self.begin().await?;
        delete_endpoints(&*txn, &[id.to_owned()]).await?;
        txn.commit().await
    }
}

async fn check_region(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    match region::Entity::find_by_id(id).one(connection).await? {
        Some(_) => Ok(()),
        None => Err(expecting("endpoint region_id", "region table")),
    }
}

async fn ensure_region(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    if region::Entity::find_by_id(id).one(connection).await?.is_none() {
        let row = region::ActiveModel {
            id: Set(id.to_owned()),
            parent_id: Set(None),
            description: Set(String::new()),
            extra: Set(json!({})),
        };
        region::Entity::insert(row).exec(connection).await?;
    }
    Ok(())
}

async fn delete_endpoints(connection: &impl ConnectionTrait, ids: &[String]) -> Result<()> {
    for part in ids.chunks(1000) {
        let part = || part.iter().cloned();
        endpoint::Entity::delete_many().filter(endpoint::Column::Id.is_in(part())).exec(connection).await?;
        project_endpoint::Entity::delete_many()
            .filter(project_endpoint::Column::EndpointId.is_in(part()))
            .exec(connection)
            .await?;
        policy_association::Entity::delete_many()
            .filter(policy_association::Column::EndpointId.is_in(part()))
            .exec(connection)
            .await?;
    }
    Ok(())
}
