//! Grants: the same four operations on every pair of target and actor.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;

use super::{State, whole};
use crate::{
    db::grant::assignment::{Actor, Target},
    grant::Holder,
    view,
};

/// Path of the roles, what it names, and whether it is about inherited roles.
const PLACES: [(&str, &str, Target, Actor, bool); 10] = {
    use Actor::{Group, User};
    use Target::{Domain, Project, System};
    [
        (
            "/v3/projects/{target_id}/users/{actor_id}/roles",
            "/v3/projects/{target_id}/users/{actor_id}/roles/{role_id}",
            Project,
            User,
            false,
        ),
        (
            "/v3/projects/{target_id}/groups/{actor_id}/roles",
            "/v3/projects/{target_id}/groups/{actor_id}/roles/{role_id}",
            Project,
            Group,
            false,
        ),
        (
            "/v3/domains/{target_id}/users/{actor_id}/roles",
            "/v3/domains/{target_id}/users/{actor_id}/roles/{role_id}",
            Domain,
            User,
            false,
        ),
        (
            "/v3/domains/{target_id}/groups/{actor_id}/roles",
            "/v3/domains/{target_id}/groups/{actor_id}/roles/{role_id}",
            Domain,
            Group,
            false,
        ),
        ("/v3/system/users/{actor_id}/roles", "/v3/system/users/{actor_id}/roles/{role_id}", System, User, false),
        ("/v3/system/groups/{actor_id}/roles", "/v3/system/groups/{actor_id}/roles/{role_id}", System, Group, false),
        (
            "/v3/OS-INHERIT/domains/{target_id}/users/{actor_id}/roles/inherited_to_projects",
            "/v3/OS-INHERIT/domains/{target_id}/users/{actor_id}/roles/{role_id}/inherited_to_projects",
            Domain,
            User,
            true,
        ),
        (
            "/v3/OS-INHERIT/domains/{target_id}/groups/{actor_id}/roles/inherited_to_projects",
            "/v3/OS-INHERIT/domains/{target_id}/groups/{actor_id}/roles/{role_id}/inherited_to_projects",
            Domain,
            Group,
            true,
        ),
        (
            "/v3/OS-INHERIT/projects/{target_id}/users/{actor_id}/roles/inherited_to_projects",
            "/v3/OS-INHERIT/projects/{target_id}/users/{actor_id}/roles/{role_id}/inherited_to_projects",
            Project,
            User,
            true,
        ),
        (
            "/v3/OS-INHERIT/projects/{target_id}/groups/{actor_id}/roles/inherited_to_projects",
            "/v3/OS-INHERIT/projects/{target_id}/groups/{actor_id}/roles/{role_id}/inherited_to_projects",
            Project,
            Group,
            true,
        ),
    ]
};

pub fn routes(table: &mut Table<State>) {
    for (list, one, target, actor, inherited) in PLACES {
        let holder = move |request: &Request| Holder {
            actor,
            actor_id: request.param("actor_id").to_owned(),
            target,
            target_id: if target == Target::System { "system".into() } else { request.param("target_id").to_owned() },
            inherited,
        };
        table.get(list, move |service, request| {
            let holder = holder(&request);
            index(service, request, holder)
        });
        table.put(one, move |service, request| {
            let holder = holder(&request);
            create(service, request, holder)
        });
        table.get(one, move |service, request| {
            let holder = holder(&request);
            check(service, request, holder)
        });
        table.delete(one, move |service, request| {
            let holder = holder(&request);
            revoke(service, request, holder)
        });
    }
}

async fn index(service: State, request: Request, holder: Holder) -> Result<Response> {
    let roles = service.grant_list(&request.context, holder).await?;
    let base = &request.meta.base_url;
    Ok(whole(&request, "roles", roles.iter().map(|row| view::role(base, row)).collect()))
}

async fn create(service: State, request: Request, holder: Holder) -> Result<Response> {
    service.grant_create(&request.context, holder, request.param("role_id")).await?;
    Ok(Response::no_content())
}

async fn check(service: State, request: Request, holder: Holder) -> Result<Response> {
    service.grant_check(&request.context, holder, request.param("role_id")).await?;
    Ok(Response::no_content())
}

async fn revoke(service: State, request: Request, holder: Holder) -> Result<Response> {
    service.grant_revoke(&request.context, holder, request.param("role_id")).await?;
    Ok(Response::no_content())
}
