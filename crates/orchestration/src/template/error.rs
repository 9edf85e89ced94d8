//! Constructors of the failures of the template language, with upstream's exception names (spec 1.3).

use std::fmt::Display;

use sahab_contract::{Error, Kind};

/// `StackValidationFailed` with a bare message.
pub fn validation(message: impl Into<String>) -> Error {
    Error::invalid("StackValidationFailed", message)
}

/// `StackValidationFailed` rendered as upstream does: `[error: ][path.to.place: ]message`.
pub fn validation_at(error: Option<&str>, path: &str, message: impl Display) -> Error {
    let mut text = String::new();
    for part in error.into_iter().chain((!path.is_empty()).then_some(path)) {
        text.push_str(part);
        text.push_str(": ");
    }
    validation(text + &message.to_string())
}

/// A section, key or value that the template format does not know.
pub fn schema(message: impl Into<String>) -> Error {
    Error::invalid("InvalidSchemaError", message)
}

/// Text that cannot be read as a template at all.
pub fn not_a_template(message: impl Display) -> Error {
    Error::invalid("HTTPBadRequest", format!("Template not in valid format: {message}"))
}

/// The template's version is unknown, or a function does not exist in it.
pub fn version(explanation: impl Display) -> Error {
    Error::invalid("InvalidTemplateVersion", format!("The template version is invalid: {explanation}"))
}

/// A top-level key that is no section.
pub fn section(name: &str) -> Error {
    Error::invalid("InvalidTemplateSection", format!("The template section is invalid: {name}"))
}

/// A reference to a resource that does not exist (or is switched off by its condition).
pub fn reference(resource: &str, place: &str) -> Error {
    Error::invalid(
        "InvalidTemplateReference",
        format!("The specified reference \"{resource}\" (in {place}) is incorrect."),
    )
}

/// A parameter without a value.
pub fn parameter_missing(name: &str) -> Error {
    Error::invalid("UserParameterMissing", format!("The Parameter ({name}) was not provided."))
}

/// A value for a parameter the template does not have.
pub fn parameter_unknown(name: &str) -> Error {
    Error::invalid("UnknownUserParameter", format!("The Parameter ({name}) was not defined in template."))
}

/// A size, count or depth beyond what the service is willing to work on.
pub fn limit(message: impl Into<String>) -> Error {
    Error::invalid("RequestLimitExceeded", message)
}

/// A malformed argument outside the template itself (environment, files, flags).
pub fn bad_request(message: impl Into<String>) -> Error {
    Error::invalid("HTTPBadRequest", message)
}

/// The type is neither registered nor mapped to anything.
pub fn type_not_found(name: &str) -> Error {
    Error::new(Kind::NotFound, "EntityNotFound", format!("The Resource Type ({name}) could not be found."))
}
