//! What every kind of resource does the same way: create, show, update and delete with the checks in upstream's order.
//!
//! A resource says what is its own (attributes, who sees it, what a change does) by implementing [`Resource`]; policy,
//! quota, revision checks, the transaction and the news after it are here and cannot be forgotten. Called by `api`.

use std::{collections::BTreeMap, future::Future};

use sahab_contract::{Error, Kind, RequestContext, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult,
    IntoActiveModel, ModelTrait, QueryFilter, sea_query::Expr,
};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes},
    db::{self, Stored},
    effects::Effects,
    error::not_authorized,
    quota, tag,
};

/// A rendered object.
pub type View = Map<String, Value>;

pub trait Resource: Sized + Send + Sync + 'static {
    type Entity: EntityTrait<Model = Self::Model>;
    type Model: ModelTrait<Entity = Self::Entity>
        + FromQueryResult
        + IntoActiveModel<<Self::Entity as EntityTrait>::ActiveModel>
        + Stored;

    const SINGULAR: &'static str;
    const PLURAL: &'static str;
    const ATTRIBUTES: &'static [Attribute];
    /// Whether tags can be put on it.
    const TAGGED: bool = false;
    /// Name of the quota that counts it.
    const QUOTA: Option<&'static str> = None;

    fn not_found(id: &str) -> Error;

    /// Rows that the caller may get.
    fn visible(context: &RequestContext) -> Condition {
        owned(context, Self::column("project_id"))
    }

    /// Condition for an attribute whose filter is `Special`.
    fn special_filter(_: &RequestContext, key: &str, _: &[&str]) -> Result<Condition> {
        Err(Error::internal(format!("no filter for {key}")))
    }

    /// What policy rules about a new object look at. Also finds the parents, so that an invisible one is not found.
    fn create_target(_change: &mut Change<'_>, attributes: &Attributes) -> impl Future<Output = Result<Value>> + Send {
        let target = json!({"project_id": attributes.text("project_id")});
        async move { Ok(target) }
    }

    /// What policy rules about an existing object look at.
    fn target(_change: &mut Change<'_>, model: &Self::Model) -> impl Future<Output = Result<Value>> + Send {
        let target = json!({"project_id": model.project_id()});
        async move { Ok(target) }
    }

    /// Rules about parts of attributes, beyond `<action>:<attribute>`.
    fn further_rules(_action: &str, _attributes: &Attributes) -> Vec<String> {
        Vec::new()
    }

    fn create(change: &mut Change<'_>, attributes: Attributes) -> impl Future<Output = Result<Self::Model>> + Send;

    fn update(
        change: &mut Change<'_>,
        model: Self::Model,
        attributes: Attributes,
    ) -> impl Future<Output = Result<Self::Model>> + Send;

    fn delete(change: &mut Change<'_>, model: Self::Model) -> impl Future<Output = Result<()>> + Send;

    /// Renders rows as the caller sees them, without tags and standard attributes.
    fn views(
        service: &NetworkService,
        context: &RequestContext,
        models: &[Self::Model],
    ) -> impl Future<Output = Result<Vec<View>>> + Send;

    /// Column that an attribute is stored in.
    fn column(attribute: &str) -> Option<<Self::Entity as EntityTrait>::Column> {
        let attribute = Self::ATTRIBUTES.iter().find(|row| row.name == attribute).map_or(attribute, |row| row.column);
        attribute.parse().ok()
    }
}

/// Rows of the caller's project; all rows for an administrator, none without a reader's role.
pub fn owned<C: ColumnTrait>(context: &RequestContext, column: Option<C>) -> Condition {
    if context.is_admin() {
        return Condition::all();
    }
    match (context.project_id().filter(|_| context.has_role("reader")), column) {
        (Some(project), Some(column)) => Condition::all().add(column.eq(project)),
        _ => nothing(),
    }
}

/// Matches no row.
pub fn nothing() -> Condition {
    Condition::all().add(Expr::cust("1 = 0"))
}

/// A change under way: one transaction, who asked, and what must be told after the commit.
pub struct Change<'a> {
    pub service: &'a NetworkService,
    pub context: &'a RequestContext,
    pub txn: DatabaseTransaction,
    pub effects: Effects,
    preset: Option<String>,
}

impl<'a> Change<'a> {
    pub async fn begin(service: &'a NetworkService, context: &'a RequestContext) -> Result<Self> {
        let txn = service.database.begin().await?;
        Ok(Change { service, context, txn, effects: Effects::default(), preset: context.preset_id.clone() })
    }

    /// The preset id for the first object of the change, a new one for every other.
    pub fn new_id(&mut self) -> String {
        self.preset.take().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
    }

    pub async fn commit(self) -> Result<()> {
        self.txn.commit().await?;
        self.effects.publish(self.service);
        Ok(())
    }

    /// 403 unless the rule allows; a rule that does not exist allows.
    pub fn enforce(&self, rule: &str, target: &Value) -> Result<()> {
        let enforcer = &self.service.enforcer;
        if enforcer.known(rule) && !enforcer.allows(self.context, rule, target) {
            return Err(not_authorized(rule));
        }
        Ok(())
    }

    /// The action's own rule, that of each attribute sent, and the further ones.
    fn enforce_action<R: Resource>(&self, action: &str, attributes: &Attributes, target: &Value) -> Result<()> {
        self.enforce(action, target)?;
        let creates = action.starts_with("create_");
        for name in attributes.given() {
            let default = R::ATTRIBUTES.iter().find(|row| row.name == name).and_then(|row| row.default.value());
            // Spelling a default out is not asking for anything.
            if creates && default.as_ref() == attributes.get(name) {
                continue;
            }
            self.enforce(&format!("{action}:{name}"), target)?;
        }
        for rule in R::further_rules(action, attributes) {
            self.enforce(&rule, target)?;
        }
        Ok(())
    }
}

