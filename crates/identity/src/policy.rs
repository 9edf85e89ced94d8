//! Upstream's rule names with its default checks (spec section 26). An operator's policy file may override them.
//!
//! Personas: `admin` of any scope; `reader` of the system for reads; `manager` and `reader` of a domain for what is
//! inside it; the owner for personal objects.

use sahab_contract::Result;
use sahab_policy::Enforcer;

const ADMIN: &str = "rule:admin_required";
const READ: &str = "rule:admin_required or rule:system_reader";
const ANYBODY: &str = "@";

const USER_READ_OR_SELF: &str = "rule:admin_required or rule:system_reader or (role:reader and \
    domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s";
const USER_WRITE: &str = "rule:admin_required or (role:manager and domain_id:%(target.user.domain_id)s)";
const GROUP_READ: &str = "rule:admin_required or rule:system_reader or (role:reader and \
    domain_id:%(target.group.domain_id)s)";
const GROUP_WRITE: &str = "rule:admin_required or (role:manager and domain_id:%(target.group.domain_id)s)";
const MEMBERSHIP_READ: &str = "rule:admin_required or rule:system_reader or (role:reader and \
    domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)";
const MEMBERSHIP_WRITE: &str = "rule:admin_required or (role:manager and domain_id:%(target.group.domain_id)s and \
    domain_id:%(target.user.domain_id)s)";
const PROJECT_READ: &str = "rule:admin_required or rule:system_reader or (role:reader and \
    domain_id:%(target.project.domain_id)s) or project_id:%(target.project.id)s";
const PROJECT_WRITE: &str = "rule:admin_required or (role:manager and domain_id:%(target.project.domain_id)s)";
const LIST_IN_DOMAIN: &str = "rule:admin_required or rule:system_reader or (role:reader and \
    domain_id:%(target.domain_id)s)";
const DOMAIN_READ: &str = "rule:admin_required or rule:system_reader or token.domain.id:%(target.domain.id)s or \
    domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s";
const GRANT_READ: &str = "rule:admin_required or rule:system_reader or (role:reader and rule:grant_in_own_domain)";
const GRANT_WRITE: &str = "rule:admin_required or (role:manager and rule:grant_in_own_domain and \
    rule:domain_managed_target_role)";
const ROLE_READ: &str = "rule:admin_required or rule:system_reader or (role:manager and \
    rule:domain_managed_target_role)";
const OWNER_READ: &str = "rule:admin_required or rule:system_reader or user_id:%(target.user.id)s";
const OWNER_WRITE: &str = "rule:admin_required or user_id:%(target.user.id)s";
const CREDENTIAL_READ: &str = "rule:admin_required or rule:system_reader or user_id:%(target.credential.user_id)s";
const CREDENTIAL_WRITE: &str = "rule:admin_required or user_id:%(target.credential.user_id)s";
const TRUST_READ: &str = "rule:admin_required or rule:system_reader or \
    user_id:%(target.trust.trustor_user_id)s or user_id:%(target.trust.trustee_user_id)s";
const SERVICE: &str = "rule:admin_required or role:service";

