//! `OS::Heat::*`: types that need no other service, groups, and stacks as resources.

mod none;
mod random_string;
mod resource_group;
pub use resource_group::REMOVED;
mod software_config;
mod stack;
mod test_resource;
mod value;

use super::Types;

pub fn register(types: &mut Types) {
    types.add(none::NoneType::new());
    types.add(random_string::RandomString::new());
    types.add(resource_group::ResourceGroup::new());
    types.add(software_config::SoftwareConfig::new());
    types.add(stack::Stack::new());
    types.add(test_resource::TestResource::new());
    types.add(value::ValueType::new());
}
