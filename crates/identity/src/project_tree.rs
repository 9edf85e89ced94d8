//! Looking up and down the project tree, and the projects somebody has a role on.

use std::collections::{BTreeMap, BTreeSet};

use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value};

use crate::{
    db::{
        grant::assignment::{self, Target},
        projects::project,
    },
    effective::{actor_is, ancestors, parents},
    listing::Page,
    project::children,
    service::IdentityService,
};

/// Most projects of a subtree that one answer shows.
const MAX_SUBTREE: usize = 10_000;

/// Which parts of the tree a `GET /projects/{id}` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    List,
    Ids,
}

/// Reads `parents_as_list` and the like; both shapes of one direction are an error.
pub(crate) fn shape(query: &Query, direction: &str) -> Result<Option<Shape>> {
    let asked = |suffix: &str| crate::listing::flag(query, &format!("{direction}_as_{suffix}"));
    match (asked("list"), asked("ids")) {
        (true, true) => Err(Error::invalid(
            "ValidationError",
            format!(
                "Cannot use {direction}_as_list and {direction}_as_ids query params at the same time. The server could \
                 not comply with the request since it is either malformed or otherwise incorrect. The client is \
                 assumed to be in error."
            ),
        )),
        (true, false) => Ok(Some(Shape::List)),
        (false, true) => Ok(Some(Shape::Ids)),
        (false, false) => Ok(None),
    }
}

impl IdentityService {
    /// `{"parent": {"grandparent": null}}`
    pub(crate) async fn parents_as_ids(&self, row: &project::Model) -> Result<Value> {
        let above = ancestors(self.read(), row).await?;
        Ok(above.into_iter().rev().fold(Value::Null, |below, id| Value::Object(Map::from_iter([(id, below)]))))
    }

    /// Those above on which the caller has a role.
    pub(crate) async fn parents_as_list(
        &self,
        context: &RequestContext,
        row: &project::Model,
    ) -> Result<Vec<project::Model>> {
        let above = ancestors(self.read(), row).await?;
        self.visible(context, above).await
    }

    pub(crate) async fn subtree_as_list(
        &self,
        context: &RequestContext,
        row: &project::Model,
    ) -> Result<Vec<project::Model>> {
        let below = self.below(&row.id).await?.into_iter().map(|(id, _)| id).collect();
        self.visible(context, below).await
    }

    /// `{"child": {"grandchild": null}}`, or null when there is nothing below.
    pub(crate) async fn subtree_as_ids(&self, row: &project::Model) -> Result<Value> {
        let mut by_parent: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, parent) in self.below(&row.id).await? {
            by_parent.entry(parent).or_default().push(id);
        }
        Ok(nested(&row.id, &by_parent))
    }

    /// Every project below, each with its parent, nearest first.
    async fn below(&self, id: &str) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut open = vec![id.to_owned()];
        while !open.is_empty() && found.len() < MAX_SUBTREE {
            let level = children(self.read(), &open).await?;
            let rows = project::Entity::find();
            let mut next = Vec::new();
            for part in level.chunks(1000) {
                let rows =
                    rows.clone().filter(project::Column::Id.is_in(part.iter().cloned())).all(self.read()).await?;
                for row in rows {
                    next.push(row.id.clone());
                    found.push((row.id, row.parent_id));
                }
            }
            open = next;
        }
        Ok(found)
    }

    async fn visible(&self, context: &RequestContext, ids: Vec<String>) -> Result<Vec<project::Model>> {
        let mine = self.project_ids_of(context.user_id()).await?;
        let ids: Vec<String> = ids.into_iter().filter(|id| mine.contains(id)).collect();
        Ok(project::Entity::find().filter(project::Column::Id.is_in(ids)).all(self.read()).await?)
    }

    /// Ids of the projects on which the user has a role: direct, by group, or inherited from above.
    pub(crate) async fn project_ids_of(&self, user_id: &str) -> Result<BTreeSet<String>> {
        let rows = assignment::Entity::find().filter(actor_is(user_id)).all(self.read()).await?;
        let mut found = BTreeSet::new();
        let mut handing_down = BTreeSet::new();
        for row in rows {
            match (row.inherited, row.target) {
                (false, Target::Project) => {
                    found.insert(row.target_id);
                }
                (true, _) => {
                    handing_down.insert(row.target_id);
                }
                _ => {}
            }
        }
        if handing_down.is_empty() {
            return Ok(found);
        }
        let parents = parents(self.read()).await?;
        for id in parents.keys() {
            let mut above = parents.get(id);
            for _ in 0..=crate::effective::MAX_DEPTH {
                let Some(parent) = above else { break };
                if handing_down.contains(parent) {
                    found.insert(id.clone());
                    break;
                }
                above = parents.get(parent);
            }
        }
        Ok(found)
    }

    /// The projects that a user can get a token for (or, with a filter, a part of them).
    pub(crate) async fn projects_of(&self, user_id: &str, query: &Query) -> Result<Page<project::Model>> {
        let ids = self.project_ids_of(user_id).await?;
        let select = project::Entity::find().filter(project::Column::Id.is_in(ids));
        self.project_page(select, query).await
    }

    /// As [`IdentityService::projects_of`], for the caller itself: enabled ones only.
    pub(crate) async fn own_projects(&self, context: &RequestContext, query: &Query) -> Result<Page<project::Model>> {
        self.enforce(context, "identity:get_auth_projects", &Value::Null)?;
        let ids = self.project_ids_of(context.user_id()).await?;
        let select =
            project::Entity::find().filter(project::Column::Id.is_in(ids)).filter(project::Column::Enabled.eq(true));
        self.project_page(select, query).await
    }

    pub(crate) async fn own_domains(&self, context: &RequestContext) -> Result<Vec<project::Model>> {
        self.enforce(context, "identity:get_auth_domains", &Value::Null)?;
        let rows = assignment::Entity::find()
            .filter(actor_is(context.user_id()))
            .filter(assignment::Column::Target.eq(Target::Domain))
            .filter(assignment::Column::Inherited.eq(false))
            .all(self.read())
            .await?;
        let ids = rows.into_iter().map(|row| row.target_id);
        let find = project::Entity::find()
            .filter(project::Column::Id.is_in(ids))
            .filter(project::Column::IsDomain.eq(true))
            .filter(project::Column::Enabled.eq(true));
        Ok(find.all(self.read()).await?)
    }

    /// Whether the caller has a role on the system.
    pub(crate) async fn has_system_role(&self, context: &RequestContext) -> Result<bool> {
        self.enforce(context, "identity:get_auth_system", &Value::Null)?;
        let roles = self.effective_roles(context.user_id(), &crate::effective::Place::System).await?;
        Ok(!roles.is_empty())
    }
}

/// Depth is bounded by the depth of the tree, which creation bounds.
fn nested(id: &str, by_parent: &BTreeMap<String, Vec<String>>) -> Value {
    match by_parent.get(id) {
        None => Value::Null,
        Some(ids) => Value::Object(ids.iter().map(|id| (id.clone(), nested(id, by_parent))).collect()),
    }
}
