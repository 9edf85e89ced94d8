//! The body of create, update, preview and validate, parsed once.

use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use crate::{
    core::Core,
    environment::{Environment, merge_files},
    sources,
    template::{Files, Template, error, python, yaml},
};

/// A parsed body. What is absent in the body is `None`.
#[derive(Clone, Debug, Default)]
pub struct StackRequest {
    pub name: Option<String>,
    pub template: Option<Map<String, Value>>,
    /// `parameters` and the environment, joined.
    pub environment: Environment,
    pub files: Files,
    pub disable_rollback: Option<bool>,
    /// Given minutes; `Some(None)` for zero.
    pub timeout_mins: Option<Option<i32>>,
    pub tags: Option<Vec<String>>,
    pub clear_parameters: Vec<String>,
    pub converge: Option<bool>,
    /// Nothing but defaults was sent.
    pub is_empty: bool,
}

/// `true` or `false` in any case, or a JSON boolean.
pub fn boolean(name: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(error::bad_request(format!(
            "Unrecognized value \"{}\" for \"{name}\", acceptable values are: true, false.",
            python::text(other)
        ))),
    }
}

/// A whole number that is not negative.
pub fn count(name: &str, value: &Value) -> Result<u64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    match text.parse::<i64>() {
        Ok(number) => u64::try_from(number).map_err(|_| {
            error::bad_request(format!(
                "Value '{number}' is invalid for '{name}' which only accepts non-negative integer."
            ))
        }),
        Err(_) => Err(error::bad_request(format!("Only integer is acceptable by '{name}'."))),
    }
}

/// A template as an object or as text.
fn template_map(value: &Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map.clone()),
        Value::String(text) => yaml::parse_mapping(text),
        _ => Err(error::not_a_template("The template must be a JSON object or YAML text.")),
    }
}

