//! Segments, to read: every network is one.

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Map, Value, json};

use crate::{NetworkService, db::network_table, error::not_authorized, resource::View, view};

fn allowed(service: &NetworkService, context: &RequestContext) -> Result<bool> {
    context.auth()?;
    Ok(service.enforcer.allows(context, "get_segment", &json!({})))
}

pub async fn list(service: &NetworkService, context: &RequestContext, networks: &[&str]) -> Result<Vec<View>> {
    if !allowed(service, context)? {
        return Ok(Vec::new());
    }
    let mut query = network_table::Entity::find().order_by_asc(network_table::Column::SegmentId);
    if !networks.is_empty() {
        query = query.filter(network_table::Column::Id.is_in(networks.iter().copied()));
    }
    Ok(query.all(service.database.read()).await?.iter().map(render).collect())
}

pub async fn show(service: &NetworkService, context: &RequestContext, id: &str) -> Result<View> {
    let missing = || Error::not_found("SegmentNotFound", format!("Segment {id} could not be found."));
    if !allowed(service, context)? {
        return Err(missing());
    }
    let row = network_table::Entity::find().filter(network_table::Column::SegmentId.eq(id));
    row.one(service.database.read()).await?.as_ref().map(render).ok_or_else(missing)
}

/// Networks have one segment, made with them.
pub fn refuse_change(service: &NetworkService, context: &RequestContext) -> Error {
    match allowed(service, context) {
        Err(error) => error,
        Ok(false) => not_authorized("create_segment"),
        Ok(true) => {
            Error::conflict("SegmentInUse", "A network has exactly one segment here, made and deleted with it.")
        }
    }
}

fn render(model: &network_table::Model) -> View {
    let mut out = Map::new();
    view::put(&mut out, "id", &model.segment_id);
    view::put(&mut out, "network_id", &model.id);
    view::put(&mut out, "name", Value::Null);
    view::put(&mut out, "description", "");
    view::put(&mut out, "network_type", &model.network_type);
    view::put(&mut out, "physical_network", &model.physical_network);
    view::put(&mut out, "segmentation_id", model.segmentation_id);
    view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
    out
}