/// The row, if the caller may get it.
pub async fn find<R: Resource>(
    connection: &impl ConnectionTrait,
    context: &RequestContext,
    id: &str,
) -> Result<R::Model> {
    let query = R::Entity::find().filter(R::visible(context)).filter(by_id::<R>(id));
    query.one(connection).await?.ok_or_else(|| R::not_found(id))
}

fn by_id<R: Resource>(id: &str) -> Condition {
    match R::column("id") {
        Some(column) => Condition::all().add(column.eq(id)),
        None => nothing(),
    }
}

/// Creates all or none.
pub async fn create<R: Resource>(
    service: &NetworkService,
    context: &RequestContext,
    bodies: Vec<Map<String, Value>>,
) -> Result<Vec<View>> {
    context.auth()?;
    let action = format!("create_{}", R::SINGULAR);
    let items: Vec<Attributes> =
        bodies.into_iter().map(|body| Attributes::for_create(R::ATTRIBUTES, context, body)).collect::<Result<_>>()?;
    let mut change = Change::begin(service, context).await?;
    if let Some(id) = &context.preset_id
        && R::Entity::find().filter(by_id::<R>(id)).one(&change.txn).await?.is_some()
    {
        return Err(Error::conflict("ObjectExists", format!("{} {id} exists already.", R::SINGULAR)));
    }
    for attributes in &items {
        let target = R::create_target(&mut change, attributes).await?;
        change.enforce_action::<R>(&action, attributes, &target)?;
    }
    if let Some(resource) = R::QUOTA {
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        for attributes in &items {
            *wanted.entry(attributes.text("project_id")).or_default() += 1;
        }
        for (project, count) in wanted {
            quota::check(&change, &project, &[(resource, count)]).await?;
        }
    }
    let mut models = Vec::with_capacity(items.len());
    for attributes in items {
        models.push(R::create(&mut change, attributes).await?);
    }
    change.commit().await?;
    render::<R>(service, context, &models).await
}

pub async fn show<R: Resource>(service: &NetworkService, context: &RequestContext, id: &str) -> Result<View> {
    let model = find::<R>(service.database.read(), context, id).await?;
    let mut views = render::<R>(service, context, std::slice::from_ref(&model)).await?;
    views.pop().ok_or_else(|| R::not_found(id))
}

pub async fn update<R: Resource>(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: Map<String, Value>,
    expected: Option<i32>,
) -> Result<View> {
    context.auth()?;
    let attributes = Attributes::for_update(R::ATTRIBUTES, context, body)?;
    let mut change = Change::begin(service, context).await?;
    let model = find::<R>(&change.txn, context, id).await?;
    let target = R::target(&mut change, &model).await?;
    change.enforce_action::<R>(&format!("update_{}", R::SINGULAR), &attributes, &target)?;
    check_revision(&model, expected)?;
    let model = R::update(&mut change, model, attributes).await?;
    change.commit().await?;
    let mut views = render::<R>(service, context, std::slice::from_ref(&model)).await?;
    views.pop().ok_or_else(|| R::not_found(id))
}

pub async fn delete<R: Resource>(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    expected: Option<i32>,
) -> Result<()> {
    context.auth()?;
    let mut change = Change::begin(service, context).await?;
    let model = find::<R>(&change.txn, context, id).await?;
    let target = R::target(&mut change, &model).await?;
    change.enforce(&format!("delete_{}", R::SINGULAR), &target)?;
    check_revision(&model, expected)?;
    R::delete(&mut change, model).await?;
    tag::forget(&change.txn, id).await?;
    change.commit().await
}

fn check_revision(model: &impl Stored, expected: Option<i32>) -> Result<()> {
    match (expected, model.revision()) {
        (Some(expected), Some(current)) if expected != current => Err(Error::new(
            Kind::PreconditionFailed,
            "RevisionNumberConstraintFailed",
            format!("Constrained to {expected}, but current revision is {current}"),
        )),
        _ => Ok(()),
    }
}

/// Writes the changed row and notes the change, unless nothing differs.
pub async fn save_changed<M>(change: &Change<'_>, before: &M, mut after: M) -> Result<M>
where
    M: ModelTrait + Stored + PartialEq + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel>,
    <M::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = M::Entity> + Send,
{
    if *before != after {
        after.touch();
        db::save(&change.txn, &after).await?;
    }
    Ok(after)
}

/// Views with tags, and without what the caller must not see.
pub async fn render<R: Resource>(
    service: &NetworkService,
    context: &RequestContext,
    models: &[R::Model],
) -> Result<Vec<View>> {
    let mut views = R::views(service, context, models).await?;
    if R::TAGGED {
        let ids: Vec<&str> = models.iter().map(Stored::id).collect();
        let mut tags = tag::of(service.database.read(), &ids).await?;
        for (view, id) in views.iter_mut().zip(ids) {
            view.insert("tags".into(), json!(tags.remove(id).unwrap_or_default()));
        }
    }
    let hidden: Vec<&str> = R::ATTRIBUTES
        .iter()
        .filter(|row| row.see.is_some_and(|rule| !service.enforcer.allows(context, rule, &json!({}))))
        .map(|row| row.name)
        .collect();
    if !hidden.is_empty() {
        for view in &mut views {
            view.retain(|name, _| !hidden.contains(&name.as_str()));
        }
    }
    Ok(views)
}