/// The body's files, template and environment. `stored` are the files an update builds on.
pub async fn parse(core: &Core, body: &Value, stored: Option<&Files>) -> Result<StackRequest> {
    let Value::Object(body) = body else {
        return Err(error::bad_request("The body must be a JSON object."));
    };
    let get = |key: &str| body.get(key).filter(|value| !value.is_null());
    let mut request = StackRequest { is_empty: true, ..Default::default() };
    request.is_empty = ![
        "template",
        "template_url",
        "environment",
        "environment_files",
        "files",
        "parameters",
        "clear_parameters",
        "tags",
    ]
    .iter()
    .any(|key| get(key).is_some_and(|value| !is_nothing(value)));
    if let Some(name) = get("stack_name") {
        request.name = Some(name.as_str().ok_or_else(|| error::bad_request("stack_name must be a string"))?.to_owned());
    }
    if get("files_container").is_some() {
        return Err(super::not_supported("files_container is not supported: this cloud has no object store yet."));
    }
    request.files = stored.cloned().unwrap_or_default();
    if let Some(files) = get("files") {
        let Value::Object(files) = files else { return Err(error::bad_request("files must be a map of texts")) };
        for (name, text) in files {
            let text = match text {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            request.files.insert(name.clone(), text);
        }
    }
    let size: usize = request.files.values().map(String::len).sum();
    // All nested templates together; each template alone is bounded by its parser.
    if size > core.settings.max_json_body_size * 2 {
        return Err(error::limit(format!(
            "Files exceed maximum allowed size ({} bytes)",
            core.settings.max_json_body_size * 2
        )));
    }
    request.template = match (get("template"), get("template_url")) {
        (Some(template), _) => Some(checked_size(core, template)?),
        (None, Some(Value::String(url))) => Some(yaml::parse_mapping(&sources::fetch(&core.settings, url).await?)?),
        (None, Some(_)) => return Err(error::bad_request("template_url must be a string")),
        (None, None) => None,
    };
    request.environment = match get("environment_files") {
        Some(Value::Array(names)) if !names.is_empty() => {
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            let names: Option<Vec<String>> = names.collect();
            let names = names.ok_or_else(|| error::bad_request("environment_files must be a list of names"))?;
            let template = request.template.clone().map(Template::from_map).transpose()?;
            let template = template.ok_or_else(|| error::bad_request("environment_files need a template"))?;
            merge_files(&template, &request.files, &names)?
        }
        Some(Value::Array(_)) | None => match get("environment") {
            Some(value) => Environment::from_value(value)?,
            None => Environment::default(),
        },
        Some(_) => return Err(error::bad_request("environment_files must be a list of names")),
    };
    match get("parameters") {
        Some(Value::Object(parameters)) => {
            request.environment.parameters.extend(parameters.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Some(_) => return Err(error::bad_request("parameters must be a map")),
        None => {}
    }
    request.disable_rollback = get("disable_rollback").map(|value| boolean("disable_rollback", value)).transpose()?;
    request.converge = get("converge").map(|value| boolean("converge", value)).transpose()?;
    if let Some(value) = get("timeout_mins") {
        let minutes = count("timeout_mins", value)?;
        let minutes = i32::try_from(minutes).map_err(|_| error::bad_request("timeout_mins is too large"))?;
        request.timeout_mins = Some((minutes > 0).then_some(minutes));
    }
    request.tags = get("tags").map(tags).transpose()?;
    if let Some(value) = get("clear_parameters") {
        let Value::Array(names) = value else { return Err(error::bad_request("clear_parameters must be a list")) };
        request.clear_parameters = names.iter().map(python::text).collect();
    }
    if let Some(data) = get("adopt_stack_data") {
        let _ = data;
        return Err(super::not_supported("Stack Adopt is not supported."));
    }
    Ok(request)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn checked_size(core: &Core, template: &Value) -> Result<Map<String, Value>> {
    let limit = core.settings.max_template_size;
    let size = match template {
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    if size > limit {
        return Err(error::limit(format!(
            "Request limit exceeded: Template size ({size} bytes) exceeds maximum allowed size ({limit} bytes)."
        )));
    }
    template_map(template)
}

/// A comma string; upstream crashes on a list, here it is welcome.
fn tags(value: &Value) -> Result<Vec<String>> {
    let pieces: Vec<String> = match value {
        Value::String(text) => {
            text.split(',').map(|piece| piece.trim().to_owned()).filter(|piece| !piece.is_empty()).collect()
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(|piece| piece.trim().to_owned()).collect()
        }
        _ => return Err(error::bad_request("tags must be a comma-separated string")),
    };
    for tag in &pieces {
        if tag.chars().count() > 80 {
            return Err(error::bad_request(format!("Invalid tag, \"{tag}\" is longer than 80 characters")));
        }
        if tag.contains(',') {
            return Err(error::bad_request(format!("Invalid tag, \"{tag}\" contains a comma")));
        }
    }
    Ok(pieces)
}

/// Upstream's rule for names.
pub fn check_name(name: &str) -> Result<()> {
    let mut characters = name.chars();
    let is_good = characters.next().is_some_and(|first| first.is_alphabetic())
        && characters.all(|c| c.is_alphanumeric() || "_-.".contains(c))
        && name.chars().count() <= 255;
    if is_good {
        return Ok(());
    }
    Err(error::validation(format!(
        "Invalid stack name {name} must contain only alphanumeric or \"_-.\" characters, must start with alpha and must \
         be 255 characters or less."
    )))
}

/// A required template.
pub fn required_template(request: &StackRequest) -> Result<Map<String, Value>> {
    request.template.clone().ok_or_else(|| Error::invalid("HTTPBadRequest", "No template specified"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names() {
        for good in ["a", "web-1_x.y", "Überstapel"] {
            check_name(good).unwrap();
        }
        for bad in ["", "1a", "-a", "a b", "a\nb", "a/b", &"a".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn flags_numbers_and_tags() {
        assert!(boolean("x", &json!("TRUE")).unwrap());
        assert_eq!(
            boolean("x", &json!("zzz")).unwrap_err().message(),
            "Unrecognized value \"zzz\" for \"x\", acceptable values are: true, false."
        );
        assert_eq!(count("limit", &json!("a")).unwrap_err().message(), "Only integer is acceptable by 'limit'.");
        assert_eq!(
            count("timeout_mins", &json!(-1)).unwrap_err().message(),
            "Value '-1' is invalid for 'timeout_mins' which only accepts non-negative integer."
        );
        assert_eq!(tags(&json!(" a, b ,")).unwrap(), ["a", "b"]);
        assert_eq!(tags(&json!(["a"])).unwrap(), ["a"]);
        assert!(tags(&json!("x".repeat(81))).is_err());
    }
}
