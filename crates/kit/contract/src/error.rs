//! The one way to fail.
//!
//! Every domain function of every service returns [`Error`]. It keeps what the caller may read (`message`, `code`)
//! apart from what only the log may see (`source`); the API kit renders it in the body shape of the service's family.
//! Anything that converts with `?` becomes [`Kind::Internal`], so input must be parsed explicitly at the edge.

use std::{borrow::Cow, fmt, sync::Arc};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, independent of any service's wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 400
    Invalid,
    /// 401
    Unauthenticated,
    /// 403
    Forbidden,
    /// 403 or 409, by service family
    OverQuota,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 406
    NotAcceptable,
    /// 409
    Conflict,
    /// 410
    Gone,
    /// 412
    PreconditionFailed,
    /// 413
    TooLarge,
    /// 415
    UnsupportedMediaType,
    /// 500; the public text is generic, the cause goes to the log
    Internal,
    /// 503; try again later
    Unavailable,
}

impl Kind {
    /// The HTTP status most families use for this kind.
    pub fn status(self) -> u16 {
        match self {
            Kind::Invalid => 400,
            Kind::Unauthenticated => 401,
            Kind::Forbidden | Kind::OverQuota => 403,
            Kind::NotFound => 404,
            Kind::MethodNotAllowed => 405,
            Kind::NotAcceptable => 406,
            Kind::Conflict => 409,
            Kind::Gone => 410,
            Kind::PreconditionFailed => 412,
            Kind::TooLarge => 413,
            Kind::UnsupportedMediaType => 415,
            Kind::Internal => 500,
            Kind::Unavailable => 503,
        }
    }

    /// The kind a neighbour's answer stands for.
    pub fn from_status(status: u16) -> Kind {
        match status {
            401 => Kind::Unauthenticated,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            405 => Kind::MethodNotAllowed,
            406 => Kind::NotAcceptable,
            409 => Kind::Conflict,
            410 => Kind::Gone,
            412 => Kind::PreconditionFailed,
            413 => Kind::TooLarge,
            415 => Kind::UnsupportedMediaType,
            400..=499 => Kind::Invalid,
            503 => Kind::Unavailable,
            _ => Kind::Internal,
        }
    }

    /// Whether the same call may succeed later without any change by the caller.
    pub fn retryable(self) -> bool {
        matches!(self, Kind::Internal | Kind::Unavailable)
    }
}

/// A failure with a public and a private half.
#[derive(Clone)]
pub struct Error {
    kind: Kind,
    code: Cow<'static, str>,
    message: String,
    extra: Option<Box<serde_json::Value>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `code` is upstream's name of the failure (`NetworkNotFound`, `container-not-found`, `StackValidationFailed`).
    pub fn new(kind: Kind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Error { kind, code: code.into(), message: message.into(), extra: None, source: None }
    }
    pub fn invalid(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, code, message)
    }
    pub fn not_found(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, code, message)
    }
    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, message)
    }
    pub fn forbidden(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, code, message)
    }
    pub fn unavailable(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, code, message)
    }
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, "", message)
    }
    /// A fault of ours: `message` goes to the log only.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::from(Private(message.into()))
    }

    /// Attaches the cause, for the log only.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
    /// Attaches members that the family's renderer merges into its error object (versions, links, methods).
    pub fn with_extra(mut self, extra: serde_json::Value) -> Self {
        self.extra = Some(Box::new(extra));
        self
    }
    /// Prefixes the public message, keeping kind and code.
    pub fn context(mut self, prefix: impl fmt::Display) -> Self {
        self.message = format!("{prefix}: {}", self.message);
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
    pub fn code(&self) -> &str {
        &self.code
    }
    /// Text for the caller. Never contains the source.
    pub fn message(&self) -> &str {
        &self.message
    }
    pub fn extra(&self) -> Option<&serde_json::Value> {
        self.extra.as_deref()
    }
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    /// The whole chain, for the log.
    pub fn report(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source.as_deref().map(|s| s as &dyn std::error::Error);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

#[derive(Debug)]
struct Private(String);
impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Private {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}): {}", self.kind, self.code, self.report())
    }
}

/// Infrastructure faults (database, socket, file) end here; deliberately not implemented for [`Error`] itself.
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        Error {
            kind: Kind::Internal,
            code: Cow::Borrowed("InternalError"),
            message: "an unexpected error prevented the server from fulfilling the request".into(),
            extra: None,
            source: Some(Arc::new(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_message_never_shows_the_cause() {
        let error = Error::from(std::io::Error::other("password=hunter2"));
        assert!(!error.to_string().contains("hunter2"));
        assert!(error.report().contains("hunter2"));
        assert_eq!(error.kind().status(), 500);
    }

    #[test]
    fn a_neighbours_status_keeps_its_meaning() {
        for kind in [Kind::Invalid, Kind::Forbidden, Kind::NotFound, Kind::Conflict, Kind::Unavailable] {
            assert_eq!(Kind::from_status(kind.status()), kind);
        }
    }
}
