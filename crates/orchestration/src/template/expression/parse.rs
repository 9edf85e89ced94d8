//! From template data to expressions, with the checks upstream makes when it parses a call.

use indexmap::IndexMap;
use sahab_contract::Result;
use serde_json::Value;

use super::{
    Call, Context, Expression, Function,
    table::{self, AttributeForm, RepeatForm, ReplaceForm},
    url,
};
use crate::template::{Version, error};

pub(super) fn parse(version: Version, context: Context, value: &Value, path: &str) -> Result<Expression> {
    match value {
        Value::Object(map) => {
            if let (1, Some((name, arguments))) = (map.len(), map.iter().next())
                && let Some(function) = table::lookup(version, context, name)
            {
                return parse_call(version, context, function, name, arguments, format!("{path}.{name}"));
            }
            let entries = map
                .iter()
                .map(|(key, item)| Ok((key.clone(), parse(version, context, item, &format!("{path}.{key}"))?)))
                .collect::<Result<IndexMap<_, _>>>()?;
            Ok(Expression::Map(entries))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| parse(version, context, item, &format!("{path}[{index}]")))
            .collect::<Result<Vec<_>>>()
            .map(Expression::List),
        scalar => Ok(Expression::Literal(scalar.clone())),
    }
}

fn parse_call(
    version: Version,
    context: Context,
    function: Function,
    name: &str,
    arguments: &Value,
    path: String,
) -> Result<Expression> {
    let failed = |message: String| error::validation_at(None, &path, message);
    let arguments = match function {
        Function::Misplaced => return Err(failed(format!("The function \"{name}\" is invalid in this context"))),
        Function::Yaql => {
            return Err(failed(format!(
                "The function \"{name}\" is not supported by this service; use str_split, filter, map_merge, repeat and \
                 conditions instead."
            )));
        }
        // The condition of an `if` is parsed as one, its branches as values.
        Function::If { nullable } => {
            let items = match arguments {
                Value::Array(items) if items.len() == 3 || (nullable && items.len() == 2) => items,
                _ => {
                    return Err(failed(format!(
                        "Arguments to \"{name}\" must be of the form: [condition_name, value_if_true, value_if_false]"
                    )));
                }
            };
            let mut parts = vec![parse(version, Context::Condition, &items[0], &path)?];
            for item in &items[1..] {
                // Upstream parses the taken branch only.
                parts.push(parse(version, context, item, &path).unwrap_or_else(|cause| broken(cause.message(), &path)));
            }
            Expression::List(parts)
        }
        _ => parse(version, context, arguments, &path)?,
    };
    check(function, name, &arguments).map_err(failed)?;
    Ok(Expression::Call(Box::new(Call { function, name: name.to_owned(), arguments, path })))
}

fn broken(message: &str, path: &str) -> Expression {
    Expression::Call(Box::new(Call {
        function: Function::Broken,
        name: String::new(),
        arguments: Expression::Literal(Value::from(message)),
        path: path.to_owned(),
    }))
}

/// The shape of the arguments as far as it can be told before anything is resolved.
fn check(function: Function, name: &str, arguments: &Expression) -> Result<(), String> {
    let list = arguments.as_list();
    match function {
        Function::GetAttr(form) => check_get_attr(form, name, arguments),
        Function::Join => match list {
            Some([_, _]) => Ok(()),
            _ => Err(incorrect(name, &format!("\"{name}\" : [ \" \", [ \"str1\", \"str2\"]]"))),
        },
        Function::JoinMany => match list {
            Some([_, _, ..]) => Ok(()),
            _ => Err(incorrect(name, &format!("\"{name}\" : [ \" \", [ \"str1\", \"str2\"] ...]"))),
        },
        Function::Replace(form) => check_replace(form, name, arguments),
        Function::Split => match arguments {
            Expression::Map(_) | Expression::Literal(Value::String(_)) => {
                Err(incorrect(name, &format!("\"{name}\" : [ \",\", \"apples,pears\", <index>]")))
            }
            _ => Ok(()),
        },
        Function::Repeat(form) => check_repeat(form, name, arguments),
        Function::ResourceFacade => {
            let allowed = if name.starts_with("Fn::") {
                ["Metadata", "DeletionPolicy", "UpdatePolicy"]
            } else {
                ["metadata", "deletion_policy", "update_policy"]
            };
            match arguments.as_str() {
                Some(kind) if allowed.contains(&kind) => Ok(()),
                _ => Err(format!("Incorrect arguments to \"{name}\" should be one of: {}", allowed.join(", "))),
            }
        }
        Function::Filter => match list {
            Some([_, _]) => Ok(()),
            Some(items) => Err(format!(
                "\"{name}\" expected 2 arguments of the form [values, sequence] but got {} arguments instead",
                items.len()
            )),
            None => Err(format!("Argument to \"{name}\" must be a list")),
        },
        Function::MakeUrl => match arguments.as_map() {
            Some(entries) => url::check_literals(name, entries),
            None => Err(format!("The arguments to \"{name}\" must be a map")),
        },
        Function::Contains => match list {
            Some([_, _]) => Ok(()),
            Some([]) | None => Err(incorrect(name, &format!("\"{name}\" : [ \"value1\", [ \"value1\", \"value2\"]]"))),
            Some(_) => Err(format!("Arguments to \"{name}\" must be of the form: [value1, [value1, value2]]")),
        },
        Function::Equals => match list {
            Some([_, _]) => Ok(()),
            _ => Err(format!("Arguments to \"{name}\" must be of the form: [value_1, value_2]")),
        },
        Function::Not => match (name.starts_with("Fn::"), arguments) {
            (true, Expression::List(items)) if items.len() == 1 => Ok(()),
            (true, _) => Err(format!("Arguments to \"{name}\" must be of the form: [condition]")),
            (false, Expression::Literal(Value::Null)) => Err(format!("Argument to \"{name}\" must be a condition")),
            (false, _) => Ok(()),
        },
        Function::And | Function::Or => match list {
            Some([_, _, ..]) => Ok(()),
            Some(_) => Err(format!("The minimum number of condition arguments to \"{name}\" is 2.")),
            None => Err(format!("Arguments to \"{name}\" must be a list of conditions")),
        },
        Function::Select => match list {
            Some([_, _]) => Ok(()),
            _ => Err(format!("Arguments to \"{name}\" must be of the form [index, collection]")),
        },
        Function::CfnSplit => match list {
            Some([_, _]) => Ok(()),
            _ => Err(incorrect(name, &format!("\"{name}\" : [ \",\", \"str1,str2\"]]"))),
        },
        Function::MemberListToMap => match list {
            Some([key, value, _]) => match (key.as_str(), value.as_str()) {
                (Some(_), Some(_)) => Ok(()),
                (None, _) => Err(format!("{name} Key Name must be a string")),
                (_, None) => Err(format!("{name} Value Name must be a string")),
            },
            _ => Err(format!(
                "Wrong Arguments try: \"{{'{name}': ['Name', 'Value', ['.member.0.Name=key', '.member.0.Value=door']]}}\""
            )),
        },
        Function::FindInMap => match list {
            Some([_, _, _]) => Ok(()),
            _ => Err(format!("Arguments to \"{name}\" must be of the form [mapping, key, value]")),
        },
        _ => Ok(()),
    }
}

