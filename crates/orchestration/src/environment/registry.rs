//! Which implementation a resource type stands for, and the per-resource switches (hooks, restricted actions).

use std::cell::Cell;

use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::pattern;
use crate::template::{error, python};

/// What a resource's type leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeTarget {
    /// A type that the service implements itself (it has to look it up).
    Type(String),
    /// A nested template: a key of `files`, or a URL. `facade` is the name of the implemented type it shadows.
    Template { location: String, facade: Option<String> },
}

/// A point at which a resource waits until it is told to go on (spec 3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    PreCreate,
    PreUpdate,
    PreDelete,
    PostCreate,
    PostUpdate,
    PostDelete,
}

impl Hook {
    pub const ALL: [Hook; 6] =
        [Hook::PreCreate, Hook::PreUpdate, Hook::PreDelete, Hook::PostCreate, Hook::PostUpdate, Hook::PostDelete];

    pub fn as_str(self) -> &'static str {
        match self {
            Hook::PreCreate => "pre-create",
            Hook::PreUpdate => "pre-update",
            Hook::PreDelete => "pre-delete",
            Hook::PostCreate => "post-create",
            Hook::PostUpdate => "post-update",
            Hook::PostDelete => "post-delete",
        }
    }

    pub fn from_name(name: &str) -> Option<Hook> {
        Hook::ALL.into_iter().find(|hook| hook.as_str() == name)
    }
}

/// What an update may not do to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestrictedAction {
    Update,
    Replace,
}

impl RestrictedAction {
    fn from_name(name: &str) -> Option<RestrictedAction> {
        match name {
            "update" => Some(RestrictedAction::Update),
            "replace" => Some(RestrictedAction::Replace),
            _ => None,
        }
    }
}

/// The operator's mappings, which every cloud has.
const GLOBAL: &[(&str, &str)] = &[
    ("OS::Quantum*", "OS::Neutron*"),
    ("OS::Metering::Alarm", "OS::Aodh::Alarm"),
    ("OS::Ceilometer::Alarm", "OS::Aodh::Alarm"),
    ("OS::Ceilometer::GnocchiResourcesAlarm", "OS::Aodh::GnocchiResourcesAlarm"),
    ("OS::Ceilometer::GnocchiAggregationByMetricsAlarm", "OS::Aodh::GnocchiAggregationByMetricsAlarm"),
    ("OS::Ceilometer::GnocchiAggregationByResourcesAlarm", "OS::Aodh::GnocchiAggregationByResourcesAlarm"),
];

/// How many mappings the search for one type follows: they may lead in circles, and wildcards fan out.
const MAX_ALIAS_STEPS: usize = 64;

/// The steps a search has left.
struct Search(Cell<usize>);

impl Search {
    fn enter(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

const RESOURCES: &str = "resources";
const HOOKS: &str = "hooks";
const RESTRICTED: &str = "restricted_actions";

/// The `resource_registry` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// Type mappings.
    types: Map<String, Value>,
    /// By resource name or pattern: mappings, hooks, restricted actions, and deeper levels for nested stacks.
    resources: Map<String, Value>,
}

/// Whether a type name or mapping target is a template's location.
pub(crate) fn is_template_location(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".template")
}

