//! A stack's template joined with everything that stays constant during one operation: parameters, files, the
//! implementation of each resource's type and the order of work.

use std::{borrow::Cow, sync::Arc};

use indexmap::IndexMap;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value, json};

use crate::{
    environment::{Environment, TypeTarget},
    parameters::{Parameters, PseudoParameters},
    properties::{ResolvedProperties, check_facade},
    resources::{Neighbour, ResourceType, Types, provider::Providers},
    template::{BoundTemplate, Files, Graph, ResourceFacade, ResourceView, Template},
};

/// What a plan is made of.
#[derive(Clone)]
pub struct Source {
    pub template: Arc<Template>,
    pub environment: Environment,
    pub files: Arc<Files>,
    pub pseudo: PseudoParameters,
    pub facade: Option<ResourceFacade>,
    /// Missing parameters are tolerated (validation of templates whose values are not known yet).
    pub is_lenient: bool,
}

/// A resource type as a template's name led to it.
#[derive(Clone)]
pub struct Kind {
    pub implementation: Arc<dyn ResourceType>,
    /// Name of the implemented type, or location of the nested template.
    pub target: String,
}

pub struct Plan {
    pub bound: BoundTemplate,
    pub environment: Environment,
    pub kinds: IndexMap<String, Kind>,
    pub graph: Graph,
}

impl Plan {
    /// Joins the parts. Fails as upstream's validation does: parameters, types, references.
    pub fn build(types: &Types, source: Source) -> Result<Plan> {
        let Source { template, environment, files, pseudo, facade, is_lenient } = source;
        let make = if is_lenient { Parameters::lenient } else { Parameters::new };
        let parameters = make(&template, &environment.parameters, &environment.parameter_defaults, &pseudo)?;
        let bound = template.bind(parameters, files, facade)?;
        let mut providers = Providers::default();
        let mut kinds = IndexMap::new();
        for definition in bound.resources() {
            let kind =
                find_kind(types, &environment, &mut providers, bound.files(), &definition.name, &definition.type_name)?;
            kinds.insert(definition.name.clone(), kind);
        }
        let mut graph = bound.graph()?;
        add_hidden_edges(&bound, &kinds, &mut graph);
        Ok(Plan { bound, environment, kinds, graph })
    }

    pub fn kind(&self, name: &str) -> Result<&Kind> {
        self.kinds.get(name).ok_or_else(|| Error::internal(format!("resource {name} has no type")))
    }

    /// Typed properties; anything goes for types that accept anything.
    pub fn resolve(&self, name: &str, view: &dyn ResourceView) -> Result<ResolvedProperties> {
        let description = self.kind(name)?.implementation.description();
        if description.accepts_anything {
            return Ok(ResolvedProperties::default());
        }
        self.bound.resolve_properties(name, &description.properties, view)
    }

    pub fn resolve_update_policy(&self, name: &str, view: &dyn ResourceView) -> Result<Map<String, Value>> {
        let description = self.kind(name)?.implementation.description();
        if description.update_policy.is_empty() {
            return Ok(Map::new());
        }
        let mut values = self.bound.resolve_update_policy(name, &description.update_policy, view)?.values;
        values.retain(|_, value| !value.is_null());
        Ok(values)
    }

    /// The text of a node in messages about cycles.
    pub fn describe(&self, name: &str) -> String {
        let type_name = self.kinds.get(name).map_or(Cow::Borrowed("Resource"), |kind| {
            let text = &kind.implementation.description().name;
            Cow::Owned(text.rsplit("::").next().unwrap_or(text).to_owned())
        });
        format!("{type_name} \"{name}\"")
    }

    /// Dependencies first; fails on a cycle.
    pub fn order(&self) -> Result<Vec<String>> {
        self.graph.order(&|name| self.describe(name))
    }
}

/// Finds a type's implementation through the environment.
pub fn find_kind(
    types: &Types,
    environment: &Environment,
    providers: &mut Providers,
    files: &Files,
    resource: &str,
    type_name: &str,
) -> Result<Kind> {
    match environment.registry.resolve(resource, type_name, &|name| types.is_known(name))? {
        TypeTarget::Type(name) => Ok(Kind { implementation: types.get(&name)?.clone(), target: name }),
        TypeTarget::Template { location, facade } => {
            let provider = providers.get(&location, files)?;
            if let Some(facade) = facade.as_deref().and_then(|name| types.find(name)) {
                let (wanted, offered) = (facade.description(), provider.description());
                check_facade(
                    &wanted.name,
                    (&offered.properties, &offered.attributes),
                    (&wanted.properties, &wanted.attributes),
                )?;
            }
            Ok(Kind { implementation: provider, target: location })
        }
    }
}

fn add_hidden_edges(bound: &BoundTemplate, kinds: &IndexMap<String, Kind>, graph: &mut Graph) {
    let empty = Map::new();
    let source = bound.template().source();
    let section = source.get("resources").or_else(|| source.get("Resources")).and_then(Value::as_object);
    let properties = |name: &str| {
        let definition = section.and_then(|section| section.get(name)).and_then(Value::as_object);
        let properties = definition.and_then(|d| d.get("properties").or_else(|| d.get("Properties")));
        properties.and_then(Value::as_object).unwrap_or(&empty)
    };
    let neighbours: Vec<Neighbour<'_>> = kinds
        .iter()
        .map(|(name, kind)| Neighbour { name, type_name: &kind.target, properties: properties(name) })
        .collect();
    for own in &neighbours {
        let Some(kind) = kinds.get(own.name) else { continue };
        for required in kind.implementation.hidden_requirements(own, &neighbours) {
            // An explicit dependency the other way round wins over a guess.
            if required != own.name && !reaches(graph, &required, own.name) {
                graph.add_edge(own.name, &required);
            }
        }
    }
}

/// Whether `from` needs `to`, directly or not.
fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    let mut open = vec![from];
    let mut seen = std::collections::HashSet::new();
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(graph.requires(name));
        }
    }
    false
}

/// The pseudo parameters of a stack.
pub fn pseudo(project_id: &str, name: &str, id: Option<&str>, region: &str) -> PseudoParameters {
    PseudoParameters {
        stack_name: name.to_owned(),
        stack_id: id.map(str::to_owned),
        project_id: project_id.to_owned(),
        stack_arn: id.map(|id| arn(project_id, name, id)),
        region: Some(region.to_owned()),
    }
}

pub fn arn(project_id: &str, name: &str, id: &str) -> String {
    format!("arn:openstack:heat::{project_id}:stacks/{name}/{id}")
}

/// The files of a row.
pub fn files_of(value: Option<&Value>) -> Arc<Files> {
    let pairs = value.and_then(Value::as_object).into_iter().flatten();
    Arc::new(pairs.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect())
}

pub fn files_to_value(files: &Files) -> Value {
    json!(files)
}
