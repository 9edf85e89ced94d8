//! What living resources answer: reference ids and attributes, for expressions and for the API.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use futures_util::future::try_join_all;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use crate::{
    core::Core,
    db::{Action, resource, stack},
    plan::{self, Kind, Plan},
    resources::{Act, AttributeStyle, Object},
    template::{AttributeReference, FetchedResources, Files, References, expression::select_path, python},
};

/// A stack's resources by name: the current row of each.
pub type Rows = HashMap<String, resource::Model>;

/// The rows that stand for their name.
pub fn current(rows: Vec<resource::Model>) -> Rows {
    rows.into_iter().filter(|row| !row.obsolete).map(|row| (row.name.clone(), row)).collect()
}

pub fn object_of(row: &resource::Model) -> Object {
    let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
    Object {
        row_id: row.id.clone(),
        name: row.name.clone(),
        physical_name: row.physical_name.clone(),
        physical_id: row.physical_id.clone(),
        planned_id: row.planned_id.clone().unwrap_or_default(),
        properties: map(&row.properties),
        data: map(&row.data),
        is_repeat: false,
    }
}

/// Whether anything exists of it that could be asked.
fn is_alive(row: &resource::Model) -> bool {
    row.action != Action::Init && row.physical_id.is_some()
}

/// Reads attributes of the resources of one stack.
pub struct Reader<'a> {
    pub core: &'a Core,
    pub act: &'a Act,
    pub plan: &'a Plan,
    pub rows: &'a Rows,
    pub project_id: &'a str,
}

// Boxed, because attributes of nested stacks are read the same way inside.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Reader<'_> {
    /// Everything that an expression refers to. Resources that do not exist yet stay unknown.
    pub async fn fetch(&self, references: &References) -> Result<FetchedResources> {
        let mut fetched = FetchedResources::default();
        for name in &references.ids {
            if let Some(row) = self.rows.get(name).filter(|row| row.action != Action::Init) {
                fetched.ids.insert(name.clone(), self.reference_id(row).await?);
            }
        }
        let wanted =
            references.attributes.iter().filter(|reference| self.rows.get(&reference.resource).is_some_and(is_alive));
        let values =
            try_join_all(wanted.map(|reference| async move {
                Ok::<_, Error>((reference.clone(), self.referenced(reference).await?))
            }));
        fetched.attributes.extend(values.await?);
        Ok(fetched)
    }

    async fn referenced(&self, reference: &AttributeReference) -> Result<Value> {
        let Some(row) = self.rows.get(&reference.resource) else { return Ok(Value::Null) };
        match &reference.attribute {
            Some(attribute) => self.attribute(row, attribute, &reference.path).await,
            None => Ok(Value::Object(self.all_attributes(row).await?)),
        }
    }

    /// What `get_resource` gives.
    pub fn reference_id<'b>(&'b self, row: &'b resource::Model) -> Boxed<'b, Value> {
        Box::pin(self.own_reference_id(row))
    }

    async fn own_reference_id(&self, row: &resource::Model) -> Result<Value> {
        let kind = self.plan.kind(&row.name)?;
        if kind.implementation.nested().is_some_and(|nested| nested.attribute_style() == AttributeStyle::Outputs)
            && let Some(id) = &row.physical_id
        {
            let child = self.child(row).await?;
            if let Some(child) = &child
                && child.plan.bound.template().outputs().contains_key("OS::stack_id")
            {
                return child.output(self.core, "OS::stack_id").await;
            }
            let name = child.map_or_else(|| row.physical_name.clone(), |child| child.stack.name);
            return Ok(Value::String(plan::arn(self.project_id, &name, id)));
        }
        Ok(kind.implementation.reference_id(&object_of(row)))
    }

    /// An attribute with its path applied.
    pub fn attribute<'b>(
        &'b self,
        row: &'b resource::Model,
        attribute: &'b str,
        path: &'b [Value],
    ) -> Boxed<'b, Value> {
        Box::pin(self.own_attribute(row, attribute, path))
    }

    async fn own_attribute(&self, row: &resource::Model, attribute: &str, path: &[Value]) -> Result<Value> {
        let kind = self.plan.kind(&row.name)?;
        if let Some(nested) = kind.implementation.nested() {
            let Some(child) = self.child(row).await? else { return Ok(Value::Null) };
            return match nested.attribute_style() {
                AttributeStyle::Outputs => child.output_attribute(self.core, row, attribute, path).await,
                AttributeStyle::Members => child.group_attribute(self.core, row, attribute, path).await,
            };
        }
        let object = object_of(row);
        let value = if attribute == "show" {
            kind.implementation.show(self.act, &object).await
        } else {
            kind.implementation.attribute(self.act, &object, attribute).await
        };
        Ok(select_path(&value?, path))
    }

    /// Every attribute of the schema (for the API and `get_attr: [resource]`); unreadable ones are null.
    pub async fn all_attributes(&self, row: &resource::Model) -> Result<Map<String, Value>> {
        let kind = self.plan.kind(&row.name)?;
        let mut out = Map::new();
        if !is_alive(row) {
            return Ok(out);
        }
        for name in kind.implementation.description().attributes.keys() {
            let value = self.attribute(row, name, &[]).await.unwrap_or_default();
            out.insert(name.to_string(), value);
        }
        Ok(out)
    }

    /// `attributes` of a shown resource: the service's own object where there is one.
    pub async fn shown_attributes(&self, row: &resource::Model) -> Result<Map<String, Value>> {
        let kind = self.plan.kind(&row.name)?;
        if is_alive(row)
            && kind.implementation.nested().is_none()
            && let Ok(Value::Object(shown)) = kind.implementation.show(self.act, &object_of(row)).await
            && !shown.is_empty()
        {
            return Ok(shown);
        }
        self.all_attributes(row).await
    }

    fn child<'b>(&'b self, row: &'b resource::Model) -> Boxed<'b, Option<Child>> {
        Box::pin(async move {
            let Some(id) = row.object_id() else { return Ok(None) };
            let Some(stack) = stack::find(self.core.database.read(), id).await?.filter(|stack| !stack.is_deleted())
            else {
                return Ok(None);
            };
            Ok(Some(Child::load(self.core, self.act, stack, self.plan.bound.files().clone()).await?))
        })
    }
}

