//! The list of who holds which role where, as granted or as it takes effect (spec section 11).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};

use crate::{
    db::{
        grant::assignment::{self, Actor, Target},
        principal::membership,
        projects::project,
    },
    effective::{MAX_DEPTH, RoleGraph, actor_is, ancestors, parents},
    listing::flag,
    service::{IdentityService, not_found},
};

/// Most entries of one answer; an expansion that grows beyond says so.
const MAX_ENTRIES: usize = 50_000;

/// What the query asks for.
#[derive(Debug, Default)]
pub(crate) struct AssignmentFilter {
    user: Option<String>,
    group: Option<String>,
    role: Option<String>,
    project: Option<String>,
    domain: Option<String>,
    system: bool,
    inherited: bool,
    effective: bool,
    subtree: bool,
    pub names: bool,
}

/// One line of the answer. `actor_id`, `target` and `role_id` are what counts; `source` is the grant behind it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub actor: Actor,
    pub actor_id: String,
    pub target: Target,
    pub target_id: String,
    pub role_id: String,
    /// Shown in the scope of grants that are listed as they are.
    pub inherited: bool,
    pub source: assignment::Model,
    /// The role that implies this one.
    pub prior_role: Option<String>,
}

impl AssignmentFilter {
    pub fn parse(query: &Query) -> Result<Self> {
        let text = |key: &str| query.get(key).map(str::to_owned);
        let inherited = query.get("scope.OS-INHERIT:inherited_to");
        let filter = AssignmentFilter {
            user: text("user.id"),
            group: text("group.id"),
            role: text("role.id"),
            project: text("scope.project.id"),
            domain: text("scope.domain.id"),
            system: query.has("scope.system"),
            inherited: inherited == Some("projects"),
            effective: flag(query, "effective"),
            subtree: flag(query, "include_subtree"),
            names: flag(query, "include_names"),
        };
        let scopes = [filter.project.is_some(), filter.domain.is_some(), filter.system];
        let fault = |text: &str| Err(Error::invalid("ValidationError", text));
        if filter.user.is_some() && filter.group.is_some() {
            return fault("Specify a user or group, not both");
        }
        if scopes.into_iter().filter(|set| *set).count() > 1 {
            return fault("Specify system, domain, or project, only one");
        }
        if filter.effective && filter.group.is_some() {
            return fault("Combining effective and group filter will always result in an empty list.");
        }
        if filter.effective && filter.inherited && filter.domain.is_some() {
            return fault("Combining effective, domain and inherited filters will always result in an empty list.");
        }
        if filter.subtree && filter.project.is_none() {
            return fault("scope.project.id must be specified if include_subtree is also specified");
        }
        Ok(filter)
    }
}

impl IdentityService {
    pub(crate) async fn assignment_list(
        &self,
        context: &RequestContext,
        filter: &AssignmentFilter,
    ) -> Result<Vec<Entry>> {
        let own = context.auth.as_ref().and_then(|auth| auth.domain_scope()).map(|domain| domain.id.clone());
        if filter.subtree {
            let id = filter.project.as_deref().unwrap_or_default();
            let row = self.find_project(id).await?;
            let target = crate::project::project_target(row.as_ref());
            self.enforce(context, "identity:list_role_assignments_for_tree", &target)?;
        } else {
            let target = json!({"target": {"domain_id": own}});
            self.enforce(context, "identity:list_role_assignments", &target)?;
        }
        let mut entries =
            if filter.effective { self.effective_entries(filter).await? } else { self.plain_entries(filter).await? };
        if let (Some(own), false) = (own, context.is_admin()) {
            let inside = self.inside_domain(&own).await?;
            entries.retain(|entry| entry.target_id == own || inside.contains(&entry.target_id));
        }
        Ok(entries)
    }

    async fn inside_domain(&self, domain: &str) -> Result<BTreeSet<String>> {
        let ids: Vec<String> = project::Entity::find()
            .select_only()
            .column(project::Column::Id)
            .filter(project::Column::DomainId.eq(domain))
            .into_tuple()
            .all(self.read())
            .await?;
        Ok(ids.into_iter().collect())
    }

