//! Towards the template: creates, updates and replaces resources, dependencies first.

use std::sync::Arc;

use rand::Rng;
use sahab_contract::{Error, Kind, Result};
use serde_json::{Map, Value, json};

use super::{
    failure::Failure,
    level::{Level, Phase, properties_value},
    reader::object_of,
};
use crate::{
    constraints,
    db::{Action, Status, resource},
    environment::{Hook, RestrictedAction},
    plan::Kind as TypeKind,
    properties::{PropertyChange, PropertyDiff},
    resources::{IdForm, Object, Update},
    template::{DeletionPolicy, FetchedResources},
};

/// What a resource is to become.
pub struct Target {
    pub properties: Map<String, Value>,
    pub metadata: Value,
    pub update_policy: Map<String, Value>,
    pub retain: bool,
    pub external_id: Option<String>,
}

impl Level {
    /// Brings every resource of the plan to its target, then removes what is no longer wanted.
    pub async fn converge(self: &Arc<Self>) -> Result<(), Failure> {
        let plan = self.plan().map_err(Failure::fault)?;
        for (position, name) in plan.bound.resources().map(|definition| definition.name.clone()).enumerate() {
            if self.stack.action == Action::Rollback {
                self.take_back_replaced(&name);
            }
            if self.current(&name).is_none() {
                let row = self.new_row(&name, position).map_err(Failure::fault)?;
                self.put(&row);
            }
        }
        self.visit(self.plan_nodes(plan), |name| {
            let level = self.clone();
            async move { level.ensure(&name).await }
        })
        .await?;
        let unwanted: Vec<_> =
            self.all().into_iter().filter(|row| row.obsolete || plan.bound.resource(&row.name).is_none()).collect();
        self.remove_rows(unwanted).await
    }

    /// On the way back, an object that was replaced and still exists stands for its name again.
    fn take_back_replaced(&self, name: &str) {
        let rows: Vec<_> = self.all().into_iter().filter(|row| row.name == name).collect();
        let is_good =
            |row: &&resource::Model| row.obsolete && row.status == Status::Complete && row.action != Action::Delete;
        let Some(old) = rows.iter().find(is_good) else { return };
        for row in &rows {
            let is_obsolete = row.id != old.id;
            if row.obsolete != is_obsolete {
                let mut row = row.clone();
                row.obsolete = is_obsolete;
                if !is_obsolete && let Some(data) = row.data.as_object_mut() {
                    data.insert(TAKEN_BACK.into(), true.into());
                }
                self.put(&row);
            }
        }
    }

    async fn ensure(self: &Arc<Self>, name: &str) -> Result<(), Failure> {
        let plan = self.plan().map_err(Failure::fault)?;
        let kind = plan.kind(name).map_err(Failure::fault)?;
        let Some(row) = self.current(name) else {
            return Err(Failure::fault(Error::internal("a planned resource has no row")));
        };
        let target = match self.target(name).await {
            Ok(target) => target,
            Err(error) => return Err(self.failed(row, &error)),
        };
        let mut row = row;
        let required: Vec<&str> = plan.graph.requires(name).collect();
        row.requires = json!(required);
        if let Some(definition) = plan.bound.resource(name) {
            row.type_name = definition.type_name.clone();
        }
        if row.action == Action::Init {
            row.implementation = kind.target.clone();
            return self.create(row, kind, &target).await;
        }
        if target.external_id.is_some() || row.data.get(EXTERNAL).is_some() {
            return self.ensure_external(row, kind, &target).await;
        }
        let is_unchanged = row.properties == properties_value(&target.properties);
        if row.state() != (Action::Create, Status::InProgress) {
            // Before anybody looks whether there is something to do, as upstream.
            self.pause_at(&mut row, Hook::PreUpdate, "UPDATE").await?;
        }
        let needs_replacement = match row.state() {
            _ if row.implementation != kind.target => true,
            // Cut off by a crash or by a newer operation: go on, unless something else is wanted now.
            (Action::Create, Status::InProgress) if is_unchanged => return self.create(row, kind, &target).await,
            (Action::Create, Status::InProgress) => true,
            (Action::Check, Status::Failed) | (Action::Delete, _) => true,
            (_, Status::Failed) => {
                kind.implementation.nested().is_none()
                    && !(row.physical_id.is_some() && kind.implementation.is_usable(&self.act, &object_of(&row)).await)
            }
            _ if self.stack.converge => self.has_vanished(kind, &row).await,
            _ => false,
        };
        if needs_replacement {
            return self.replace(row, kind, &target).await;
        }
        self.update(row, kind, target).await
    }

