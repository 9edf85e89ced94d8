//! A project's tags, one by one or all at once.

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::OnConflict};

use crate::{
    db::projects::{project, tag},
    input::wrong,
    project::{MAX_TAGS, check_tag, project_target, set_tags},
    service::{IdentityService, not_found},
};

impl IdentityService {
    /// The project, if the rule lets the caller see or change its tags.
    pub(crate) async fn tag_project(&self, context: &RequestContext, rule: &str, id: &str) -> Result<project::Model> {
        let row = self.find_project(id).await?;
        self.enforce(context, rule, &project_target(row.as_ref()))?;
        row.ok_or_else(|| not_found("project", id))
    }

    pub(crate) async fn tags_replace(
        &self,
        context: &RequestContext,
        rule: &str,
        id: &str,
        tags: Vec<String>,
    ) -> Result<()> {
        self.tag_project(context, rule, id).await?;
        let txn = self.begin().await?;
        set_tags(&*txn, id, tags).await?;
        txn.commit().await
    }

    pub(crate) async fn tag_check(&self, context: &RequestContext, id: &str, name: &str) -> Result<()> {
        self.tag_project(context, "identity:get_project_tag", id).await?;
        let row = tag::Entity::find_by_id((id.to_owned(), name.to_owned())).one(self.read()).await?;
        row.map(|_| ()).ok_or_else(|| no_tag(name))
    }

    pub(crate) async fn tag_add(&self, context: &RequestContext, id: &str, name: &str) -> Result<()> {
        self.tag_project(context, "identity:create_project_tag", id).await?;
        check_tag(name)?;
        let txn = self.begin().await?;
        let row = tag::ActiveModel { project_id: Set(id.to_owned()), name: Set(name.to_owned()) };
        tag::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&*txn)
            .await?;
        let count = tag::Entity::find().filter(tag::Column::ProjectId.eq(id)).count(&*txn).await?;
        if count > MAX_TAGS as u64 {
            return Err(wrong("tags", &name.into(), &format!("a project has at most {MAX_TAGS} tags")));
        }
        txn.commit().await
    }

    pub(crate) async fn tag_remove(&self, context: &RequestContext, id: &str, name: &str) -> Result<()> {
        self.tag_project(context, "identity:delete_project_tag", id).await?;
        let txn = self.begin().await?;
        let gone = tag::Entity::delete_by_id((id.to_owned(), name.to_owned())).exec(&*txn).await?;
        if gone.rows_affected == 0 {
            return Err(no_tag(name));
        }
        txn.commit().await
    }
}

fn no_tag(name: &str) -> Error {
    not_found("project tag", name)
}
