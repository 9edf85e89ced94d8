//! `OS::Zun::*`

mod container;

use super::Types;

pub fn register(types: &mut Types) {
    types.add(container::Container::new());
}
