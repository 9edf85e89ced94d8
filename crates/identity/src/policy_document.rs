//! Policy documents and where they apply: an opaque store for other services (spec section 17).

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sahab_db::is_unique_violation;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use serde_json::{Map, Value};

use crate::{
    db::catalog::{endpoint, policy, policy_association},
    input::{Input, not_of_type, wrong},
    listing::{self, Filter, Page},
    service::{IdentityService, conflict, not_found},
    view::merged,
};

/// Deepest nesting of regions looked at for the policy of an endpoint.
const MAX_REGIONS: usize = 64;

pub(crate) struct PolicyInput {
    pub kind: Option<String>,
    pub blob: Option<String>,
    pub extra: Map<String, Value>,
}

impl PolicyInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        let blob = match input.take("blob") {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(value @ Value::Object(_)) => Some(value.to_string()),
            Some(other) => return Err(wrong("blob", &other, &not_of_type(&other, "string"))),
        };
        Ok(PolicyInput { kind: input.text("type", 255)?, blob, extra: input.extras()? })
    }
}

/// Where a document applies; an absent part is empty.
pub(crate) struct Association {
    pub endpoint_id: String,
    pub service_id: String,
    pub region_id: String,
}

impl Association {
    fn rule(&self, verb: &str) -> String {
        let noun = match (self.endpoint_id.is_empty(), self.region_id.is_empty()) {
            (false, _) => "endpoint",
            (true, true) => "service",
            (true, false) => "region_and_service",
        };
        format!("identity:{verb}_policy_association_for_{noun}")
    }

    fn key(&self) -> (String, String, String) {
        (self.endpoint_id.clone(), self.service_id.clone(), self.region_id.clone())
    }
}

impl IdentityService {
    async fn find_policy(&self, id: &str) -> Result<policy::Model> {
        policy::Entity::find_by_id(id).one(self.read()).await?.ok_or_else(|| not_found("policy", id))
    }

    pub(crate) async fn policy_get(&self, context: &RequestContext, id: &str) -> Result<policy::Model> {
        self.enforce(context, "identity:get_policy", &Value::Null)?;
        self.find_policy(id).await
    }

    pub(crate) async fn policy_list(&self, context: &RequestContext, query: &Query) -> Result<Page<policy::Model>> {
        use policy::Column;
        self.enforce(context, "identity:list_policies", &Value::Null)?;
        let select = listing::filter(policy::Entity::find(), query, &[Filter::Text("type", Column::Kind)]);
        listing::page(self.read(), select, query, Column::Id, &[("id", Column::Id)]).await
    }

    pub(crate) async fn policy_create(&self, context: &RequestContext, input: PolicyInput) -> Result<policy::Model> {
        self.enforce(context, "identity:create_policy", &Value::Null)?;
        let row = policy::Model {
            id: context.new_hex_id(),
            kind: input.kind.unwrap_or_default(),
            blob: input.blob.unwrap_or_default(),
            extra: Value::Object(input.extra),
        };
        let txn = self.begin().await?;
        if let Err(error) = policy::Entity::insert(policy::ActiveModel::from(row.clone())).exec(&*txn).await {
            let duplicate = is_unique_violation(&error);
            return Err(if duplicate { conflict("policy", "Duplicate entry") } else { error.into() });
        }
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn policy_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: PolicyInput,
    ) -> Result<policy::Model> {
        self.enforce(context, "identity:update_policy", &Value::Null)?;
        let mut row = self.find_policy(id).await?;
        if let Some(kind) = input.kind {
            row.kind = kind;
        }
        if let Some(blob) = input.blob {
            row.blob = blob;
        }
        row.extra = merged(&row.extra, input.extra);
        let txn = self.begin().await?;
        policy::Entity::update(policy::ActiveModel::from(row.clone()).reset_all()).exec(&*txn).await?;
        txn.commit().await?;
        Ok(row)
    }