    /// Whether the live object is gone or unwell; only asked when the user wants a comparison with reality.
    async fn has_vanished(&self, kind: &TypeKind, row: &resource::Model) -> bool {
        kind.implementation.nested().is_none() && kind.implementation.check(&self.act, &object_of(row)).await.is_err()
    }

    /// Resolves everything the definition says.
    async fn target(&self, name: &str) -> Result<Target> {
        let plan = self.plan()?;
        let bound = &plan.bound;
        let external_id = bound.external_id(name)?;
        let retain = external_id.is_some() || bound.deletion_policy(name)? == DeletionPolicy::Retain;
        let references = bound.resource_references(name)?;
        let fetched = if references.ids.is_empty() && references.attributes.is_empty() {
            FetchedResources::default()
        } else {
            let rows = self.snapshot(references.resources());
            let is_nested =
                rows.keys().any(|name| plan.kinds.get(name).is_some_and(|kind| kind.implementation.nested().is_some()));
            if is_nested {
                self.journal().flush().await?;
            }
            self.reader(plan, &rows).fetch(&references).await?
        };
        let metadata = bound.resolve_metadata(name, &fetched)?;
        if external_id.is_some() {
            return Ok(Target { properties: Map::new(), metadata, update_policy: Map::new(), retain, external_id });
        }
        let resolved = plan.resolve(name, &fetched)?;
        let kind = plan.kind(name)?;
        kind.implementation.validate(&resolved)?;
        let description = kind.implementation.description();
        let mut properties = resolved.values;
        constraints::translate(&self.act, &description.properties, &mut properties).await?;
        let update_policy = plan.resolve_update_policy(name, &fetched)?;
        Ok(Target { properties, metadata, update_policy, retain, external_id })
    }

    fn failed(&self, mut row: resource::Model, error: &Error) -> Failure {
        let failure = Failure::of(&row.name, error);
        let action = if row.action == Action::Init { Action::Create } else { Action::Update };
        self.change(&mut row, action, Status::Failed, &failure.text());
        failure
    }

    fn adopt_target(row: &mut resource::Model, target: &Target) {
        row.metadata = target.metadata.clone();
        row.update_policy = Value::Object(target.update_policy.clone());
        row.retain = target.retain;
    }

    async fn create(
        self: &Arc<Self>,
        mut row: resource::Model,
        kind: &TypeKind,
        target: &Target,
    ) -> Result<(), Failure> {
        if row.action == Action::Init {
            self.pause_at(&mut row, Hook::PreCreate, "CREATE").await?;
        }
        Self::adopt_target(&mut row, target);
        row.properties = properties_value(&target.properties);
        if target.external_id.is_some() {
            return self.ensure_external(row, kind, target).await;
        }
        let limit = self.core().settings.action_retry_limit;
        let mut attempt = 0;
        loop {
            let error = match self.try_create(&mut row, kind, target).await {
                Ok(()) => break,
                Err(Attempt::Nested(failure)) => {
                    self.change(&mut row, Action::Create, Status::Failed, &failure.text());
                    return Err(failure);
                }
                Err(Attempt::Plain(error)) => error,
            };
            let failure = Failure::of(&row.name, &error);
            self.change(&mut row, Action::Create, Status::Failed, &failure.text());
            if attempt >= limit || !is_worth_another_try(&error) {
                return Err(failure);
            }
            attempt += 1;
            // Make room for the next try: the object of this one goes away first.
            if let Err(cause) = self.delete_object(&row, kind).await {
                tracing::warn!(
                    resource = row.id,
                    error = cause.report(),
                    "cannot remove a failed object before the next try"
                );
                return Err(failure);
            }
            row.physical_id = None;
            row.planned_id = None;
            row.data = json!({});
            self.put(&row);
            self.pause_before_retry(attempt).await;
        }
        self.pause_at(&mut row, Hook::PostCreate, "CREATE").await
    }