fn incorrect(name: &str, example: &str) -> String {
    format!("Incorrect arguments to \"{name}\" should be: {example}")
}

fn check_get_attr(form: AttributeForm, name: &str, arguments: &Expression) -> Result<(), String> {
    match (form, arguments) {
        (AttributeForm::Cfn, Expression::List(items)) if items.len() == 2 => Ok(()),
        (AttributeForm::Cfn, _) => {
            Err(format!("Arguments to \"{name}\" must be of the form [resource_name, attribute]"))
        }
        (AttributeForm::AllOrPath, Expression::List(items)) if items.is_empty() => Err(format!(
            "Arguments to \"{name}\" can be of the next forms: [resource_name] or [resource_name, attribute, (path), ...]"
        )),
        (AttributeForm::AllOrPath, Expression::List(_)) => Ok(()),
        (_, Expression::List(items)) if items.len() >= 2 => Ok(()),
        (_, Expression::List(_)) => {
            Err(format!("Arguments to \"{name}\" must be of the form [resource_name, attribute, (path), ...]"))
        }
        _ => Err(format!("Argument to \"{name}\" must be a list")),
    }
}

fn check_replace(form: ReplaceForm, name: &str, arguments: &Expression) -> Result<(), String> {
    let params = if form == ReplaceForm::Cfn {
        match arguments.as_list() {
            Some([params, _]) => params,
            _ => {
                return Err(incorrect(
                    name,
                    &format!("{{\"{name}\": [ {{\"$var1\": \"foo\", \"%var2%\": \"bar\"}}, \"$var1 is %var2%\"]}}"),
                ));
            }
        }
    } else {
        let entries = arguments.as_map().ok_or_else(|| format!("Arguments to \"{name}\" must be a map"))?;
        match (entries.get("params"), entries.get("template")) {
            (Some(params), Some(_)) => params,
            _ => {
                return Err(format!(
                    "\"{name}\" syntax should be {name}: {{template: This is var1 template var2, params: {{var1: a, \
                     var2: string}}}}"
                ));
            }
        }
    };
    match params {
        Expression::Map(_) | Expression::Call(_) => Ok(()),
        _ => Err(format!("\"{name}\" parameters must be a mapping")),
    }
}

fn check_repeat(form: RepeatForm, name: &str, arguments: &Expression) -> Result<(), String> {
    let entries = arguments.as_map().ok_or_else(|| format!("Arguments to \"{name}\" must be a map"))?;
    let (Some(for_each), Some(_)) = (entries.get("for_each"), entries.get("template")) else {
        return Err(format!(
            "\"repeat\" syntax should be {name}: {{template: This is %var%, for_each: {{%var%: ['a', 'b', 'c']}}}}"
        ));
    };
    if !matches!(for_each, Expression::Map(_) | Expression::Call(_)) {
        return Err(format!("The \"for_each\" argument to \"{name}\" must contain a map"));
    }
    match entries.get("permutations") {
        Some(flag) if form == RepeatForm::Permutations && !matches!(flag, Expression::Literal(Value::Bool(_))) => {
            Err(format!("\"permutations\" should be boolean type for {name} function."))
        }
        _ => Ok(()),
    }
}