    pub(crate) async fn policy_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.enforce(context, "identity:delete_policy", &Value::Null)?;
        self.find_policy(id).await?;
        let txn = self.begin().await?;
        policy::Entity::delete_by_id(id).exec(&*txn).await?;
        policy_association::Entity::delete_many()
            .filter(policy_association::Column::PolicyId.eq(id))
            .exec(&*txn)
            .await?;
        txn.commit().await
    }

    /// Everything that the association names must exist.
    async fn association_for(
        &self,
        context: &RequestContext,
        verb: &str,
        policy_id: &str,
        place: &Association,
    ) -> Result<()> {
        self.enforce(context, &place.rule(verb), &Value::Null)?;
        self.find_policy(policy_id).await?;
        if !place.endpoint_id.is_empty() {
            self.find_endpoint(&place.endpoint_id).await?;
        }
        if !place.service_id.is_empty() {
            self.find_service(&place.service_id).await?;
        }
        if !place.region_id.is_empty() {
            self.find_region(&place.region_id).await?;
        }
        Ok(())
    }

    pub(crate) async fn association_create(
        &self,
        context: &RequestContext,
        policy_id: &str,
        place: Association,
    ) -> Result<()> {
        self.association_for(context, "create", policy_id, &place).await?;
        let txn = self.begin().await?;
        let row = policy_association::ActiveModel {
            endpoint_id: Set(place.endpoint_id),
            service_id: Set(place.service_id),
            region_id: Set(place.region_id),
            policy_id: Set(policy_id.to_owned()),
        };
        use policy_association::Column;
        // One document per place: the last one counts.
        policy_association::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([Column::EndpointId, Column::ServiceId, Column::RegionId])
                    .update_column(Column::PolicyId)
                    .to_owned(),
            )
            .exec_without_returning(&*txn)
            .await?;
        txn.commit().await
    }

    pub(crate) async fn association_check(
        &self,
        context: &RequestContext,
        policy_id: &str,
        place: Association,
    ) -> Result<()> {
        self.association_for(context, "check", policy_id, &place).await?;
        let row = policy_association::Entity::find_by_id(place.key()).one(self.read()).await?;
        row.filter(|row| row.policy_id == policy_id).map(|_| ()).ok_or_else(no_association)
    }

    pub(crate) async fn association_delete(
        &self,
        context: &RequestContext,
        policy_id: &str,
        place: Association,
    ) -> Result<()> {
        self.association_for(context, "delete", policy_id, &place).await?;
        let txn = self.begin().await?;
        let gone = policy_association::Entity::delete_by_id(place.key()).exec(&*txn).await?;
        if gone.rows_affected == 0 {
            return Err(no_association());
        }
        txn.commit().await
    }

    /// The most specific document: the endpoint's, then the service's in the region or one above, then the service's.
    pub(crate) async fn policy_of_endpoint(&self, context: &RequestContext, id: &str) -> Result<policy::Model> {
        self.enforce(context, "identity:get_policy_for_endpoint", &Value::Null)?;
        let endpoint = self.find_endpoint(id).await?;
        let find = async |endpoint: &str, service: &str, region: &str| {
            let key = (endpoint.to_owned(), service.to_owned(), region.to_owned());
            policy_association::Entity::find_by_id(key).one(self.read()).await
        };
        let mut found = find(id, "", "").await?;
        let mut region = endpoint.region_id.clone();
        for _ in 0..MAX_REGIONS {
            let (None, Some(id)) = (&found, region) else { break };
            found = find("", &endpoint.service_id, &id).await?;
            region = self.find_region(&id).await.ok().and_then(|row| row.parent_id);
        }
        if found.is_none() {
            found = find("", &endpoint.service_id, "").await?;
        }
        match found {
            Some(row) => self.find_policy(&row.policy_id).await,
            None => Err(Error::not_found("NotFound", format!("No policy is associated with endpoint {id}."))),
        }
    }

    pub(crate) async fn endpoints_of_policy(&self, context: &RequestContext, id: &str) -> Result<Vec<endpoint::Model>> {
        self.enforce(context, "identity:list_endpoints_for_policy", &Value::Null)?;
        self.find_policy(id).await?;
        let rows = policy_association::Entity::find()
            .filter(policy_association::Column::PolicyId.eq(id))
            .all(self.read())
            .await?;
        let all = endpoint::Entity::find().all(self.read()).await?;
        let applies = |endpoint: &endpoint::Model| {
            rows.iter().any(|row| {
                row.endpoint_id == endpoint.id
                    || (row.endpoint_id.is_empty()
                        && row.service_id == endpoint.service_id
                        && (row.region_id.is_empty() || Some(&row.region_id) == endpoint.region_id.as_ref()))
            })
        };
        Ok(all.into_iter().filter(|endpoint| applies(endpoint)).collect())
    }
}

fn no_association() -> Error {
    Error::not_found("NotFound", "Could not find policy association.")
}