const RULES: &[(&str, &str)] = &[
    ("admin_required", "role:admin or is_admin:1"),
    ("system_reader", "role:reader and system_scope:all"),
    (
        "domain_managed_target_role",
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
    ),
    (
        "grant_in_own_domain",
        "(domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s) and \
         (domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s)",
    ),
    // tokens
    (
        "identity:validate_token",
        "rule:admin_required or role:service or rule:system_reader or user_id:%(target.token.user_id)s",
    ),
    (
        "identity:check_token",
        "rule:admin_required or role:service or rule:system_reader or user_id:%(target.token.user_id)s",
    ),
    ("identity:revoke_token", "rule:admin_required or user_id:%(target.token.user_id)s"),
    ("identity:get_auth_catalog", ANYBODY),
    ("identity:get_auth_projects", ANYBODY),
    ("identity:get_auth_domains", ANYBODY),
    ("identity:get_auth_system", ANYBODY),
    ("identity:list_revoke_events", SERVICE),
    ("identity:ec2_create_token", SERVICE),
    // users
    ("identity:get_user", USER_READ_OR_SELF),
    ("identity:list_users", LIST_IN_DOMAIN),
    ("identity:create_user", USER_WRITE),
    ("identity:update_user", USER_WRITE),
    ("identity:delete_user", USER_WRITE),
    ("identity:list_user_projects", USER_READ_OR_SELF),
    ("identity:list_groups_for_user", USER_READ_OR_SELF),
    ("identity:revoke_user_tokens", USER_WRITE),
    // groups
    ("identity:get_group", GROUP_READ),
    ("identity:list_groups", LIST_IN_DOMAIN),
    ("identity:create_group", GROUP_WRITE),
    ("identity:update_group", GROUP_WRITE),
    ("identity:delete_group", GROUP_WRITE),
    ("identity:list_users_in_group", GROUP_READ),
    ("identity:add_user_to_group", MEMBERSHIP_WRITE),
    ("identity:check_user_in_group", MEMBERSHIP_READ),
    ("identity:remove_user_from_group", MEMBERSHIP_WRITE),
    // projects
    ("identity:get_project", PROJECT_READ),
    ("identity:list_projects", LIST_IN_DOMAIN),
    ("identity:create_project", PROJECT_WRITE),
    ("identity:update_project", PROJECT_WRITE),
    ("identity:delete_project", PROJECT_WRITE),
    ("identity:list_project_tags", PROJECT_READ),
    ("identity:get_project_tag", PROJECT_READ),
    ("identity:update_project_tags", PROJECT_WRITE),
    ("identity:create_project_tag", PROJECT_WRITE),
    ("identity:delete_project_tags", PROJECT_WRITE),
    ("identity:delete_project_tag", PROJECT_WRITE),
    // domains
    ("identity:get_domain", DOMAIN_READ),
    (
        "identity:list_domains",
        "rule:admin_required or rule:system_reader or (role:reader and domain_id:%(target.domain.id)s)",
    ),
    ("identity:create_domain", ADMIN),
    ("identity:update_domain", ADMIN),
    ("identity:delete_domain", ADMIN),
    ("identity:get_domain_config", READ),
    ("identity:get_domain_config_default", READ),
    ("identity:get_security_compliance_domain_config", ANYBODY),
    ("identity:create_domain_config", ADMIN),
    ("identity:update_domain_config", ADMIN),
    ("identity:delete_domain_config", ADMIN),
    // roles
    ("identity:get_role", ROLE_READ),
    ("identity:list_roles", "rule:admin_required or rule:system_reader or (role:manager and not domain_id:None)"),
    ("identity:create_role", ADMIN),
    ("identity:update_role", ADMIN),
    ("identity:delete_role", ADMIN),
    ("identity:get_domain_role", READ),
    ("identity:list_domain_roles", READ),
    ("identity:create_domain_role", ADMIN),
    ("identity:update_domain_role", ADMIN),
    ("identity:delete_domain_role", ADMIN),
    ("identity:get_implied_role", READ),
    ("identity:list_implied_roles", READ),
    ("identity:check_implied_role", READ),
    ("identity:list_role_inference_rules", READ),
    ("identity:create_implied_role", ADMIN),
    ("identity:delete_implied_role", ADMIN),
    // grants
    ("identity:check_grant", GRANT_READ),
    ("identity:list_grants", GRANT_READ),
    ("identity:create_grant", GRANT_WRITE),
    ("identity:revoke_grant", GRANT_WRITE),
    ("identity:list_system_grants_for_user", READ),
    ("identity:check_system_grant_for_user", READ),
    ("identity:create_system_grant_for_user", ADMIN),
    ("identity:revoke_system_grant_for_user", ADMIN),
    ("identity:list_system_grants_for_group", READ),
    ("identity:check_system_grant_for_group", READ),
    ("identity:create_system_grant_for_group", ADMIN),
    ("identity:revoke_system_grant_for_group", ADMIN),
    ("identity:list_role_assignments", LIST_IN_DOMAIN),
    (
        "identity:list_role_assignments_for_tree",
        "rule:admin_required or rule:system_reader or (role:reader and domain_id:%(target.project.domain_id)s)",
    ),
    // catalogue
    ("identity:get_service", READ),
    ("identity:list_services", READ),
    ("identity:create_service", ADMIN),
    ("identity:update_service", ADMIN),
    ("identity:delete_service", ADMIN),
    ("identity:get_endpoint", READ),
    ("identity:list_endpoints", READ),
    ("identity:create_endpoint", ADMIN),
    ("identity:update_endpoint", ADMIN),
    ("identity:delete_endpoint", ADMIN),
    ("identity:get_region", ANYBODY),
    ("identity:list_regions", ANYBODY),
    ("identity:create_region", ADMIN),
    ("identity:update_region", ADMIN),
    ("identity:delete_region", ADMIN),
    // credentials
    ("identity:get_credential", CREDENTIAL_READ),
    ("identity:list_credentials", CREDENTIAL_READ),
    ("identity:create_credential", CREDENTIAL_WRITE),
    ("identity:update_credential", CREDENTIAL_WRITE),
    ("identity:delete_credential", CREDENTIAL_WRITE),
    ("identity:ec2_get_credential", OWNER_READ),
    ("identity:ec2_list_credentials", OWNER_READ),
    ("identity:ec2_create_credential", "rule:admin_required or (user_id:%(target.user.id)s and role:member)"),
    ("identity:ec2_delete_credential", OWNER_WRITE),
    ("identity:create_application_credential", "user_id:%(target.user.id)s"),
    ("identity:get_application_credential", OWNER_READ),
    ("identity:list_application_credentials", OWNER_READ),
    ("identity:delete_application_credential", OWNER_WRITE),
    ("identity:get_access_rule", OWNER_READ),
    ("identity:list_access_rules", OWNER_READ),
    ("identity:delete_access_rule", OWNER_WRITE),
    // trusts
    ("identity:create_trust", "user_id:%(target.trust.trustor_user_id)s"),
    ("identity:list_trusts", READ),
    (
        "identity:list_trusts_for_trustor",
        "rule:admin_required or rule:system_reader or user_id:%(target.trust.trustor_user_id)s",
    ),
    (
        "identity:list_trusts_for_trustee",
        "rule:admin_required or rule:system_reader or user_id:%(target.trust.trustee_user_id)s",
    ),
    ("identity:get_trust", TRUST_READ),
    ("identity:list_roles_for_trust", TRUST_READ),
    ("identity:get_role_for_trust", TRUST_READ),
    ("identity:delete_trust", "rule:admin_required or user_id:%(target.trust.trustor_user_id)s"),
    // limits
    ("identity:get_limit_model", ANYBODY),
    (
        "identity:get_limit",
        "rule:admin_required or rule:system_reader or domain_id:%(target.limit.domain_id)s or \
         domain_id:%(target.limit.project_domain_id)s or \
         (project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)",
    ),
    ("identity:list_limits", ANYBODY),
    ("identity:create_limits", ADMIN),
    ("identity:update_limit", ADMIN),
    ("identity:delete_limit", ADMIN),
    ("identity:get_registered_limit", ANYBODY),
    ("identity:list_registered_limits", ANYBODY),
    ("identity:create_registered_limits", ADMIN),
    ("identity:update_registered_limit", ADMIN),
    ("identity:delete_registered_limit", ADMIN),
    // policy documents
    ("identity:get_policy", READ),
    ("identity:list_policies", READ),
    ("identity:create_policy", ADMIN),
    ("identity:update_policy", ADMIN),
    ("identity:delete_policy", ADMIN),
    ("identity:create_policy_association_for_endpoint", ADMIN),
    ("identity:check_policy_association_for_endpoint", READ),
    ("identity:delete_policy_association_for_endpoint", ADMIN),
    ("identity:create_policy_association_for_service", ADMIN),
    ("identity:check_policy_association_for_service", READ),
    ("identity:delete_policy_association_for_service", ADMIN),
    ("identity:create_policy_association_for_region_and_service", ADMIN),
    ("identity:check_policy_association_for_region_and_service", READ),
    ("identity:delete_policy_association_for_region_and_service", ADMIN),
    ("identity:get_policy_for_endpoint", READ),
    ("identity:list_endpoints_for_policy", READ),
    // endpoint filter
    ("identity:list_projects_for_endpoint", READ),
    ("identity:add_endpoint_to_project", ADMIN),
    ("identity:check_endpoint_in_project", READ),
    ("identity:list_endpoints_for_project", READ),
    ("identity:remove_endpoint_from_project", ADMIN),
    ("identity:create_endpoint_group", ADMIN),
    ("identity:list_endpoint_groups", READ),
    ("identity:get_endpoint_group", READ),
    ("identity:update_endpoint_group", ADMIN),
    ("identity:delete_endpoint_group", ADMIN),
    ("identity:list_projects_associated_with_endpoint_group", READ),
    ("identity:list_endpoints_associated_with_endpoint_group", READ),
    ("identity:get_endpoint_group_in_project", READ),
    ("identity:list_endpoint_groups_for_project", READ),
    ("identity:add_endpoint_group_to_project", ADMIN),
    ("identity:remove_endpoint_group_from_project", ADMIN),
];

pub fn defaults() -> Result<Enforcer> {
    Enforcer::new(RULES)
}
