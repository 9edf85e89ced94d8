//! A template used as a resource type: its parameters are the properties, its outputs the attributes (spec 2.10).

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::{Act, AttributeStyle, Description, Nested, NestedInput, Object, Progress, ResourceType, Stage};
use crate::{
    parameters::ParameterKind,
    properties::nested_schemas,
    template::{Files, Template, error},
};

pub struct Provider {
    description: Description,
    template: Arc<Template>,
    /// Parameters that take a comma-separated text.
    lists: Vec<String>,
}

/// Reads each nested template once per plan.
#[derive(Default)]
pub struct Providers {
    by_location: HashMap<String, Arc<Provider>>,
}

impl Providers {
    pub fn get(&mut self, location: &str, files: &Files) -> Result<Arc<Provider>> {
        if let Some(provider) = self.by_location.get(location) {
            return Ok(provider.clone());
        }
        let provider = Arc::new(Provider::read(location, files)?);
        self.by_location.insert(location.to_owned(), provider.clone());
        Ok(provider)
    }
}

/// The text of a file: by its exact key, else by a unique last path element (clients differ in how they rewrite paths).
pub fn find_file<'a>(files: &'a Files, location: &str) -> Option<&'a String> {
    if let Some(text) = files.get(location) {
        return Some(text);
    }
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let wanted = base(location);
    let mut matching = files.iter().filter(|(path, _)| base(path) == wanted);
    match (matching.next(), matching.next()) {
        (Some((_, text)), None) => Some(text),
        _ => None,
    }
}

impl Provider {
    fn read(location: &str, files: &Files) -> Result<Provider> {
        let Some(text) = find_file(files, location) else {
            return Err(error::validation(format!(
                "Could not fetch remote template \"{location}\": Invalid URL scheme {}",
                location.split_once("://").map_or("", |(scheme, _)| scheme)
            )));
        };
        let template = Arc::new(Template::parse(text).map_err(|error| error.context(location))?);
        let mut description = Description { name: location.to_owned().into(), ..Default::default() };
        description.text = template.description().unwrap_or_default().to_owned().into();
        (description.properties, description.attributes) = nested_schemas(&template);
        // `resource.inner` reaches inside.
        description.has_dynamic_attributes = true;
        let lists = template.parameters().values().filter(|schema| schema.kind == ParameterKind::CommaDelimitedList);
        let lists = lists.map(|schema| schema.name.clone()).collect();
        Ok(Provider { description, template, lists })
    }
}

impl Nested for Provider {
    fn stages(&self, input: &NestedInput<'_>, _: &mut Map<String, Value>) -> Result<Vec<Stage>> {
        let mut parameters = Map::new();
        for (name, value) in input.properties {
            if value.is_null() || input.unknown.contains(name) || !self.template.parameters().contains_key(name) {
                continue;
            }
            let value = match value {
                Value::Array(items) if self.lists.contains(name) => {
                    let parts: Vec<String> = items.iter().map(crate::template::python::text).collect();
                    Value::String(parts.join(","))
                }
                other => other.clone(),
            };
            parameters.insert(name.clone(), value);
        }
        Ok(vec![Stage { template: self.template.source().clone(), parameters, pause: Duration::ZERO }])
    }
    fn attribute_style(&self) -> AttributeStyle {
        AttributeStyle::Outputs
    }
}

#[async_trait]
impl ResourceType for Provider {
    fn description(&self) -> &Description {
        &self.description
    }
    fn nested(&self) -> Option<&dyn Nested> {
        Some(self)
    }
    async fn create(&self, _: &Act, _: &mut Object) -> Result<Progress> {
        Err(Error::internal("a nested stack is run by the engine"))
    }
    async fn delete(&self, _: &Act, _: &mut Object) -> Result<Progress> {
        Err(Error::internal("a nested stack is run by the engine"))
    }
}