    async fn try_create(
        self: &Arc<Self>,
        row: &mut resource::Model,
        kind: &TypeKind,
        target: &Target,
    ) -> Result<(), Attempt> {
        if row.planned_id.is_none() {
            row.planned_id = Some(match kind.implementation.id_form() {
                IdForm::Uuid => uuid::Uuid::new_v4().to_string(),
                IdForm::Hex => uuid::Uuid::new_v4().simple().to_string(),
            });
        }
        let is_repeat = row.state() == (Action::Create, Status::InProgress);
        if !is_repeat {
            self.change(row, Action::Create, Status::InProgress, "state changed");
        }
        let implementation = kind.implementation.as_ref();
        if implementation.nested().is_some() {
            self.bring_nested(row, kind, target).await.map_err(Attempt::Nested)?;
        } else {
            if !implementation.is_pure() {
                self.journal().flush().await.map_err(|error| Attempt::Nested(Failure::fault(error)))?;
            }
            let mut object = Object { is_repeat, ..object_of(row) };
            object.properties = target.properties.clone();
            let outcome = async {
                let progress = implementation.create(&self.act, &mut object).await?;
                store(row, &object);
                self.put(row);
                self.settle(implementation, &mut object, Phase::Create, progress).await
            }
            .await;
            store(row, &object);
            outcome.map_err(Attempt::Plain)?;
        }
        self.change(row, Action::Create, Status::Complete, "state changed");
        Ok(())
    }

    async fn pause_before_retry(&self, attempt: u32) {
        let base = self.core().settings.retry_pause * 2u32.saturating_pow(attempt.min(6) - 1);
        let jitter = rand::rng().random_range(0.75..1.25);
        tokio::time::sleep(base.mul_f64(jitter)).await;
    }

    /// In place where the type can; untouched when nothing differs.
    async fn update(
        self: &Arc<Self>,
        mut row: resource::Model,
        kind: &TypeKind,
        target: Target,
    ) -> Result<(), Failure> {
        let description = kind.implementation.description();
        let new = properties_value(&target.properties);
        let (Some(old), Some(wanted)) = (row.properties.as_object(), new.as_object()) else {
            return Err(Failure::fault(Error::internal("stored properties are not a map")));
        };
        let mut diff = if description.accepts_anything {
            PropertyDiff::default()
        } else {
            match PropertyDiff::between(&description.properties, &row.name, &description.name, old, wanted) {
                Ok(diff) => diff,
                Err(error) => return Err(self.failed(row, &error)),
            }
        };
        // An interrupted update may have reached the object: what it was changing is in doubt.
        if let Some(doubtful) = row.next_properties.as_ref().and_then(Value::as_object)
            && let Ok(more) =
                PropertyDiff::between(&description.properties, &row.name, &description.name, doubtful, wanted)
        {
            for (name, change) in more.changed {
                diff.changed.entry(name).or_insert(change);
            }
        }
        let is_interrupted = row.status != Status::Complete || row.next_properties.is_some();
        let taken_back = row.data.get(TAKEN_BACK).is_some();
        let differs = !diff.is_empty()
            || row.metadata != target.metadata
            || row.update_policy != Value::Object(target.update_policy.clone())
            || row.retain != target.retain;
        if !differs && !is_interrupted && !taken_back && kind.implementation.nested().is_none() {
            self.put_if_changed(&row);
            return Ok(());
        }
        let restricted = self.plan().map_err(Failure::fault)?.environment.registry.restricted_actions(&row.name);
        let replaces = diff.changed.values().any(|(_, change)| *change == PropertyChange::Replace);
        if replaces {
            if restricted.contains(&RestrictedAction::Replace) {
                return Err(self.restricted(&mut row, "replace"));
            }
            return self.replace(row, kind, &target).await;
        }
        if differs && restricted.contains(&RestrictedAction::Update) {
            return Err(self.restricted(&mut row, "update"));
        }
        row.next_properties = Some(new.clone());
        Self::adopt_target(&mut row, &target);
        self.change(&mut row, Action::Update, Status::InProgress, "state changed");
        let implementation = kind.implementation.as_ref();
        if implementation.nested().is_some() {
            if let Err(failure) = self.bring_nested(&mut row, kind, &target).await {
                self.change(&mut row, Action::Update, Status::Failed, &failure.text());
                return Err(failure);
            }
        } else if !diff.is_empty() || taken_back {
            if !implementation.is_pure() {
                self.journal().flush().await.map_err(Failure::fault)?;
            }
            let mut object = Object { is_repeat: is_interrupted, ..object_of(&row) };
            object.properties = target.properties.clone();
            if taken_back && let Err(error) = implementation.restore_replaced(&self.act, &mut object).await {
                tracing::warn!(resource = row.id, error = error.report(), "cannot restore a replaced object wholly");
            }
            object.data.remove(TAKEN_BACK);
            let outcome = async {
                if diff.is_empty() {
                    return Ok(true);
                }
                match implementation.update(&self.act, &mut object, &diff).await? {
                    Update::Replace => return Ok(false),
                    Update::Done => {}
                    Update::Wait => {
                        let progress = implementation.check_update(&self.act, &mut object).await?;
                        self.settle(implementation, &mut object, Phase::Update, progress).await?;
                    }
                }
                Ok(true)
            }
            .await;
            store(&mut row, &object);
            match outcome {
                Ok(true) => {}
                Ok(false) => return self.replace(row, kind, &target).await,
                Err(error) => return Err(self.failed(row, &error)),
            }
        }
        row.properties = new;
        row.next_properties = None;
        self.change(&mut row, Action::Update, Status::Complete, "state changed");
        self.pause_at(&mut row, Hook::PostUpdate, "UPDATE").await
    }

