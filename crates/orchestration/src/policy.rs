//! Who may do what with stacks: upstream's rule names and defaults (spec 1.20).

use sahab_contract::{Error, RequestContext, Result};
use sahab_policy::Enforcer;
use serde_json::json;

use crate::core::Core;

const READER: &str = "role:admin or (role:reader and project_id:%(project_id)s)";
const MEMBER: &str = "role:admin or (role:member and project_id:%(project_id)s)";
/// Also the users that stacks make for their own servers.
const READER_OR_STACK_USER: &str =
    "role:admin or ((role:reader or role:heat_stack_user) and project_id:%(project_id)s)";
const MEMBER_OR_STACK_USER: &str =
    "role:admin or ((role:member or role:heat_stack_user) and project_id:%(project_id)s)";
const ADMIN: &str = "role:admin";

pub const RULES: &[(&str, &str)] = &[
    ("actions:action", MEMBER),
    ("build_info:build_info", READER),
    ("events:index", READER),
    ("events:show", READER),
    ("resource:index", READER),
    ("resource:show", READER),
    ("resource:mark_unhealthy", MEMBER),
    ("resource:metadata", READER_OR_STACK_USER),
    ("resource:signal", MEMBER_OR_STACK_USER),
    ("resource_types:admin_only", ADMIN),
    ("service:index", ADMIN),
    ("software_configs:create", MEMBER),
    ("software_configs:delete", MEMBER),
    // Upstream denies everybody.
    ("software_configs:global_index", "!"),
    ("software_configs:index", READER),
    ("software_configs:show", READER),
    ("software_deployments:create", MEMBER),
    ("software_deployments:delete", MEMBER),
    ("software_deployments:index", READER),
    ("software_deployments:metadata", READER_OR_STACK_USER),
    ("software_deployments:show", READER_OR_STACK_USER),
    ("software_deployments:update", MEMBER_OR_STACK_USER),
    ("stacks:create", MEMBER),
    ("stacks:delete", MEMBER),
    ("stacks:detail", READER),
    ("stacks:environment", READER),
    ("stacks:files", READER),
    ("stacks:generate_template", READER),
    // Upstream denies everybody, so that services which need it patch the policy.
    ("stacks:global_index", ADMIN),
    ("stacks:index", READER),
    ("stacks:list_outputs", READER),
    ("stacks:list_resource_types", READER),
    ("stacks:list_template_functions", READER),
    ("stacks:list_template_versions", READER),
    ("stacks:lookup", READER_OR_STACK_USER),
    ("stacks:preview", READER),
    ("stacks:preview_update", MEMBER),
    ("stacks:preview_update_patch", MEMBER),
    ("stacks:resource_schema", READER),
    ("stacks:show", READER),
    ("stacks:show_output", READER),
    ("stacks:template", READER),
    ("stacks:update", MEMBER),
    ("stacks:update_no_change", MEMBER),
    ("stacks:update_patch", MEMBER),
    ("stacks:validate_template", READER),
];

pub fn enforcer() -> Result<Enforcer> {
    Enforcer::new(RULES)
}

impl Core {
    /// The rule for an act on things of a project.
    pub fn enforce(&self, context: &RequestContext, rule: &str, project_id: &str) -> Result<()> {
        if self.policy.allows(context, rule, &json!({"project_id": project_id})) {
            Ok(())
        } else {
            Err(Error::forbidden("Forbidden", "You are not authorized to complete this action."))
        }
    }
}
