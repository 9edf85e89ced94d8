//! The service catalogue of a token (spec section 6).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sahab_contract::{Auth, Result};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    db::catalog::{endpoint, endpoint_group, project_endpoint, project_endpoint_group, service},
    endpoint_filter::selects,
    service::IdentityService,
};

/// Enabled services and endpoints, and who sees only some of them.
pub(crate) struct CatalogRows {
    services: Vec<service::Model>,
    /// Enabled endpoints by service.
    endpoints: HashMap<String, Vec<endpoint::Model>>,
    /// Endpoints a project is confined to.
    confined: HashMap<String, HashSet<String>>,
}

impl CatalogRows {
    pub async fn load(connection: &impl ConnectionTrait) -> Result<Self> {
        let services = service::Entity::find().filter(service::Column::Enabled.eq(true)).all(connection).await?;
        let all = endpoint::Entity::find().filter(endpoint::Column::Enabled.eq(true)).all(connection).await?;
        let mut confined: HashMap<String, HashSet<String>> = HashMap::new();
        for row in project_endpoint::Entity::find().all(connection).await? {
            confined.entry(row.project_id).or_default().insert(row.endpoint_id);
        }
        let groups: HashMap<String, endpoint_group::Model> = endpoint_group::Entity::find()
            .all(connection)
            .await?
            .into_iter()
            .map(|group| (group.id.clone(), group))
            .collect();
        for row in project_endpoint_group::Entity::find().all(connection).await? {
            let Some(group) = groups.get(&row.endpoint_group_id) else { continue };
            let members = all.iter().filter(|endpoint| selects(&group.filters, endpoint));
            confined.entry(row.project_id).or_default().extend(members.map(|endpoint| endpoint.id.clone()));
        }
        let mut endpoints: HashMap<String, Vec<endpoint::Model>> = HashMap::new();
        for endpoint in all {
            endpoints.entry(endpoint.service_id.clone()).or_default().push(endpoint);
        }
        Ok(CatalogRows { services, endpoints, confined })
    }

    fn render(&self, auth: &Auth) -> Value {
        let project = auth.project().map(|project| project.id.as_str());
        let confined = project.and_then(|project| self.confined.get(project));
        let mut catalog = Vec::new();
        for service in &self.services {
            let mut endpoints = Vec::new();
            for endpoint in self.endpoints.get(&service.id).into_iter().flatten() {
                if confined.is_some_and(|ids| !ids.contains(&endpoint.id)) {
                    continue;
                }
                if let Some(url) = expand(&endpoint.url, project, &auth.user.id) {
                    endpoints.push(json!({
                        "id": endpoint.id, "interface": endpoint.interface, "region_id": endpoint.region_id,
                        "url": url, "region": endpoint.region_id,
                    }));
                }
            }
            if !endpoints.is_empty() {
                catalog.push(json!({
                    "endpoints": endpoints, "id": service.id, "type": service.kind,
                    "name": service.name.clone().unwrap_or_default(),
                }));
            }
        }
        Value::Array(catalog)
    }
}

impl IdentityService {
    pub(crate) async fn catalog_rows(&self) -> Result<Arc<CatalogRows>> {
        self.catalog.get(&self.generation, CatalogRows::load(self.read())).await
    }

    pub(crate) async fn catalog_of(&self, auth: &Auth) -> Result<Value> {
        Ok(self.catalog_rows().await?.render(auth))
    }
}

/// Names that an endpoint's URL may refer to.
const NAMES: [&str; 3] = ["project_id", "tenant_id", "user_id"];

/// The URL with `$(name)s` and `%(name)s` filled in; `None` when it needs a project and there is none.
fn expand(template: &str, project: Option<&str>, user: &str) -> Option<String> {
    let mut out = String::with_capacity(template.len() + 32);
    for part in parts(template).ok()? {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Name("project_id" | "tenant_id") => out.push_str(project?),
            Part::Name("user_id") => out.push_str(user),
            Part::Name(_) => {}
        }
    }
    Some(out)
}

/// Whether every reference in the URL is one that can be filled in.
pub(crate) fn is_valid_template(template: &str) -> bool {
    parts(template)
        .is_ok_and(|parts| parts.iter().all(|part| !matches!(part, Part::Name(name) if !NAMES.contains(name))))
}

enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn parts(template: &str) -> std::result::Result<Vec<Part<'_>>, ()> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(start) = rest.find(['$', '%']) {
        let after = &rest[start + 1..];
        if !after.starts_with('(') {
            // Percent-encoding and the like; upstream's formatting would fail on a lone '%'.
            if rest[start..].starts_with('%') {
                return Err(());
            }
            parts.push(Part::Text(&rest[..=start]));
            rest = after;
            continue;
        }
        let end = after.find(")s").ok_or(())?;
        parts.push(Part::Text(&rest[..start]));
        parts.push(Part::Name(&after[1..end]));
        rest = &after[end + 2..];
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        assert_eq!(expand("http://h/v1/$(project_id)s", Some("p"), "u").unwrap(), "http://h/v1/p");
        assert_eq!(expand("http://h/v1/AUTH_%(tenant_id)s/x", Some("p"), "u").unwrap(), "http://h/v1/AUTH_p/x");
        assert_eq!(expand("http://h/v1/$(project_id)s", None, "u"), None);
        assert_eq!(expand("http://h/%(user_id)s", None, "u").unwrap(), "http://h/u");
        assert!(is_valid_template("http://h:1/v3"));
        for bad in ["http://h/$(nonsense)s", "http://h/%(project_id", "http://h/%s", "http://h/$(project_id)d"] {
            assert!(!is_valid_template(bad), "{bad}");
        }
    }
}
