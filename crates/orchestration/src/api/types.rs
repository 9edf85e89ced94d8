//! What templates may use: resource types, versions, functions; and the services that run them.

use regex::RegexBuilder;
use sahab_api::{Request, Response, Table};
use sahab_contract::{Error, Result};
use serde_json::{Value, json};

use super::{State, flag};
use crate::{
    core::Core,
    properties::{generated_template, schema_view},
    resources::{Act, Description, ResourceType, type_unavailable},
    template::{Dialect, Version, error},
    validation::is_type_allowed,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v1/{tenant}/resource_types", index);
    table.get("/v1/{tenant}/resource_types/{type}", show);
    table.get("/v1/{tenant}/resource_types/{type}/template", template);
    table.get("/v1/{tenant}/template_versions", versions);
    table.get("/v1/{tenant}/template_versions/{version}/functions", functions);
    table.get("/v1/{tenant}/services", services);
}

const STATUSES: [&str; 5] = ["UNKNOWN", "SUPPORTED", "DEPRECATED", "UNSUPPORTED", "HIDDEN"];

fn act(core: &Core, request: &Request) -> Act {
    Act {
        cloud: core.cloud.clone(),
        context: request.context.clone(),
        project_id: request.param("tenant").to_owned(),
        files: Default::default(),
    }
}

fn is_served(core: &Core, description: &Description) -> bool {
    description.service.is_none_or(|(service, _)| core.cloud.serves(service))
}

async fn index(core: State, request: Request) -> Result<Response> {
    core.enforce(&request.context, "stacks:list_resource_types", request.param("tenant"))?;
    let status = request.query.get("support_status");
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        let names: Vec<String> = STATUSES.iter().map(|name| format!("'{name}'")).collect();
        let _ = status;
        return Err(Error::invalid(
            "Invalid",
            format!("Data supplied was not valid: Invalid support status and should be one of ({})", names.join(", ")),
        ));
    }
    let pattern = match request.query.get("name") {
        Some(text) => Some(
            RegexBuilder::new(&format!("^(?:{text})"))
                .size_limit(1 << 20)
                .build()
                .map_err(|_| error::bad_request(format!("Invalid name filter: {text}")))?,
        ),
        None => None,
    };
    let with_description = flag(&request, "with_description")?;
    let act = act(&core, &request);
    let mut items: Vec<Value> = Vec::new();
    for kind in core.types.iter() {
        let description = kind.description();
        let is_wanted = is_served(&core, description)
            && description.support.status != "HIDDEN"
            && status.is_none_or(|status| description.support.status == status)
            && request
                .query
                .get("version")
                .is_none_or(|version| description.support.version.as_deref() == Some(version))
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(&description.name))
            && (!description.is_admin_only || is_type_allowed(&core, &act, &description.name));
        if is_wanted {
            items.push(match with_description {
                true => json!({"resource_type": description.name, "description": description.text}),
                false => json!(description.name),
            });
        }
    }
    Ok(Response::ok(json!({"resource_types": items})))
}

fn find<'a>(core: &'a Core, name: &str) -> Result<&'a dyn ResourceType> {
    let kind = core.types.get(name)?;
    let description = kind.description();
    if !is_served(core, description) {
        let service = description.service.map_or("", |(_, upstream)| upstream);
        return Err(type_unavailable(service, name));
    }
    Ok(kind.as_ref())
}

async fn show(core: State, request: Request) -> Result<Response> {
    core.enforce(&request.context, "stacks:resource_schema", request.param("tenant"))?;
    let name = request.param("type");
    let description = find(&core, name)?.description();
    let text = flag(&request, "with_description")?.then_some(description.text.as_ref());
    let view = schema_view(name, &description.properties, &description.attributes, &description.support, text);
    Ok(Response::ok(Value::Object(view)))
}

async fn template(core: State, request: Request) -> Result<Response> {
    core.enforce(&request.context, "stacks:generate_template", request.param("tenant"))?;
    let dialect = match request.query.get("template_type") {
        None | Some("cfn") => Dialect::Cfn,
        Some("hot") => Dialect::Hot,
        Some(other) => return Err(error::bad_request(format!("Template type is not supported: {other}"))),
    };
    let name = request.param("type");
    let description = find(&core, name)?.description();
    let text = generated_template(name, &description.properties, &description.attributes, dialect)?;
    Ok(Response::ok(Value::Object(text)))
}

async fn versions(core: State, request: Request) -> Result<Response> {
    core.enforce(&request.context, "stacks:list_template_versions", request.param("tenant"))?;
    let items = Version::ALL.iter().map(|version| {
        let aliases: Vec<String> =
            version.alias().map(|alias| format!("{}.{alias}", version.key())).into_iter().collect();
        let kind = match version.dialect() {
            Dialect::Hot => "hot",
            Dialect::Cfn => "cfn",
        };
        json!({"version": format!("{}.{}", version.key(), version.date()), "type": kind, "aliases": aliases})
    });
    Ok(Response::ok(json!({"template_versions": items.collect::<Vec<_>>()})))
}

async fn functions(core: State, request: Request) -> Result<Response> {
    core.enforce(&request.context, "stacks:list_template_functions", request.param("tenant"))?;
    let name = request.param("version");
    let version = Version::by_listing_name(name)
        .ok_or_else(|| Error::not_found("NotFound", format!("Template with version {name} not found")))?;
    let items = version.functions(flag(&request, "with_condition_func")?);
    let items: Vec<Value> =
        items.iter().map(|function| json!({"functions": function.name, "description": function.description})).collect();
    Ok(Response::ok(json!({"template_functions": items})))
}

async fn services(core: State, request: Request) -> Result<Response> {
    core.enforce(&request.context, "service:index", request.param("tenant"))?;
    let now = sahab_contract::context::now().format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, b"heat-engine").to_string();
    Ok(Response::ok(json!({"services": [{
        "id": id, "binary": "heat-engine", "engine_id": id, "host": "localhost", "hostname": "localhost",
        "topic": "engine", "report_interval": 60, "created_at": now, "updated_at": now, "deleted_at": null, "status": "up",
    }]})))
}
