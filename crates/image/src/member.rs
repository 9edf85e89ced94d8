//! Sharing: projects that an image's owner lets in, and their answer.

use sahab_contract::{Error, Kind, RequestContext, Result, context::now};
use sahab_db::is_unique_violation;

use crate::{
    ImageService,
    db::{image::Model as Image, member, member::Model},
};

const MAX_MEMBERS: usize = 128;

impl ImageService {
    /// All members for the owner; for a member, itself.
    pub async fn member_list(&self, context: &RequestContext, image: &str) -> Result<Vec<Model>> {
        let row = self.shared(context, image).await?;
        let all = member::of_image(self.database.read(), image).await?;
        let owner = self.allows(context, "add_member", &row, None) || context.project_id() == Some(&row.owner);
        Ok(all.into_iter().filter(|member| owner || context.project_id() == Some(&member.member_id)).collect())
    }

    pub async fn member_show(&self, context: &RequestContext, image: &str, project: &str) -> Result<Model> {
        let visible = self.member_list(context, image).await?;
        visible.into_iter().find(|member| member.member_id == project).ok_or_else(|| not_found(image, project))
    }

    pub async fn member_add(&self, context: &RequestContext, image: &str, project: &str) -> Result<Model> {
        let row = self.shared(context, image).await?;
        self.enforce(context, "add_member", &row)?;
        let now = now();
        let new = Model {
            image_id: image.to_owned(),
            member_id: project.to_owned(),
            status: "pending".into(),
            created_at: now,
            updated_at: now,
        };
        let txn = self.database.begin().await?;
        if member::of_image(&txn, image).await?.len() >= MAX_MEMBERS {
            let text = format!("The limit has been exceeded on the number of allowed image members: {MAX_MEMBERS}.");
            return Err(Error::new(Kind::TooLarge, "LimitExceeded", text));
        }
        member::insert(&txn, new.clone()).await.map_err(|error| match is_unique_violation(&error) {
            true => Error::conflict("Duplicate", format!("Member {project} is duplicated for image {image}")),
            false => error.into(),
        })?;
        txn.commit().await?;
        Ok(new)
    }

    pub async fn member_answer(
        &self,
        context: &RequestContext,
        image: &str,
        project: &str,
        status: &str,
    ) -> Result<Model> {
        let row = self.shared(context, image).await?;
        if !["accepted", "rejected", "pending"].contains(&status) {
            return Err(Error::invalid("BadRequest", format!("Invalid member status: {status}")));
        }
        let txn = self.database.begin().await?;
        let mut found = member::find(&txn, image, project).await?.ok_or_else(|| not_found(image, project))?;
        if !self.allows(context, "modify_member", &row, Some(project)) {
            return Err(match context.project_id() == Some(&row.owner) {
                true => Error::forbidden("Forbidden", "You are not authorized to complete modify_member action."),
                false => not_found(image, project),
            });
        }
        found.status = status.to_owned();
        found.updated_at = now();
        member::save(&txn, found.clone()).await?;
        txn.commit().await?;
        Ok(found)
    }

    pub async fn member_remove(&self, context: &RequestContext, image: &str, project: &str) -> Result<()> {
        let row = self.shared(context, image).await?;
        self.enforce(context, "delete_member", &row)?;
        let txn = self.database.begin().await?;
        if !member::delete(&txn, image, project).await? {
            return Err(not_found(image, project));
        }
        txn.commit().await?;
        Ok(())
    }

    async fn shared(&self, context: &RequestContext, image: &str) -> Result<Image> {
        let row = self.visible(context, image).await?;
        match row.visibility.as_str() {
            "shared" => Ok(row),
            _ => Err(Error::forbidden("Forbidden", "Only shared images have members.")),
        }
    }
}

fn not_found(image: &str, project: &str) -> Error {
    Error::not_found("MemberNotFound", format!("{project} not found in the member list of the image {image}."))
}