    /// The project of the filter, with those below if asked.
    async fn scope_projects(&self, filter: &AssignmentFilter) -> Result<Option<Vec<project::Model>>> {
        let Some(id) = &filter.project else { return Ok(None) };
        let Some(row) = self.find_project(id).await? else { return Err(not_found("project", id)) };
        let mut rows = vec![row];
        if filter.subtree {
            let mut open = vec![id.clone()];
            for _ in 0..=MAX_DEPTH {
                open = crate::project::children(self.read(), &open).await?;
                for part in open.chunks(1000) {
                    let find = project::Entity::find().filter(project::Column::Id.is_in(part.iter().cloned()));
                    rows.extend(find.all(self.read()).await?);
                }
            }
        }
        Ok(Some(rows))
    }

    async fn plain_entries(&self, filter: &AssignmentFilter) -> Result<Vec<Entry>> {
        use assignment::Column;
        let mut select = assignment::Entity::find().order_by_asc(Column::TargetId).limit(MAX_ENTRIES as u64);
        if let Some(id) = &filter.user {
            select = select.filter(Column::Actor.eq(Actor::User)).filter(Column::ActorId.eq(id));
        }
        if let Some(id) = &filter.group {
            select = select.filter(Column::Actor.eq(Actor::Group)).filter(Column::ActorId.eq(id));
        }
        if let Some(id) = &filter.role {
            select = select.filter(Column::RoleId.eq(id));
        }
        if filter.inherited {
            select = select.filter(Column::Inherited.eq(true));
        }
        if filter.system {
            select = select.filter(Column::Target.eq(Target::System));
        }
        if let Some(id) = &filter.domain {
            select = select.filter(Column::Target.eq(Target::Domain)).filter(Column::TargetId.eq(id));
        }
        if let Some(rows) = self.scope_projects(filter).await? {
            let ids = rows.into_iter().map(|row| row.id);
            select = select.filter(Column::Target.eq(Target::Project)).filter(Column::TargetId.is_in(ids));
        }
        let rows = select.all(self.read()).await?;
        Ok(rows
            .into_iter()
            .map(|row| Entry {
                actor: row.actor,
                actor_id: row.actor_id.clone(),
                target: row.target,
                target_id: row.target_id.clone(),
                role_id: row.role_id.clone(),
                inherited: row.inherited,
                prior_role: None,
                source: row,
            })
            .collect())
    }