/// A nested stack, as its owner's attributes see it.
struct Child {
    stack: stack::Model,
    plan: Plan,
    rows: Rows,
    act: Act,
}

impl Child {
    async fn load(core: &Core, act: &Act, stack: stack::Model, files: Arc<Files>) -> Result<Child> {
        let plan = core.plan_of(&stack, files.clone(), None)?;
        let rows = current(resource::of_stack(core.database.read(), &stack.id).await?);
        let act = core.act(act.context.clone(), &stack, files);
        Ok(Child { stack, plan, rows, act })
    }

    fn reader<'a>(&'a self, core: &'a Core) -> Reader<'a> {
        Reader { core, act: &self.act, plan: &self.plan, rows: &self.rows, project_id: &self.stack.project_id }
    }

    async fn output(&self, core: &Core, name: &str) -> Result<Value> {
        let fetched = self.reader(core).fetch(&self.plan.bound.output_references(name)?).await?;
        self.plan.bound.resolve_output(name, &fetched)
    }

    /// An attribute of a template resource: an output, or something of an inner resource.
    async fn output_attribute(
        &self,
        core: &Core,
        owner: &resource::Model,
        attribute: &str,
        path: &[Value],
    ) -> Result<Value> {
        if self.plan.bound.template().outputs().contains_key(attribute) {
            let value =
                self.output(core, attribute).await.map_err(|cause| output_error(&owner.name, attribute, cause))?;
            return Ok(select_path(&value, path));
        }
        if attribute == "show" {
            return Ok(Value::Null);
        }
        match inner(attribute, path) {
            Some((name, attribute, path)) => {
                self.member(core, &name, attribute.as_deref(), &path).await?.ok_or_else(|| {
                    Error::not_found(
                        "ResourceNotFound",
                        format!("The Resource ({name}) could not be found in Stack {}.", self.stack.name),
                    )
                })
            }
            None => Ok(Value::Null),
        }
    }

