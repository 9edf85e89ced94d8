//! A parsed check and its evaluation against a caller and a target.

use std::{borrow::Cow, collections::HashMap};

use sahab_contract::{RequestContext, Scope};
use serde_json::Value;

/// One check. Depth is bounded by the parser, references by the enforcer.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// `@` or the empty string.
    True,
    /// `!`
    False,
    Not(Box<Check>),
    And(Vec<Check>),
    Or(Vec<Check>),
    /// `rule:name`
    Rule(String),
    /// `role:name`, without regard to case.
    Role(Vec<Piece>),
    /// `left:right`: a fact about the caller equals a text about the target.
    Equal(Left, Vec<Piece>),
}

/// Left side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Left {
    /// An attribute of the caller: `user_id`, `project_id`, `system_scope`, …
    Credential(String),
    /// `'text'`, `True`, `None`, `7`
    Literal(String),
}

/// A part of the right side.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    /// `%(name)s`
    Target(String),
}

impl Check {
    pub(crate) fn holds(&self, rules: &HashMap<String, Check>, context: &RequestContext, target: &Value) -> bool {
        match self {
            Check::True => true,
            Check::False => false,
            Check::Not(check) => !check.holds(rules, context, target),
            Check::And(all) => all.iter().all(|check| check.holds(rules, context, target)),
            Check::Or(any) => any.iter().any(|check| check.holds(rules, context, target)),
            Check::Rule(name) => rules.get(name).is_some_and(|check| check.holds(rules, context, target)),
            Check::Role(pieces) => expand(pieces, target)
                .is_some_and(|role| context.auth.as_ref().is_some_and(|auth| auth.has_role(&role))),
            Check::Equal(left, pieces) => {
                let Some(right) = expand(pieces, target) else { return false };
                match left {
                    Left::Literal(text) => *text == right,
                    Left::Credential(name) => match credential(context, name) {
                        Some(value) => value == right,
                        // `not domain_id:None`: upstream's way to ask whether the caller has the attribute at all. A
                        // target's null must not match that way, or an absent owner would be everybody's.
                        None => matches!(pieces.as_slice(), [Piece::Text(text)] if text == "None"),
                    },
                }
            }
        }
    }

    /// Names of the rules that this check refers to directly.
    pub(crate) fn references(&self) -> Vec<&str> {
        match self {
            Check::Rule(name) => vec![name],
            Check::Not(check) => check.references(),
            Check::And(checks) | Check::Or(checks) => checks.iter().flat_map(Check::references).collect(),
            _ => Vec::new(),
        }
    }
}

/// The right side as text; `None` when the target lacks a name.
fn expand<'a>(pieces: &'a [Piece], target: &Value) -> Option<Cow<'a, str>> {
    if let [Piece::Text(text)] = pieces {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Target(name) => out.push_str(&target_text(target, name)?),
        }
    }
    Some(Cow::Owned(out))
}

fn target_text(target: &Value, name: &str) -> Option<String> {
    let value = match target.get(name) {
        Some(value) => value,
        None => name.split('.').try_fold(target, |value, key| value.get(key))?,
    };
    // Python's str(), which upstream compares.
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    })
}

/// The caller's attribute as oslo.context and Keystone name it; `None` when the caller has none.
fn credential<'a>(context: &'a RequestContext, name: &str) -> Option<&'a str> {
    let auth = context.auth.as_deref()?;
    let project = auth.project();
    match name {
        "user_id" | "user" | "user.id" => Some(&auth.user.id),
        "user_domain_id" | "user.domain_id" | "user_domain" => Some(&auth.user.domain.id),
        "project_id" | "tenant_id" | "tenant" | "project" | "project.id" => project.map(|project| project.id.as_str()),
        "project_domain_id" | "project_domain" | "project.domain.id" | "token.project.domain.id" => {
            project.map(|project| project.domain.id.as_str())
        }
        "domain_id" | "domain" | "domain.id" => auth.domain_scope().map(|domain| domain.id.as_str()),
        "system_scope" | "system" => matches!(auth.scope, Scope::System).then_some("all"),
        // Only the program itself is admin without a role, and it never gets here.
        "is_admin" => Some("False"),
        "is_admin_project" => Some("True"),
        _ => None,
    }
}