    /// Groups become their members, inherited grants the projects below, and roles all they imply.
    async fn effective_entries(&self, filter: &AssignmentFilter) -> Result<Vec<Entry>> {
        use assignment::Column;
        let connection = self.read();
        let mut select = assignment::Entity::find().order_by_asc(Column::TargetId);
        if let Some(id) = &filter.user {
            select = select.filter(actor_is(id));
        }
        if filter.inherited {
            select = select.filter(Column::Inherited.eq(true));
        }
        select = select.filter(if filter.system {
            Column::Target.eq(Target::System)
        } else {
            Column::Target.ne(Target::System)
        });
        if let Some(id) = &filter.domain {
            select = select
                .filter(Column::Target.eq(Target::Domain))
                .filter(Column::TargetId.eq(id))
                .filter(Column::Inherited.eq(false));
        }
        let within = self.scope_projects(filter).await?;
        if let Some(rows) = &within {
            let mut above = BTreeSet::new();
            for row in rows {
                above.extend(ancestors(connection, row).await?);
            }
            let ids = rows.iter().map(|row| row.id.clone());
            let here = Condition::all().add(Column::TargetId.is_in(ids)).add(Column::Inherited.eq(false));
            let handed_down = Condition::all().add(Column::TargetId.is_in(above)).add(Column::Inherited.eq(true));
            select = select.filter(Condition::any().add(here).add(handed_down));
        }
        let rows = select.all(connection).await?;
        let members = self.members(&rows, filter.user.as_deref()).await?;
        let parents = if rows.iter().any(|row| row.inherited) { parents(connection).await? } else { BTreeMap::new() };
        let only: Option<BTreeSet<&str>> = within.as_ref().map(|rows| rows.iter().map(|row| row.id.as_str()).collect());
        let graph = self.role_graph().await?;
        let mut entries = Vec::new();
        for row in rows {
            let users: &[String] = match row.actor {
                Actor::User => std::slice::from_ref(&row.actor_id),
                Actor::Group => members.get(&row.actor_id).map_or(&[], Vec::as_slice),
            };
            let targets: Vec<(Target, &str)> = if row.inherited {
                below(&row.target_id, &parents)
                    .into_iter()
                    .filter(|id| only.as_ref().is_none_or(|only| only.contains(id)))
                    .map(|id| (Target::Project, id))
                    .collect()
            } else {
                vec![(row.target, row.target_id.as_str())]
            };
            // A domain's own role counts by what it implies, as in tokens.
            let mut roles = with_priors(&graph, &row.role_id);
            roles.retain(|(id, _)| graph.roles.get(id).is_some_and(|role| role.domain_id.is_empty()));
            for user in users {
                for (target, target_id) in &targets {
                    for (role_id, prior_role) in &roles {
                        if filter.role.as_ref().is_some_and(|wanted| wanted != role_id) {
                            continue;
                        }
                        if entries.len() >= MAX_ENTRIES {
                            return Err(Error::forbidden(
                                "ForbiddenAction",
                                format!(
                                    "More than {MAX_ENTRIES} assignments take effect; narrow the list by a filter."
                                ),
                            ));
                        }
                        entries.push(Entry {
                            actor: Actor::User,
                            actor_id: user.clone(),
                            target: *target,
                            target_id: (*target_id).to_owned(),
                            role_id: role_id.clone(),
                            inherited: false,
                            source: row.clone(),
                            prior_role: prior_role.clone(),
                        });
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Members of the groups that hold roles, or only the one asked for.
    async fn members(&self, rows: &[assignment::Model], only: Option<&str>) -> Result<HashMap<String, Vec<String>>> {
        let groups: BTreeSet<&str> =
            rows.iter().filter(|row| row.actor == Actor::Group).map(|row| row.actor_id.as_str()).collect();
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        let groups: Vec<&str> = groups.into_iter().collect();
        for part in groups.chunks(1000) {
            let mut select = membership::Entity::find().filter(membership::Column::GroupId.is_in(part.iter().copied()));
            if let Some(user) = only {
                select = select.filter(membership::Column::UserId.eq(user));
            }
            for row in select.all(self.read()).await? {
                found.entry(row.group_id).or_default().push(row.user_id);
            }
        }
        Ok(found)
    }
}

/// The role and all it implies, each with the role that implies it directly.
fn with_priors(graph: &RoleGraph, role_id: &str) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = vec![(role_id.to_owned(), None)];
    let mut next = 0;
    while next < found.len() {
        let prior = found[next].0.clone();
        for implied in graph.implied.get(&prior).into_iter().flatten() {
            if !found.iter().any(|(known, _)| known == implied) {
                found.push((implied.clone(), Some(prior.clone())));
            }
        }
        next += 1;
    }
    found
}

/// Ids of the projects below a project or in a domain.
fn below<'a>(target: &str, parents: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    parents
        .iter()
        .filter(|(_, parent)| {
            let mut above = Some(*parent);
            for _ in 0..=MAX_DEPTH {
                match above {
                    Some(id) if id == target => return true,
                    Some(id) => above = parents.get(id),
                    None => return false,
                }
            }
            false
        })
        .map(|(id, _)| id.as_str())
        .collect()
}

impl Entry {
    /// Upstream's shape without names.
    pub fn view(&self, base: &str) -> Value {
        let actor = match self.actor {
            Actor::User => "user",
            Actor::Group => "group",
        };
        let mut scope = match self.target {
            Target::Project => json!({"project": {"id": self.target_id}}),
            Target::Domain => json!({"domain": {"id": self.target_id}}),
            Target::System => json!({"system": {"all": true}}),
        };
        if self.inherited {
            scope["OS-INHERIT:inherited_to"] = json!("projects");
        }
        let mut links = json!({"assignment": self.link(base)});
        if self.source.actor == Actor::Group && self.actor == Actor::User {
            links["membership"] = json!(format!("{base}/v3/groups/{}/users/{}", self.source.actor_id, self.actor_id));
        }
        if let Some(prior) = &self.prior_role {
            links["prior_role"] = json!(format!("{base}/v3/prior_role/{prior}/implies/{}", self.role_id));
        }
        let mut out = json!({"links": links, "scope": scope, "role": {"id": self.role_id}});
        out[actor] = json!({"id": self.actor_id});
        out
    }

    fn link(&self, base: &str) -> String {
        let source = &self.source;
        let actors = match source.actor {
            Actor::User => "users",
            Actor::Group => "groups",
        };
        let place = match source.target {
            Target::Project => format!("projects/{}", source.target_id),
            Target::Domain => format!("domains/{}", source.target_id),
            Target::System => "system".into(),
        };
        let tail = format!("{place}/{actors}/{}/roles/{}", source.actor_id, source.role_id);
        if source.inherited {
            format!("{base}/v3/OS-INHERIT/{tail}/inherited_to_projects")
        } else {
            format!("{base}/v3/{tail}")
        }
    }
}