    async fn member(&self, core: &Core, name: &str, attribute: Option<&str>, path: &[Value]) -> Result<Option<Value>> {
        let Some(row) = self.rows.get(name) else { return Ok(None) };
        let reader = self.reader(core);
        Ok(Some(match attribute {
            None => reader.reference_id(row).await?,
            Some(_) if !is_alive(row) => Value::Null,
            Some(attribute) => reader.attribute(row, attribute, path).await?,
        }))
    }

    /// Members in the order of their index.
    fn members(&self) -> Vec<&resource::Model> {
        let mut members: Vec<_> = self.rows.values().collect();
        members.sort_by_key(|row| (row.name.parse::<u64>().unwrap_or(u64::MAX), row.name.clone()));
        members
    }

    async fn group_attribute(
        &self,
        core: &Core,
        owner: &resource::Model,
        attribute: &str,
        path: &[Value],
    ) -> Result<Value> {
        let reader = self.reader(core);
        let members = self.members();
        if let Some((name, inner_attribute, path)) = inner(attribute, path) {
            let found = self.member(core, &name, inner_attribute.as_deref(), &path).await?;
            return found.ok_or_else(|| {
                Error::not_found("NotFound", format!("Member '{name}' not found in group resource '{}'.", owner.name))
            });
        }
        match attribute {
            "refs" => {
                let ids = try_join_all(members.iter().map(|row| reader.reference_id(row))).await?;
                Ok(select_path(&Value::Array(ids), path))
            }
            "refs_map" => {
                let mut map = Map::new();
                for row in members {
                    map.insert(row.name.clone(), reader.reference_id(row).await?);
                }
                Ok(select_path(&Value::Object(map), path))
            }
            "removed_rsrc_list" => {
                let removed = owner.data.get(crate::resources::heat::REMOVED).cloned().unwrap_or_default();
                Ok(select_path(&removed, path))
            }
            "show" => Ok(Value::Null),
            "attributes" => {
                let Some((first, rest)) = path.split_first() else { return Ok(Value::Null) };
                let name = python::text(first);
                let mut map = Map::new();
                for row in members {
                    let value = if is_alive(row) { reader.attribute(row, &name, rest).await? } else { Value::Null };
                    map.insert(row.name.clone(), value);
                }
                Ok(Value::Object(map))
            }
            name => {
                let values = members.iter().map(|row| {
                    let reader = &reader;
                    async move { if is_alive(row) { reader.attribute(row, name, path).await } else { Ok(Value::Null) } }
                });
                Ok(Value::Array(try_join_all(values).await?))
            }
        }
    }
}

/// Says which output of which nested stack has no value. Faults of the program stay what they are.
fn output_error(resource: &str, output: &str, cause: Error) -> Error {
    if cause.kind().retryable() {
        return cause;
    }
    Error::invalid("TemplateOutputError", format!("Error in {resource} output {output}: {}", cause.message()))
}

/// `resource.inner`, `resource.inner.attribute`, `resource.inner` + path: the inner name, attribute and rest of the path.
fn inner(attribute: &str, path: &[Value]) -> Option<(String, Option<String>, Vec<Value>)> {
    let rest = attribute.strip_prefix("resource.")?;
    if let Some((name, attribute)) = rest.split_once('.') {
        return Some((name.to_owned(), Some(attribute.to_owned()), path.to_vec()));
    }
    match path.split_first() {
        Some((first, others)) => Some((rest.to_owned(), Some(python::text(first)), others.to_vec())),
        None => Some((rest.to_owned(), None, Vec::new())),
    }
}

/// Reference id of a row by its type alone; nested stacks by their ARN.
pub fn plain_reference(kind: &Kind, row: &resource::Model, project_id: &str) -> String {
    if kind.implementation.nested().is_some()
        && let Some(id) = &row.physical_id
    {
        return plan::arn(project_id, &row.physical_name, id);
    }
    python::text(&kind.implementation.reference_id(&object_of(row)))
}
