//! `include_names`: the names behind the ids of an assignment list, read in a handful of queries.

use std::collections::{BTreeSet, HashMap};

use sahab_contract::Result;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    assignment::Entry,
    db::{
        grant::assignment::{Actor, Target},
        principal::{group, user},
        projects::project,
    },
    service::IdentityService,
};

impl IdentityService {
    /// The entries with names of users, groups, projects, domains and roles.
    pub(crate) async fn assignment_views(&self, base: &str, entries: &[Entry], names: bool) -> Result<Vec<Value>> {
        let mut views: Vec<Value> = entries.iter().map(|entry| entry.view(base)).collect();
        if !names {
            return Ok(views);
        }
        let ids = |actor: Actor| -> Vec<String> {
            let found: BTreeSet<_> =
                entries.iter().filter(|entry| entry.actor == actor).map(|entry| entry.actor_id.clone()).collect();
            found.into_iter().collect()
        };
        let connection = self.read();
        // (name, domain id) by id.
        let mut actors: HashMap<String, (String, String)> = HashMap::new();
        for part in ids(Actor::User).chunks(1000) {
            let rows =
                user::Entity::find().filter(user::Column::Id.is_in(part.iter().cloned())).all(connection).await?;
            actors.extend(rows.into_iter().map(|row| (row.id, (row.name, row.domain_id))));
        }
        for part in ids(Actor::Group).chunks(1000) {
            let find = group::Entity::find().filter(group::Column::Id.is_in(part.iter().cloned()));
            actors.extend(find.all(connection).await?.into_iter().map(|row| (row.id, (row.name, row.domain_id))));
        }
        let graph = self.role_graph().await?;
        let mut wanted: BTreeSet<String> = entries.iter().map(|entry| entry.target_id.clone()).collect();
        wanted.extend(actors.values().map(|(_, domain)| domain.clone()));
        wanted.extend(graph.roles.values().map(|role| role.domain_id.clone()).filter(|id| !id.is_empty()));
        let mut projects = self.projects_by_id(wanted).await?;
        let missing: BTreeSet<String> = projects
            .values()
            .map(|row| row.domain_id.clone())
            .filter(|id| !id.is_empty() && !projects.contains_key(id))
            .collect();
        projects.extend(self.projects_by_id(missing).await?);
        let domain = |id: &str| json!({"id": id, "name": projects.get(id).map(|row| row.name.as_str())});
        for (view, entry) in views.iter_mut().zip(entries) {
            let actor = if entry.actor == Actor::User { "user" } else { "group" };
            if let Some((name, domain_id)) = actors.get(&entry.actor_id) {
                view[actor] = json!({"id": entry.actor_id, "name": name, "domain": domain(domain_id)});
            }
            match entry.target {
                Target::Project => {
                    if let Some(row) = projects.get(&entry.target_id) {
                        let home = if row.is_domain { &row.id } else { &row.domain_id };
                        view["scope"]["project"] = json!({"id": row.id, "name": row.name, "domain": domain(home)});
                    }
                }
                Target::Domain => view["scope"]["domain"] = domain(&entry.target_id),
                Target::System => {}
            }
            if let Some(role) = graph.roles.get(&entry.role_id) {
                let mut shown = json!({"id": role.id, "name": role.name});
                if !role.domain_id.is_empty() {
                    shown["domain"] = domain(&role.domain_id);
                }
                view["role"] = shown;
            }
        }
        Ok(views)
    }

    async fn projects_by_id(&self, ids: BTreeSet<String>) -> Result<HashMap<String, project::Model>> {
        let ids: Vec<String> = ids.into_iter().collect();
        let mut found = HashMap::new();
        for part in ids.chunks(1000) {
            let find = project::Entity::find().filter(project::Column::Id.is_in(part.iter().cloned()));
            found.extend(find.all(self.read()).await?.into_iter().map(|row| (row.id.clone(), row)));
        }
        Ok(found)
    }
}
