//! `OS::Keystone::*`: objects of the identity service, made with the rights of the stack's owner. For administrators.

mod assignments;
mod project;
mod role;
mod user;
mod user_role_assignment;

use super::Types;

pub fn register(types: &mut Types) {
    types.add(project::Project::new());
    types.add(user::User::new());
    types.add(role::Role::new());
    types.add(user_role_assignment::UserRoleAssignment::new());
}

const SERVICE: &str = "identity";
