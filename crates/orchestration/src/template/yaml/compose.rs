//! YAML events to a value: anchors, merge keys, tags, limits.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::{
    Fault,
    repair::{self, Repair},
    scalar,
};
use crate::template::python;

/// Deeper documents are refused; JSON's reader has about the same limit.
const MAX_DEPTH: usize = 120;
/// What a document may expand to, in bytes of text plus [`NODE_COST`] per node. The largest honest template stays below
/// it; a bomb of anchors is stopped before memory is spent.
const MAX_COST: usize = 24 * 1024 * 1024;
const NODE_COST: usize = 32;

/// A node that may be referred to by its anchor.
struct Anchored {
    value: Value,
    cost: usize,
    depth: usize,
}

/// A collection whose end has not been seen.
enum Open {
    List(Vec<Value>),
    Map { entries: Map<String, Value>, merged: Map<String, Value>, key: Option<Key>, is_pending: bool },
}

enum Key {
    Text(String),
    /// `<<`
    Merge,
}

struct Frame {
    open: Open,
    anchor: usize,
    start: Marker,
    /// Cost of everything inside so far.
    cost: usize,
    /// Depth of the deepest node inside, relative to this one.
    depth: usize,
}

struct Composer {
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    spent: usize,
    document: Option<Value>,
}

/// Why one attempt failed.
enum Problem {
    Fault(Fault),
    /// The text is fine for upstream's loader, and there is a way to say the same to this parser.
    Repairable(Fault, Repair),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem::Fault(fault)
    }
}

pub(super) fn compose(text: &str) -> Result<Value, Fault> {
    let mut text = Cow::Borrowed(text);
    let mut budget = repair::BUDGET;
    loop {
        let (fault, repair) = match attempt(&text) {
            Ok(value) => return Ok(value),
            Err(Problem::Fault(fault)) => return Err(fault),
            Err(Problem::Repairable(fault, repair)) => (fault, repair),
        };
        match (budget.checked_sub(text.len()), repair.apply(&text)) {
            (Some(left), Some(repaired)) => {
                budget = left;
                text = Cow::Owned(repaired);
            }
            _ => return Err(fault),
        }
    }
}

fn attempt(text: &str) -> Result<Value, Problem> {
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    let mut composer = Composer { frames: Vec::new(), anchors: HashMap::new(), spent: 0, document: None };
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| composer.problem(text, &error))?;
        match event {
            Event::DocumentStart(_) if composer.document.is_some() => {
                let message = "expected a single document in the stream, but found another document";
                return Err(fault(span.start, message).into());
            }
            Event::StreamEnd => break,
            event => composer.accept(event, span)?,
        }
    }
    Ok(composer.document.unwrap_or(Value::Null))
}

fn fault(at: Marker, message: impl Into<String>) -> Fault {
    Fault::Syntax { message: message.into(), line: at.line().max(1), column: at.col() + 1 }
}

impl Composer {
    /// What a scanner's error amounts to.
    fn problem(&self, text: &str, error: &ScanError) -> Problem {
        let at = *error.marker();
        let found = fault(at, error.info());
        let repair = match error.info() {
            "recursion limit exceeded" => return Problem::Fault(too_deep()),
            "invalid indentation in quoted scalar" => Some(Repair::IndentQuoted(at)),
            "invalid indentation" | "invalid indentation in flow construct" => {
                repair::open_flow(text, self.frames.iter().map(|frame| frame.start), at)
            }
            "':' must be followed by a valid YAML whitespace" => Some(Repair::ReplaceTab(at)),
            _ => None,
        };
        match repair {
            Some(repair) => Problem::Repairable(found, repair),
            None => Problem::Fault(found),
        }
    }

