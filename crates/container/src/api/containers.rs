//! `/v1/containers` and `/v1/containers/{id}`.

use http::header::LOCATION;
use sahab_api::{Request, Response};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::paging;
use crate::{
    ContainerService,
    container::{DeleteRequest, ListRequest, update::Update},
    db::container::{Model, sortable},
    family,
    request::{
        Arguments,
        create::{self, Defaults},
    },
    state::Action,
    texts, view,
};

const FILTERS: [&str; 9] =
    ["name", "image", "project_id", "user_id", "memory", "host", "task_state", "status", "auto_remove"];

impl ContainerService {
    /// A single container as the caller may see it.
    pub(super) fn render(&self, request: &Request, row: &Model) -> Value {
        let progress = self.progress().get(&row.uuid).cloned();
        let visible = self.visible(&request.context);
        view::container(row, Some(&request.context.base_url), visible, progress.as_deref())
    }
}

pub async fn list(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    let known = |key: &str| {
        FILTERS.contains(&key)
            || paging::KEYS.contains(&key)
            || ["all_projects", "resource_url", "expand"].contains(&key)
    };
    if let Some(unknown) = arguments.0.keys().find(|key| !known(key)) {
        return Err(texts::invalid_value(format!("Unknown parameters: {}", unknown.escape_debug())));
    }
    let paging = paging::parse(&arguments, sortable, "id")?;
    let mut filters = Vec::new();
    for field in FILTERS {
        if let Some(value) = arguments.text(field)? {
            filters.push((field.to_owned(), value.to_owned()));
        }
    }
    let all_projects = arguments.flag("all_projects", false)?;
    let list = ListRequest { all_projects, filters, marker: paging.marker, page: paging.page };
    let rows = service.list(&request.context, &list).await?;
    let last = rows.last().map(|row| row.uuid.as_str());
    let next = paging::next(&request, "containers", &list.page, rows.len(), last);
    let visible = service.visible(&request.context);
    let containers: Vec<_> = rows.iter().map(|row| view::container(row, None, visible, None)).collect();
    Ok(Response::ok(json!({"containers": containers, "next": next})))
}

pub async fn create(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    let settings = &service.settings;
    let defaults = Defaults { cpu: settings.default_cpu, memory: settings.default_memory, limits: settings.limits };
    let parsed = create::parse(&arguments, request.version(), &defaults)?;
    let row = service.create(&request.context, parsed).await?;
    let location = format!("{}/v1/containers/{}", request.context.base_url, row.uuid);
    Ok(Response::accepted(service.render(&request, &row)).header(LOCATION, location))
}

pub async fn show(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["all_projects"])?;
    let all_projects = arguments.flag("all_projects", false)?;
    let row = service.show(&request.context, request.param("id"), all_projects).await?;
    Ok(Response::ok(service.render(&request, &row)))
}

pub async fn update(service: ContainerService, request: Request) -> Result<Response> {
    change(service, request, Action::Update).await
}

pub async fn resize(service: ContainerService, request: Request) -> Result<Response> {
    family::require(&request, (1, 19), family::MAXIMUM, "")?;
    let mut response = change(service, request, Action::ResizeContainer).await?;
    response.status = 202;
    Ok(response)
}

async fn change(service: ContainerService, mut request: Request, action: Action) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    let update = Update::parse(&arguments, &service.settings.limits)?;
    let row = service.update(&request.context, request.param("id"), action, update).await?;
    Ok(Response::ok(service.render(&request, &row)))
}

pub async fn delete(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["force", "stop", "all_projects"])?;
    let delete = DeleteRequest {
        force: arguments.flag("force", false)?,
        stop: arguments.flag("stop", false)?,
        all_projects: arguments.flag("all_projects", false)?,
    };
    let version = request.version();
    for (field, given, since) in [("force", delete.force, (1, 7)), ("stop", delete.stop, (1, 12))] {
        if given && version < since {
            return Err(texts::newer_version(field, version, since));
        }
    }
    service.delete(&request.context, request.param("id"), delete).await?;
    Ok(Response::no_content())
}