impl Registry {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// `InvalidBreakPointHook`, `InvalidRestrictedAction`, and a 400 for entries of the wrong type.
    pub fn from_map(mut source: Map<String, Value>) -> Result<Registry> {
        let resources = match source.shift_remove(RESOURCES) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(super::invalid("resource_registry: \"resources\" must be a map")),
        };
        for (name, value) in &source {
            if !matches!(value, Value::Null | Value::String(_)) {
                return Err(wrong_mapping(name));
            }
        }
        check_level(&resources)?;
        Ok(Registry { types: source, resources })
    }

    /// The section as given, with its `resources` part.
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = self.types.clone();
        map.insert(RESOURCES.into(), Value::Object(self.resources.clone()));
        map
    }

    /// `other` wins entry by entry; a null mapping removes the one it finds.
    pub(super) fn overlay(&mut self, other: &Registry) {
        for (name, value) in &other.types {
            match value {
                Value::Null if name.ends_with('*') => {
                    let prefix = name.trim_end_matches('*');
                    self.types.retain(|known, _| !known.starts_with(prefix));
                }
                Value::Null => {
                    self.types.shift_remove(name);
                }
                value => {
                    self.types.insert(name.clone(), value.clone());
                }
            }
        }
        self.resources.extend(other.resources.clone());
    }

    /// Follows aliases and wildcards for a resource of this stack. `is_registered` knows the implemented types.
    ///
    /// Order: mappings for this resource (its exact name before patterns), the stack's mappings, its wildcards (longest
    /// first), the implemented types, the operator's mappings. A mapping that leads nowhere is passed over.
    ///
    /// # Errors
    /// `StackValidationFailed` for a name that leads nowhere.
    pub fn resolve(&self, resource: &str, type_name: &str, is_registered: &dyn Fn(&str) -> bool) -> Result<TypeTarget> {
        let facade = || is_registered(type_name).then(|| type_name.to_owned());
        match self.follow(resource, type_name, is_registered, &Search(Cell::new(MAX_ALIAS_STEPS))) {
            Some(TypeTarget::Template { location, .. }) => Ok(TypeTarget::Template { location, facade: facade() }),
            Some(target) => Ok(target),
            None => Err(error::validation(error::type_not_found(type_name).message())),
        }
    }

    fn follow(
        &self,
        resource: &str,
        type_name: &str,
        is_registered: &dyn Fn(&str) -> bool,
        search: &Search,
    ) -> Option<TypeTarget> {
        if !search.enter() {
            return None;
        }
        if is_template_location(type_name) {
            return Some(TypeTarget::Template { location: type_name.to_owned(), facade: None });
        }
        let own = self.matching_resources(resource).filter_map(|level| level.get(type_name).and_then(Value::as_str));
        let exact = self.types.get(type_name).and_then(Value::as_str);
        for target in own.chain(exact) {
            // A type mapped to itself is the implemented one: this is how a wildcard is undone.
            let found = if target == type_name {
                is_registered(type_name).then(|| TypeTarget::Type(type_name.to_owned()))
            } else {
                self.follow(resource, target, is_registered, search)
            };
            if found.is_some() {
                return found;
            }
        }
        let mut wildcards: Vec<(&str, &str)> =
            self.types.iter().filter_map(|(name, target)| Some((name.as_str(), target.as_str()?))).collect();
        wildcards.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        if let Some(found) = self.follow_wildcards(resource, type_name, &wildcards, is_registered, search) {
            return Some(found);
        }
        if is_registered(type_name) {
            return Some(TypeTarget::Type(type_name.to_owned()));
        }
        if let Some((_, target)) = GLOBAL.iter().find(|(name, _)| *name == type_name)
            && let Some(found) = self.follow(resource, target, is_registered, search)
        {
            return Some(found);
        }
        self.follow_wildcards(resource, type_name, GLOBAL, is_registered, search)
    }

    fn follow_wildcards(
        &self,
        resource: &str,
        type_name: &str,
        mappings: &[(&str, &str)],
        is_registered: &dyn Fn(&str) -> bool,
        search: &Search,
    ) -> Option<TypeTarget> {
        mappings.iter().find_map(|(name, target)| {
            let suffix = type_name.strip_prefix(name.strip_suffix('*')?)?;
            // Wildcards lead to types only, as upstream has it; and not from a target to itself.
            if type_name == *target || is_template_location(target) {
                return None;
            }
            let new_type = match target.strip_suffix('*') {
                Some(prefix) => format!("{prefix}{suffix}"),
                None => (*target).to_owned(),
            };
            // As with plain names, a type that a wildcard maps to itself is the implemented one.
            if new_type == type_name {
                return is_registered(type_name).then_some(TypeTarget::Type(new_type));
            }
            self.follow(resource, &new_type, is_registered, search)
        })
    }

    /// The levels that apply to a resource: its exact name first, then longer patterns before shorter ones.
    fn matching_resources(&self, resource: &str) -> impl Iterator<Item = &Map<String, Value>> {
        let exact = self.resources.get(resource).and_then(Value::as_object);
        let mut patterns: Vec<_> = self
            .resources
            .iter()
            .filter(|(name, _)| *name != resource && pattern::matches(name, resource))
            .filter_map(|(name, level)| Some((name, level.as_object()?)))
            .collect();
        patterns.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        exact.into_iter().chain(patterns.into_iter().map(|(_, level)| level))
    }

    /// Whether the resource waits at this hook.
    pub fn has_hook(&self, resource: &str, hook: Hook) -> bool {
        self.matching_resources(resource).any(|level| names(level.get(HOOKS)).any(|name| name == hook.as_str()))
    }

    /// What updates may not do to the resource.
    pub fn restricted_actions(&self, resource: &str) -> Vec<RestrictedAction> {
        let mut actions = Vec::new();
        for level in self.matching_resources(resource) {
            for action in names(level.get(RESTRICTED)).filter_map(RestrictedAction::from_name) {
                if !actions.contains(&action) {
                    actions.push(action);
                }
            }
        }
        actions
    }

    /// The registry as the stack inside `resource` sees it: one level deeper.
    pub fn nested(&self, resource: &str) -> Registry {
        let mut levels: Vec<_> = self.matching_resources(resource).collect();
        levels.reverse();
        let mut resources = Map::new();
        for level in levels {
            let inner = level.iter().filter(|(_, value)| value.is_object());
            resources.extend(inner.map(|(name, value)| (name.clone(), value.clone())));
        }
        Registry { types: self.types.clone(), resources }
    }
}

