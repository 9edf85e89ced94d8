//! Which roles somebody really has: direct, by group, inherited, implied (spec sections 3.2 and 11).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sahab_contract::{Named, Result};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::{
    db::{
        grant::{
            assignment::{self, Actor, Target},
            implied, role,
        },
        principal::membership,
        projects::project,
    },
    service::IdentityService,
};

/// Deepest project tree (`max_project_tree_depth`), the domain included.
pub(crate) const MAX_DEPTH: usize = 5;

/// Every role and what it implies. Small and read on every validation, so kept in memory per generation.
#[derive(Default)]
pub(crate) struct RoleGraph {
    pub roles: HashMap<String, role::Model>,
    /// Direct implications: prior → implied.
    pub implied: HashMap<String, Vec<String>>,
}

impl RoleGraph {
    pub async fn load(connection: &impl ConnectionTrait) -> Result<Self> {
        let roles = role::Entity::find().all(connection).await?;
        let mut graph = RoleGraph {
            roles: roles.into_iter().map(|role| (role.id.clone(), role)).collect(),
            implied: HashMap::new(),
        };
        for row in implied::Entity::find().all(connection).await? {
            graph.implied.entry(row.prior_id).or_default().push(row.implied_id);
        }
        Ok(graph)
    }

    /// The roles and all they imply, by id. Cycles end by themselves.
    pub fn expand(&self, ids: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open: Vec<String> = ids.into_iter().collect();
        while let Some(id) = open.pop() {
            if found.insert(id.clone()) {
                open.extend(self.implied.get(&id).into_iter().flatten().cloned());
            }
        }
        found
    }

    /// As a token shows them: global roles only; a domain's own role counts by what it implies.
    pub fn named(&self, ids: impl IntoIterator<Item = String>) -> Vec<Named> {
        self.expand(ids)
            .into_iter()
            .filter_map(|id| self.roles.get(&id))
            .filter(|role| role.domain_id.is_empty())
            .map(|role| Named { id: role.id.clone(), name: role.name.clone() })
            .collect()
    }
}

/// Where roles are asked for.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// With the ids above it that hand down roles: parents and the domain.
    Project {
        id: String,
        ancestors: Vec<String>,
    },
    Domain(String),
    System,
}

impl IdentityService {
    pub(crate) async fn role_graph(&self) -> Result<std::sync::Arc<RoleGraph>> {
        self.roles.get(&self.generation, RoleGraph::load(self.read())).await
    }

    /// Roles of the user in the place, with implied ones; by name for tokens.
    pub(crate) async fn effective_roles(&self, user_id: &str, place: &Place) -> Result<Vec<Named>> {
        let ids = assigned_roles(self.read(), user_id, place).await?;
        Ok(self.role_graph().await?.named(ids))
    }

    /// As [`IdentityService::effective_roles`], with a domain's own roles too: what may be delegated.
    pub(crate) async fn effective_role_ids(&self, user_id: &str, place: &Place) -> Result<BTreeSet<String>> {
        let ids = assigned_roles(self.read(), user_id, place).await?;
        Ok(self.role_graph().await?.expand(ids))
    }
}

/// Role ids assigned to the user or one of its groups, without implications.
pub(crate) async fn assigned_roles(
    connection: &impl ConnectionTrait,
    user_id: &str,
    place: &Place,
) -> Result<BTreeSet<String>> {
    let here = |target: Target, id: &str| {
        Condition::all()
            .add(assignment::Column::Target.eq(target))
            .add(assignment::Column::TargetId.eq(id))
            .add(assignment::Column::Inherited.eq(false))
    };
    let condition = match place {
        Place::System => here(Target::System, "system"),
        Place::Domain(id) => here(Target::Domain, id),
        Place::Project { id, ancestors } => Condition::any().add(here(Target::Project, id)).add(
            Condition::all()
                .add(assignment::Column::TargetId.is_in(ancestors))
                .add(assignment::Column::Target.is_in([Target::Project, Target::Domain]))
                .add(assignment::Column::Inherited.eq(true)),
        ),
    };
    let rows: Vec<String> = assignment::Entity::find()
        .select_only()
        .column(assignment::Column::RoleId)
        .filter(condition)
        .filter(actor_is(user_id))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

/// The user itself, or a group it belongs to.
pub(crate) fn actor_is(user_id: &str) -> Condition {
    let mut groups = sea_orm::sea_query::Query::select();
    groups
        .column(membership::Column::GroupId)
        .from(membership::Entity)
        .and_where(membership::Column::UserId.eq(user_id));
    Condition::any()
        .add(
            Condition::all()
                .add(assignment::Column::Actor.eq(Actor::User))
                .add(assignment::Column::ActorId.eq(user_id)),
        )
        .add(
            Condition::all()
                .add(assignment::Column::Actor.eq(Actor::Group))
                .add(assignment::Column::ActorId.in_subquery(groups)),
        )
}

/// Ids above a project, the nearest first, its domain last. A domain has none.
pub(crate) async fn ancestors(connection: &impl ConnectionTrait, project: &project::Model) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if project.is_domain {
        return Ok(found);
    }
    let mut parent = project.parent_id.clone();
    while parent != project.domain_id && !parent.is_empty() && found.len() <= MAX_DEPTH {
        let above: Option<String> = project::Entity::find_by_id(&parent)
            .select_only()
            .column(project::Column::ParentId)
            .into_tuple()
            .one(connection)
            .await?;
        found.push(std::mem::replace(&mut parent, above.unwrap_or_default()));
    }
    found.push(project.domain_id.clone());
    Ok(found)
}

/// Every project (domains apart) by id with its parent; to expand inherited roles of many places at once.
pub(crate) async fn parents(connection: &impl ConnectionTrait) -> Result<BTreeMap<String, String>> {
    let rows: Vec<(String, String)> = project::Entity::find()
        .select_only()
        .column(project::Column::Id)
        .column(project::Column::ParentId)
        .filter(project::Column::IsDomain.eq(false))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}
