//! (types follow)
use super::Types;
pub fn register(_: &mut Types) {}
