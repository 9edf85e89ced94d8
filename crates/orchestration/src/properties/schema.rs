//! Declarations of properties and attributes.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::{Number, Value};

use crate::parameters::{Constraint, ConstraintKind, ValueKind};

/// Static for the built-in types, owned for nested templates.
pub type Text = Cow<'static, str>;
/// The properties of a type, in the order of its documentation.
pub type PropertySchemas = IndexMap<Text, PropertySchema>;
/// The attributes of a type (`show` is added by the view).
pub type AttributeSchemas = IndexMap<Text, AttributeSchema>;

/// The type of a property or attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyKind {
    String,
    Integer,
    Number,
    Boolean,
    List,
    Map,
    Any,
}

impl PropertyKind {
    /// The name the API shows.
    pub fn name(self) -> &'static str {
        match self {
            PropertyKind::String => "string",
            PropertyKind::Integer => "integer",
            PropertyKind::Number => "number",
            PropertyKind::Boolean => "boolean",
            PropertyKind::List => "list",
            PropertyKind::Map => "map",
            PropertyKind::Any => "any",
        }
    }

    /// The name upstream's texts show.
    pub(crate) fn title(self) -> &'static str {
        match self {
            PropertyKind::String => "String",
            PropertyKind::Integer => "Integer",
            PropertyKind::Number => "Number",
            PropertyKind::Boolean => "Boolean",
            PropertyKind::List => "List",
            PropertyKind::Map => "Map",
            PropertyKind::Any => "Any",
        }
    }

    pub(crate) fn value_kind(self) -> ValueKind {
        match self {
            PropertyKind::String => ValueKind::String,
            PropertyKind::Integer => ValueKind::Integer,
            PropertyKind::Number => ValueKind::Number,
            PropertyKind::Boolean => ValueKind::Boolean,
            PropertyKind::List => ValueKind::List,
            PropertyKind::Map => ValueKind::Map,
            PropertyKind::Any => ValueKind::Any,
        }
    }
}

/// Since when and how far something is supported (`support_status`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportStatus {
    pub status: Text,
    pub version: Option<Text>,
    pub message: Option<Text>,
    pub previous: Option<Box<SupportStatus>>,
}

impl Default for SupportStatus {
    fn default() -> Self {
        SupportStatus { status: Cow::Borrowed("SUPPORTED"), version: None, message: None, previous: None }
    }
}

/// What lists and maps contain.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schema {
    /// Anything.
    #[default]
    Open,
    /// Every item of a list.
    Items(Box<PropertySchema>),
    /// The known keys of a map.
    Keys(PropertySchemas),
}

/// The declaration of one property.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertySchema {
    pub kind: PropertyKind,
    pub description: Text,
    pub required: bool,
    pub default: Option<Value>,
    pub constraints: Vec<Constraint>,
    /// A change is applied in place; otherwise the resource is replaced.
    pub update_allowed: bool,
    /// A change is refused.
    pub immutable: bool,
    pub schema: Schema,
    pub support_status: SupportStatus,
    /// A legacy name for the property named here; hidden from listings, accepted in templates.
    pub alias_of: Option<Text>,
    /// Properties of nested templates convert more freely (strings to lists, anything to JSON).
    pub converts: bool,
}

impl PropertySchema {
    pub fn new(kind: PropertyKind, description: impl Into<Text>) -> Self {
        PropertySchema {
            kind,
            description: description.into(),
            required: false,
            default: None,
            constraints: Vec::new(),
            update_allowed: false,
            immutable: false,
            schema: Schema::Open,
            support_status: SupportStatus::default(),
            alias_of: None,
            converts: false,
        }
    }
    pub fn string(description: impl Into<Text>) -> Self {
        Self::new(PropertyKind::String, description)
    }
    pub fn integer(description: impl Into<Text>) -> Self {
        Self::new(PropertyKind::Integer, description)
    }
    pub fn number(description: impl Into<Text>) -> Self {
        Self::new(PropertyKind::Number, description)
    }
    pub fn boolean(description: impl Into<Text>) -> Self {
        Self::new(PropertyKind::Boolean, description)
    }
    pub fn list(description: impl Into<Text>) -> Self {
        Self::new(PropertyKind::List, description)
    }
    pub fn map(description: impl Into<Text>) -> Self {
        Self::new(PropertyKind::Map, description)
    }
    pub fn any(description: impl Into<Text>) -> Self {
        Self::new(PropertyKind::Any, description)
    }

    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// Changes are applied in place.
    pub fn updatable(mut self) -> Self {
        self.update_allowed = true;
        self
    }
    /// Changes are refused.
    pub fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }
    /// The schema of a list's items.
    pub fn of(mut self, item: PropertySchema) -> Self {
        self.schema = Schema::Items(Box::new(item));
        self
    }
    /// The keys of a map.
    pub fn with<K: Into<Text>>(mut self, keys: impl IntoIterator<Item = (K, PropertySchema)>) -> Self {
        self.schema = Schema::Keys(keys.into_iter().map(|(key, schema)| (key.into(), schema)).collect());
        self
    }
    /// Accepted legacy name of another property.
    pub fn alias_of(mut self, name: impl Into<Text>) -> Self {
        self.alias_of = Some(name.into());
        self
    }
    pub fn constraint(mut self, kind: ConstraintKind) -> Self {
        self.constraints.push(Constraint { kind, description: None });
        self
    }
    pub fn range(self, min: Option<i64>, max: Option<i64>) -> Self {
        self.constraint(ConstraintKind::Range { min: min.map(Number::from), max: max.map(Number::from) })
    }
    pub fn length(self, min: Option<u64>, max: Option<u64>) -> Self {
        self.constraint(ConstraintKind::Length { min, max })
    }
    pub fn allowed<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Self {
        self.constraint(ConstraintKind::AllowedValues(values.into_iter().map(Into::into).collect()))
    }
    pub fn pattern(self, pattern: impl Into<String>) -> Self {
        self.constraint(ConstraintKind::AllowedPattern(pattern.into()))
    }
    /// A custom constraint such as `neutron.network`.
    pub fn custom(self, name: impl Into<String>) -> Self {
        self.constraint(ConstraintKind::Custom(name.into()))
    }
    pub fn status(mut self, status: SupportStatus) -> Self {
        self.support_status = status;
        self
    }
}

/// The declaration of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeSchema {
    pub description: Text,
    pub kind: Option<PropertyKind>,
}

impl AttributeSchema {
    /// An attribute of unspecified type (none is shown).
    pub fn new(description: impl Into<Text>) -> Self {
        AttributeSchema { description: description.into(), kind: None }
    }
    pub fn typed(kind: PropertyKind, description: impl Into<Text>) -> Self {
        AttributeSchema { description: description.into(), kind: Some(kind) }
    }
}