    fn accept(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                let cost = NODE_COST + text.len();
                self.spend(cost)?;
                if is_merge && self.expects_key() {
                    return self.set_key(Key::Merge);
                }
                let value = scalar_value(&text, style, tag.as_deref(), span.start)?;
                self.place(value, anchor, cost, 0, span.start)
            }
            Event::SequenceStart(anchor, tag) => {
                check_collection_tag(tag.as_deref(), "seq", span.start)?;
                self.open(Open::List(Vec::new()), anchor, span.start)
            }
            Event::MappingStart(anchor, tag) => {
                check_collection_tag(tag.as_deref(), "map", span.start)?;
                self.open(
                    Open::Map { entries: Map::new(), merged: Map::new(), key: None, is_pending: false },
                    anchor,
                    span.start,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some(Anchored { cost, depth, .. }) = self.anchors.get(&anchor) else {
                    return Err(fault(span.start, "found an alias to an undefined or unfinished anchor"));
                };
                let (cost, depth) = (*cost, *depth);
                if self.frames.len() + depth > MAX_DEPTH {
                    return Err(too_deep());
                }
                self.spend(cost)?;
                let value = self.anchors.get(&anchor).map(|node| node.value.clone()).unwrap_or_default();
                self.place(value, 0, cost, depth, span.start)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn spend(&mut self, cost: usize) -> Result<(), Fault> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > MAX_COST {
            return Err(Fault::Limit(format!(
                "Template expands to more than the maximum allowed size ({MAX_COST} bytes)."
            )));
        }
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize, start: Marker) -> Result<(), Fault> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.spend(NODE_COST)?;
        self.frames.push(Frame { open, anchor, start, cost: NODE_COST, depth: 0 });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Frame { open, anchor, start, cost, depth }) = self.frames.pop() else { return Ok(()) };
        let value = match open {
            Open::List(items) => Value::Array(items),
            Open::Map { entries, mut merged, .. } => {
                // Own keys win over merged ones; merged ones come first, as upstream's loader builds the dictionary.
                if merged.is_empty() {
                    Value::Object(entries)
                } else {
                    merged.extend(entries);
                    Value::Object(merged)
                }
            }
        };
        self.place(value, anchor, cost, depth + 1, start)
    }

    fn expects_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { open: Open::Map { is_pending: false, .. }, .. }))
    }

    fn set_key(&mut self, new_key: Key) -> Result<(), Fault> {
        if let Some(Frame { open: Open::Map { key, is_pending, .. }, .. }) = self.frames.last_mut() {
            *key = Some(new_key);
            *is_pending = true;
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, value: Value, anchor: usize, cost: usize, depth: usize, at: Marker) -> Result<(), Fault> {
        if anchor > 0 {
            // The table holds a copy.
            self.spend(cost)?;
            self.anchors.insert(anchor, Anchored { value: value.clone(), cost, depth });
        }
        let Some(frame) = self.frames.last_mut() else {
            self.document = Some(value);
            return Ok(());
        };
        frame.cost = frame.cost.saturating_add(cost);
        frame.depth = frame.depth.max(depth);
        match &mut frame.open {
            Open::List(items) => items.push(value),
            Open::Map { entries, merged, key, is_pending } => {
                if !*is_pending {
                    *key = Some(Key::Text(key_text(value, at)?));
                    *is_pending = true;
                    return Ok(());
                }
                *is_pending = false;
                match key.take() {
                    Some(Key::Text(key)) => {
                        entries.insert(key, value);
                    }
                    Some(Key::Merge) => merge(merged, value, at)?,
                    None => {}
                }
            }
        }
        Ok(())
    }
}

fn too_deep() -> Fault {
    Fault::Limit(format!("Template nesting exceeds the maximum allowed depth ({MAX_DEPTH})."))
}

/// The text of a key: what JSON writes for Python's key.
fn key_text(value: Value, at: Marker) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(python::json(&value, false)),
        Value::Array(_) | Value::Object(_) => Err(fault(at, "while constructing a mapping: found unhashable key")),
    }
}

/// `<<: map` or `<<: [map, …]`, where the earlier map of the list wins.
fn merge(merged: &mut Map<String, Value>, value: Value, at: Marker) -> Result<(), Fault> {
    match value {
        Value::Object(map) => merged.extend(map),
        Value::Array(items) => {
            for item in items.into_iter().rev() {
                match item {
                    Value::Object(map) => merged.extend(map),
                    _ => return Err(fault(at, "while constructing a mapping: expected a mapping for merging")),
                }
            }
        }
        _ => {
            return Err(fault(at, "while constructing a mapping: expected a mapping or list of mappings for merging"));
        }
    }
    Ok(())
}

fn unknown_tag(tag: &Tag, at: Marker) -> Fault {
    fault(at, format!("could not determine a constructor for the tag '{}{}'", tag.handle, tag.suffix))
}

fn check_collection_tag(tag: Option<&Tag>, expected: &str, at: Marker) -> Result<(), Fault> {
    match tag {
        Some(tag) if is_non_specific(tag) || (tag.is_yaml_core_schema() && tag.suffix == expected) => Ok(()),
        Some(tag) => Err(unknown_tag(tag, at)),
        None => Ok(()),
    }
}

/// A lone `!`.
fn is_non_specific(tag: &Tag) -> bool {
    tag.suffix.is_empty() && (tag.handle == "!" || tag.handle.is_empty())
        || (tag.handle.is_empty() && tag.suffix == "!")
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Marker) -> Result<Value, Fault> {
    // A lone `!` says nothing to PyYAML.
    let Some(tag) = tag.filter(|tag| !is_non_specific(tag)) else {
        return Ok(match style {
            ScalarStyle::Plain => scalar::resolve_plain(text),
            _ => Value::String(text.to_owned()),
        });
    };
    if !tag.is_yaml_core_schema() {
        return Err(unknown_tag(tag, at));
    }
    let wrong = || fault(at, format!("invalid value '{text}' for the tag '{}{}'", tag.handle, tag.suffix));
    match tag.suffix.as_str() {
        "str" | "timestamp" => Ok(Value::String(text.to_owned())),
        "null" => Ok(Value::Null),
        "bool" => match scalar::resolve_plain(&text.to_ascii_lowercase()) {
            value @ Value::Bool(_) => Ok(value),
            _ => Err(wrong()),
        },
        "int" => scalar::integer(text).ok_or_else(wrong),
        "float" => scalar::float(text)
            .or_else(|| text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::from))
            .ok_or_else(wrong),
        _ => Err(unknown_tag(tag, at)),
    }
}