/// A string, or the strings of a list.
fn names(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::String(name)) => (Some(name.as_str()), &[][..]),
        Some(Value::Array(names)) => (None, names.as_slice()),
        _ => (None, &[][..]),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

fn wrong_mapping(name: &str) -> Error {
    super::invalid(format!("resource_registry: \"{name}\" must be mapped to a string"))
}

/// One level of `resources`: maps are deeper levels, strings mappings, and the two switches have known names.
fn check_level(level: &Map<String, Value>) -> Result<()> {
    for (name, value) in level {
        match (name.as_str(), value) {
            (HOOKS, value) if !value.is_object() => check_names(value, |name| Hook::from_name(name).is_some())
                .map_err(|()| {
                    let known: Vec<String> = Hook::ALL.iter().map(|hook| format!("'{}'", hook.as_str())).collect();
                    Error::invalid(
                        "InvalidBreakPointHook",
                        format!(
                            "Invalid hook type \"{}\" for resource breakpoint, acceptable hook types are: ({})",
                            python::text(value),
                            known.join(", ")
                        ),
                    )
                })?,
            (RESTRICTED, value) if !value.is_object() => {
                check_names(value, |name| RestrictedAction::from_name(name).is_some()).map_err(|()| {
                    Error::invalid(
                        "InvalidRestrictedAction",
                        format!(
                            "Invalid restricted_action type \"{}\" for resource, acceptable restricted_action types are: \
                             ('update', 'replace')",
                            python::text(value)
                        ),
                    )
                })?;
            }
            (_, Value::Object(inner)) => check_level(inner)?,
            (_, Value::Null | Value::String(_)) => {}
            _ => return Err(wrong_mapping(name)),
        }
    }
    Ok(())
}

fn check_names(value: &Value, is_known: impl Fn(&str) -> bool) -> Result<(), ()> {
    let given = match value {
        Value::String(_) => 1,
        Value::Array(items) => items.len(),
        _ => return Err(()),
    };
    if names(Some(value)).filter(|name| is_known(name)).count() == given { Ok(()) } else { Err(()) }
}