    fn put_if_changed(&self, row: &resource::Model) {
        if self.row(&row.id).as_ref() != Some(row) {
            self.put(row);
        }
    }

    fn restricted(&self, row: &mut resource::Model, what: &str) -> Failure {
        let error = Error::invalid("ResourceActionRestricted", format!("{what} is restricted for resource."));
        let failure = Failure::of(&row.name, &error);
        // The object is untouched: the history says it, the state stays.
        self.tell(row, Action::Update, Status::Failed, &failure.text());
        failure
    }

    /// Create before delete: the old object stays, as an obsolete row, until everybody uses the new one.
    async fn replace(
        self: &Arc<Self>,
        mut old: resource::Model,
        kind: &TypeKind,
        target: &Target,
    ) -> Result<(), Failure> {
        self.tell(&old, Action::Update, Status::Complete, &format!("The Resource {} requires replacement.", old.name));
        if old.implementation == kind.target && kind.implementation.nested().is_none() && old.physical_id.is_some() {
            let mut object = object_of(&old);
            if let Err(error) = kind.implementation.prepare_replace(&self.act, &mut object).await {
                return Err(self.failed(old, &error));
            }
            store(&mut old, &object);
        }
        let position = usize::try_from(old.position).unwrap_or_default();
        let row = self.new_row(&old.name, position).map_err(Failure::fault)?;
        old.obsolete = true;
        old.next_properties = None;
        self.put(&old);
        self.put(&row);
        self.create(row, kind, target).await
    }

    /// Takes over an object that exists already; an unchanged one is never touched again.
    async fn ensure_external(
        self: &Arc<Self>,
        mut row: resource::Model,
        kind: &TypeKind,
        target: &Target,
    ) -> Result<(), Failure> {
        let known = row.data.get(EXTERNAL).and_then(Value::as_str).map(str::to_owned);
        let Some(id) = &target.external_id else {
            return Err(self.not_supported(row, "Update to property external_id of"));
        };
        match known {
            Some(known) if known == *id && row.status == Status::Complete => return Ok(()),
            None if row.action != Action::Init => {
                return Err(self.not_supported(row, "Update to property external_id of"));
            }
            Some(known) if known != *id => return Err(self.not_supported(row, "Update to property external_id of")),
            _ => {}
        }
        row.physical_id = Some(id.clone());
        row.retain = true;
        row.data = json!({EXTERNAL: id});
        row.metadata = target.metadata.clone();
        self.change(&mut row, Action::Adopt, Status::InProgress, "state changed");
        if let Err(error) = kind.implementation.check(&self.act, &object_of(&row)).await {
            let failure = Failure::of(&row.name, &error);
            self.change(&mut row, Action::Adopt, Status::Failed, &failure.text());
            return Err(failure);
        }
        self.change(&mut row, Action::Adopt, Status::Complete, "state changed");
        self.change(&mut row, Action::Check, Status::Complete, "state changed");
        Ok(())
    }

    fn not_supported(&self, row: resource::Model, what: &str) -> Failure {
        let error =
            Error::invalid("NotSupported", format!("{what} {} ({}) is not supported.", row.name, row.type_name));
        self.failed(row, &error)
    }
}

/// Keys of a row's `data` that belong to the engine.
pub const EXTERNAL: &str = "_external_id";
const TAKEN_BACK: &str = "_taken_back";

enum Attempt {
    /// Told by the nested stack, with its path; never tried again as a whole.
    Nested(Failure),
    Plain(Error),
}

/// The object went to an error state, or something stood in its way that may go away.
fn is_worth_another_try(error: &Error) -> bool {
    matches!(error.kind(), Kind::Conflict | Kind::Unavailable)
}

/// What the type remembers goes back into the row.
pub fn store(row: &mut resource::Model, object: &Object) {
    row.physical_id = object.physical_id.clone();
    row.data = Value::Object(object.data.clone());
}
