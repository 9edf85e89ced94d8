//! Upstream's rule names with the defaults of this cloud.
//!
//! One difference from upstream's defaults: a project's reader may only read; writing needs the role `member`. The rules
//! that upstream closes to everybody but administrators only because of its own limits (pull policy,
//! `privileged: false`) are decided by value, see [`crate::request`].

use std::collections::BTreeMap;

use sahab_contract::{RequestContext, Result};
use sahab_policy::Enforcer;
use serde_json::json;

use crate::{ContainerService, texts};

const BASE: &[(&str, &str)] = &[
    ("context_is_admin", "role:admin"),
    ("admin_api", "rule:context_is_admin"),
    ("owner", "project_id:%(project_id)s"),
    ("admin_or_owner", "rule:context_is_admin or rule:owner"),
    ("admin_or_member", "rule:context_is_admin or (role:member and rule:owner)"),
    ("deny_everybody", "!"),
];

const MEMBER: &[&str] = &[
    "container:create",
    "container:create:image_pull_policy",
    "container:delete",
    "container:update",
    "container:start",
    "container:stop",
    "container:reboot",
    "container:rebuild",
    "container:pause",
    "container:unpause",
    "container:kill",
    "container:execute",
    "container:execute_resize",
    "container:attach",
    "container:resize",
    "container:put_archive",
    "container:commit",
    "container:rename",
    "container:resize_container",
    "container:add_security_group",
    "container:remove_security_group",
    "container:network_attach",
    "container:network_detach",
    "capsule:create",
    "capsule:delete",
    "registry:create",
    "registry:delete",
    "registry:update",
];

const READER: &[&str] = &[
    "container:get_one",
    "container:get_all",
    "container:logs",
    "container:top",
    "container:get_archive",
    "container:stats",
    "container:actions",
    "container:network_list",
    "capsule:get",
    "capsule:get_all",
    "image:search",
    "quota:get",
    "quota:get_default",
    "registry:get_one",
    "registry:get_all",
    "availability_zones:get_all",
];

const ADMIN: &[&str] = &[
    "container:create:runtime",
    "container:create:requested_destination",
    "container:delete_all_projects",
    "container:delete_force",
    "container:get_one_all_projects",
    "container:get_all_all_projects",
    "container:get_one:host",
    "container:get_one:image_pull_policy",
    "container:get_one:privileged",
    "container:get_one:runtime",
    "container:action:events",
    "capsule:delete_all_projects",
    "capsule:get:host",
    "capsule:get_one_all_projects",
    "capsule:get_all_all_projects",
    "host:get_all",
    "host:get",
    "image:pull",
    "image:get_all",
    "image:get_one",
    "image:delete",
    "network:attach_external_network",
    "network:create",
    "network:delete",
    "quota:update",
    "quota:delete",
    "quota_class:update",
    "quota_class:get",
    "registry:get_all_all_projects",
    "zun-service:get_all",
    "zun-service:enable",
    "zun-service:disable",
    "zun-service:force_down",
    "zun-service:delete",
];

const NOBODY: &[&str] = &["container:create:privileged"];

pub fn enforcer(overrides: &BTreeMap<String, String>) -> Result<Enforcer> {
    let mut rules = BASE.to_vec();
    rules.extend(MEMBER.iter().map(|rule| (*rule, "rule:admin_or_member")));
    rules.extend(READER.iter().map(|rule| (*rule, "rule:admin_or_owner")));
    rules.extend(ADMIN.iter().map(|rule| (*rule, "rule:context_is_admin")));
    rules.extend(NOBODY.iter().map(|rule| (*rule, "rule:deny_everybody")));
    Enforcer::new(&rules)?.overridden(overrides)
}

impl ContainerService {
    /// Whether the caller may do `rule` to something of `project`.
    pub(crate) fn may(&self, context: &RequestContext, rule: &str, project: &str) -> bool {
        self.policy.allows(context, rule, &json!({ "project_id": project }))
    }

    pub(crate) fn enforce(&self, context: &RequestContext, rule: &str, project: &str) -> Result<()> {
        context.auth()?;
        if self.may(context, rule, project) { Ok(()) } else { Err(texts::forbidden(rule)) }
    }

    /// For rules about nothing that has an owner.
    pub(crate) fn enforce_own(&self, context: &RequestContext, rule: &str) -> Result<()> {
        self.enforce(context, rule, context.project_id().unwrap_or_default())
    }
}
