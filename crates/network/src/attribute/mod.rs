//! One table per resource says what its attributes are; parsing, defaults, validation, filters, sorting and visibility
//! follow from it, the same for every resource.
//!
//! The order of the checks is upstream's: unknown and forbidden attributes, required ones and defaults, then values.

pub mod check;
mod prepare;

pub use check::Check;
pub use prepare::{Attributes, items_of, object_of};
use serde_json::{Value, json};

/// What an absent attribute becomes on creation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    Required,
    /// Stays absent: the domain computes something.
    Unset,
    Null,
    Text(&'static str),
    Bool(bool),
    Int(i64),
    List,
    Map,
}

impl Default {
    pub fn value(self) -> Option<Value> {
        match self {
            Default::Required | Default::Unset => None,
            Default::Null => Some(Value::Null),
            Default::Text(text) => Some(json!(text)),
            Default::Bool(flag) => Some(json!(flag)),
            Default::Int(number) => Some(json!(number)),
            Default::List => Some(json!([])),
            Default::Map => Some(json!({})),
        }
    }
}

/// How a query value is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    Text,
    /// Text whose stored form is lower case.
    Lower,
    Bool,
    Int,
    /// The resource makes its own condition.
    Special,
}

/// One attribute of a resource. Built by `const` chains: `Attribute::new("name").post().put()…`.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    pub name: &'static str,
    /// The column that filters and sorting use, when it is not named like the attribute.
    pub column: &'static str,
    pub post: bool,
    pub put: bool,
    pub default: Default,
    pub check: Check,
    pub filter: Option<Filter>,
    pub sort: bool,
    /// Policy rule that decides whether the caller sees the key.
    pub see: Option<&'static str>,
}

impl Attribute {
    /// Only in answers.
    pub const fn new(name: &'static str) -> Self {
        Attribute {
            name,
            column: name,
            post: false,
            put: false,
            default: Default::Unset,
            check: Check::Any,
            filter: None,
            sort: false,
            see: None,
        }
    }
    /// May be sent on creation.
    pub const fn post(mut self, default: Default, check: Check) -> Self {
        self.post = true;
        self.default = default;
        self.check = check;
        self
    }
    /// May be sent on update.
    pub const fn put(mut self) -> Self {
        self.put = true;
        self
    }
    /// May only be sent on update.
    pub const fn put_only(mut self, check: Check) -> Self {
        self.put = true;
        self.check = check;
        self
    }
    pub const fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }
    pub const fn sort(mut self) -> Self {
        self.sort = true;
        self
    }
    pub const fn column(mut self, column: &'static str) -> Self {
        self.column = column;
        self
    }
    pub const fn see(mut self, rule: &'static str) -> Self {
        self.see = Some(rule);
        self
    }
}

/// Attributes that most resources share.
pub mod common {
    use super::{Attribute, Check, Default, Filter};

    pub const ID: Attribute = Attribute::new("id").filter(Filter::Text).sort();
    pub const NAME: Attribute =
        Attribute::new("name").post(Default::Text(""), Check::Name(255)).put().filter(Filter::Text).sort();
    pub const DESCRIPTION: Attribute =
        Attribute::new("description").post(Default::Text(""), Check::Text(255)).put().filter(Filter::Text);
    pub const TENANT: Attribute = Attribute::new("tenant_id")
        .post(Default::Unset, Check::Project)
        .column("project_id")
        .filter(Filter::Text)
        .sort();
    pub const PROJECT: Attribute =
        Attribute::new("project_id").post(Default::Unset, Check::Project).filter(Filter::Text).sort();
    pub const ADMIN_STATE: Attribute =
        Attribute::new("admin_state_up").post(Default::Bool(true), Check::Bool).put().filter(Filter::Bool).sort();
    pub const STATUS: Attribute = Attribute::new("status").filter(Filter::Text).sort();
    pub const CREATED: Attribute = Attribute::new("created_at").sort();
    pub const UPDATED: Attribute = Attribute::new("updated_at").sort();
    pub const REVISION: Attribute = Attribute::new("revision_number").filter(Filter::Int).sort();
    pub const TAGS: Attribute = Attribute::new("tags");
}
