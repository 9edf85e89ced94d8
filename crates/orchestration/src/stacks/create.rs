//! Create: everything is checked, then the row and the task are written in one transaction.

use std::sync::Arc;

use sahab_contract::{Error, RequestContext, Result, context::now};
use serde_json::Value;

use super::request::{self, StackRequest};
use crate::{
    core::Core,
    db::{Action, Status, event, stack, tag},
    engine,
    plan::{self, Plan, Source},
    sources,
    template::{Files, Template},
    validation,
};

/// A checked template with everything that belongs to it.
pub struct Prepared {
    pub plan: Plan,
    pub files: Files,
}

/// Reads, joins and checks template, environment and files for a stack of that name.
pub async fn prepare(
    core: &Core,
    context: &RequestContext,
    project_id: &str,
    name: &str,
    id: Option<&str>,
    request: &StackRequest,
) -> Result<Prepared> {
    let template = Arc::new(Template::from_map(request::required_template(request)?)?);
    let mut files = request.files.clone();
    sources::collect(&core.settings, &core.types, &template, &request.environment, &mut files).await?;
    let shared = Arc::new(files.clone());
    let source = Source {
        template,
        environment: request.environment.clone(),
        files: shared.clone(),
        pseudo: plan::pseudo(project_id, name, id, &core.settings.region),
        facade: None,
        is_lenient: false,
    };
    let plan = Plan::build(&core.types, source)?;
    let act = crate::resources::Act {
        cloud: core.cloud.clone(),
        context: RequestContext { preset_id: None, ..context.clone() },
        project_id: project_id.to_owned(),
        files: shared,
    };
    validation::validate(core, &act, &plan, 0).await?;
    Ok(Prepared { plan, files })
}

pub fn already_exists(name: &str) -> Error {
    Error::conflict("StackExists", format!("The Stack ({name}) already exists."))
}

/// Accepts a new stack.
pub async fn create(core: &Core, context: &RequestContext, project_id: &str, body: &Value) -> Result<stack::Model> {
    core.enforce(context, "stacks:create", project_id)?;
    // A stack acts for its owner later: the owner must be somebody in this very project.
    if context.require_project()? != project_id {
        return Err(Error::forbidden("Forbidden", "A stack can only be created in the project of the token."));
    }
    let request = request::parse(core, body, None).await?;
    if request.converge.is_some() {
        return Err(crate::template::error::bad_request(
            "converge flag only supported in stack update (or update preview) request.",
        ));
    }
    let name = request.name.clone().ok_or_else(|| Error::invalid("HTTPBadRequest", "No stack name specified"))?;
    request::check_name(&name)?;
    if stack::find_by_name(core.database.read(), project_id, &name).await?.is_some() {
        return Err(already_exists(&name));
    }
    let limit = core.settings.max_stacks_per_tenant;
    let check_quota = |count: u64| {
        if count >= limit {
            return Err(crate::template::error::limit(format!(
                "You have reached the maximum stacks per tenant, {limit}. Please delete some stacks."
            )));
        }
        Ok(())
    };
    check_quota(stack::count_live(core.database.read(), project_id).await?)?;
    let id = context.new_uuid();
    let prepared = prepare(core, context, project_id, &name, Some(&id), &request).await?;
    let at = now();
    let row = stack::Model {
        id: id.clone(),
        live_name: Some(stack::live_name(project_id, &name)),
        name,
        project_id: project_id.to_owned(),
        user_id: context.user_id().to_owned(),
        user_name: context.auth.as_ref().map_or_else(String::new, |auth| auth.user.name.clone()),
        owner_id: None,
        owner_resource: None,
        root_id: id,
        depth: 0,
        action: Action::Create,
        status: Status::InProgress,
        status_reason: "Stack CREATE started".into(),
        cause: None,
        description: prepared.plan.bound.template().description().unwrap_or_default().to_owned(),
        template: Value::Object(prepared.plan.bound.template().source().clone()),
        environment: Value::Object(request.environment.to_map()),
        files: Some(plan::files_to_value(&prepared.files)),
        previous: None,
        timeout_mins: request.timeout_mins.flatten(),
        disable_rollback: request.disable_rollback.unwrap_or(true),
        traversal: uuid::Uuid::new_v4().to_string(),
        started_at: at,
        converge: false,
        created_at: at,
        updated_at: None,
        deleted_at: None,
    };
    let txn = core.database.begin().await?;
    check_quota(stack::count_live(&txn, project_id).await?)?;
    match stack::insert(&txn, row.clone()).await {
        Ok(()) => {}
        Err(error) if sahab_db::is_unique_violation(&error) => return Err(already_exists(&row.name)),
        Err(error) => return Err(error.into()),
    }
    if let Some(tags) = &request.tags {
        tag::replace(&txn, &row.id, tags).await?;
    }
    event::insert(&txn, vec![engine::stack_event(&row, Action::Create, Status::InProgress, &row.status_reason)])
        .await?;
    super::enqueue(core, &txn, &row, &context.request_id).await?;
    txn.commit().await?;
    core.queue.nudge();
    Ok(row)
}
