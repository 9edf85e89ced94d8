//! `/v1/images`.

use http::header::LOCATION;
use sahab_api::{Request, Response};
use sahab_contract::{Kind, Result};
use serde_json::{Value, json};

use super::paging;
use crate::{
    ContainerService,
    db::image::{Model, sortable},
    images::{PullRequest, split_tag},
    request::{Arguments, create::pull_policy, fields},
    texts, view,
};

fn render(row: &Model, base: &str) -> Value {
    json!({
        "uuid": row.uuid, "links": view::links(base, "images", &row.uuid), "image_id": row.image_id,
        "project_id": row.project_id, "repo": row.repo, "tag": row.tag, "size": row.size, "host": row.host,
    })
}

pub async fn list(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&paging::KEYS)?;
    let paging = paging::parse(&arguments, sortable, "id")?;
    let rows = service.image_page(&request.context, &paging.page, paging.marker.as_deref()).await?;
    let next = paging::next(&request, "images", &paging.page, rows.len(), rows.last().map(|row| row.uuid.as_str()));
    let images: Vec<_> = rows.iter().map(|row| render(row, &request.context.base_url)).collect();
    Ok(Response::ok(json!({"images": images, "next": next})))
}

pub async fn pull(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    // `image_id` and `size` are upstream's own columns: the pull fills them in.
    arguments.only(&["repo", "host", "tag", "image_id", "size", "image_pull_policy"])?;
    for filled_in in ["image_id", "size"] {
        if arguments.has(filled_in) {
            return Err(texts::invalid_value(format!("{filled_in} is known only after the pull.")));
        }
    }
    let repo = fields::image(arguments.get("repo").ok_or_else(|| texts::missing("repo"))?)?;
    if fields::is_uuid(&repo) {
        return Err(texts::unsupported("Pulling an image of the image service"));
    }
    let (name, tag) = split_tag(&repo);
    let tag = match (tag, arguments.get("tag")) {
        (Some(tag), _) => tag.to_owned(),
        (None, Some(tag)) => {
            let text = fields::text("tag", tag, 1, 128)?;
            fields::image(&json!(format!("{name}:{text}")))?;
            text
        }
        (None, None) => "latest".to_owned(),
    };
    let host = arguments.get("host").ok_or_else(|| texts::missing("host"))?;
    let pull = PullRequest {
        repo: name.to_owned(),
        tag,
        host: fields::text("host", host, 2, 255)?,
        policy: arguments.text("image_pull_policy")?.map(pull_policy).transpose()?,
    };
    let row = service.image_pull(&request.context, pull).await?;
    let location = format!("{}/v1/images/{}", request.context.base_url, row.uuid);
    Ok(Response::accepted(render(&row, &request.context.base_url)).header(LOCATION, location))
}

pub async fn show_or_search(service: ContainerService, request: Request) -> Result<Response> {
    if let Some(name) = request.param("name").strip_suffix("/search").map(str::to_owned) {
        return search(service, request, name).await;
    }
    let row = service.image_show(&request.context, request.param("name")).await?;
    Ok(Response::ok(render(&row, &request.context.base_url)))
}

async fn search(service: ContainerService, request: Request, name: String) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["image_driver", "exact_match"])?;
    match arguments.text("image_driver")? {
        None | Some("docker") => {}
        Some("glance") => return Err(texts::unsupported("Searching the image service")),
        Some(other) => return Err(texts::schema("image_driver", &Value::from(other), "It is not a known driver")),
    }
    let exact = arguments.strict("exact_match")?.unwrap_or(false);
    let found = service.image_search(&request.context, &name, exact).await.map_err(|error| match error.kind() {
        Kind::NotFound => texts::invalid_value(error.message().to_owned()),
        _ => error,
    })?;
    let items = found.iter().map(|image| {
        json!({
            "name": image.name, "description": image.description,
            "metadata": {"is_official": image.official, "star_count": image.stars},
        })
    });
    Ok(Response::ok(items.collect()))
}

pub async fn delete(service: ContainerService, request: Request) -> Result<Response> {
    service.image_delete(&request.context, request.param("name")).await?;
    Ok(Response::ok(Value::Null))
}
