//! Who may do what: oslo.policy's check language and the enforcer of named rules.
//!
//! A service lists its rules with upstream's names and defaults; an operator's file may override them. Everything is
//! parsed and checked for unknown references and cycles when the enforcer is made, so that evaluation cannot fail and
//! its depth is bounded. A rule nobody defined denies, and says so in the log.
//!
//! Differences from oslo.policy: `http:` and `https:` checks are refused, and so are references to unknown rules, which
//! upstream silently treats as the rule `default`.

mod check;
mod parse;

use std::collections::{BTreeMap, HashMap};

pub use check::Check;
use sahab_contract::{Error, RequestContext, Result};
use serde_json::Value;

/// Longest chain of `rule:` references.
const MAX_DEPTH: usize = 32;

/// A set of named rules, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Enforcer {
    rules: HashMap<String, Check>,
}

impl Enforcer {
    /// Parses `(rule, check)` pairs; fails on a syntax error, an unknown reference, a cycle or a rule defined twice.
    pub fn new(rules: &[(&str, &str)]) -> Result<Self> {
        let mut parsed = HashMap::with_capacity(rules.len());
        for (name, text) in rules {
            if parsed.insert((*name).to_owned(), Self::parse(name, text)?).is_some() {
                return Err(Error::internal(format!("policy rule {name} is defined twice")));
            }
        }
        Self { rules: parsed }.checked()
    }

    /// The same rules with some replaced or added, as an operator's policy file says.
    pub fn overridden(mut self, rules: &BTreeMap<String, String>) -> Result<Self> {
        for (name, text) in rules {
            self.rules.insert(name.clone(), Self::parse(name, text)?);
        }
        self.checked()
    }

    fn parse(name: &str, text: &str) -> Result<Check> {
        parse::check(text).map_err(|reason| Error::invalid("PolicySyntax", format!("policy rule {name}: {reason}")))
    }

    /// Whether the caller may do what the rule names to the target. The program itself may do everything.
    ///
    /// `target` is what `%(name)s` refers to: a key of that very name, else the dotted path
    /// (`%(target.user.id)s` reads `{"target": {"user": {"id": …}}}`). A missing name denies.
    pub fn allows(&self, context: &RequestContext, rule: &str, target: &Value) -> bool {
        if context.elevated {
            return true;
        }
        match self.rules.get(rule) {
            Some(check) => check.holds(&self.rules, context, target),
            None => {
                tracing::error!(rule, "no such policy rule; denied");
                false
            }
        }
    }

    pub fn known(&self, rule: &str) -> bool {
        self.rules.contains_key(rule)
    }

    /// Every rule's name, in no order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }

    fn checked(self) -> Result<Self> {
        // Depth of each finished rule; a rule met again while unfinished closes a cycle.
        let mut depths: HashMap<&str, Option<usize>> = HashMap::new();
        for name in self.rules.keys() {
            self.depth(name, &mut depths, 0)?;
        }
        Ok(self)
    }

    fn depth<'a>(&'a self, name: &'a str, depths: &mut HashMap<&'a str, Option<usize>>, level: usize) -> Result<usize> {
        let fault = |text: String| Error::invalid("PolicySyntax", format!("policy rule {name}: {text}"));
        match depths.get(name) {
            Some(Some(depth)) => return Ok(*depth),
            Some(None) => return Err(fault("refers to itself".into())),
            None if level > MAX_DEPTH => return Err(fault(format!("more than {MAX_DEPTH} references deep"))),
            None => {}
        }
        let Some(check) = self.rules.get(name) else {
            return Err(fault("is referred to but not defined".into()));
        };
        depths.insert(name, None);
        let mut deepest = 0;
        for reference in check.references() {
            deepest = deepest.max(1 + self.depth(reference, depths, level + 1)?);
        }
        if deepest > MAX_DEPTH {
            return Err(fault(format!("more than {MAX_DEPTH} references deep")));
        }
        depths.insert(name, Some(deepest));
        Ok(deepest)
    }
}

#[cfg(test)]
mod tests;
