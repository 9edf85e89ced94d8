//! The engine's failures in the words of the contract, by HTTP status alone.

use bollard::errors::Error as Engine;
use sahab_contract::{Error, Kind, Result};

pub(crate) const CODE: &str = "DockerError";
const NO_ANSWER: &str = "the container engine does not answer";

/// What a status of the engine means. 403 is the engine's "in use" and "connected twice", so a conflict; 401 is a
/// refused registry login, which is the caller's argument and not our caller's authentication.
pub(crate) fn from_status(status: u16, message: impl Into<String>) -> Error {
    let kind = match status {
        401 => Kind::Invalid,
        403 => Kind::Conflict,
        other => Kind::from_status(other),
    };
    Error::new(kind, CODE, message)
}

pub(crate) fn from_engine(error: Engine) -> Error {
    match error {
        Engine::DockerResponseServerError { status_code, message } => from_status(status_code, message),
        Engine::DockerStreamError { error } => Error::new(Kind::Internal, CODE, error),
        Engine::RequestTimeoutError => Error::unavailable(CODE, "the container engine did not answer in time"),
        error @ (Engine::SocketNotFoundError(_)
        | Engine::IOError { .. }
        | Engine::HyperResponseError { .. }
        | Engine::HyperLegacyError { .. }) => unanswered(error),
        other => Error::from(other),
    }
}

pub(crate) fn unanswered(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable(CODE, NO_ANSWER).with_source(source)
}

/// HTTP status that the engine gave, when it gave one.
pub(crate) fn status_of(error: &Engine) -> Option<u16> {
    match error {
        Engine::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// `Result` with the engine's error mapped.
pub(crate) trait Mapped<T> {
    fn mapped(self) -> Result<T>;
    /// Like [`Mapped::mapped`], and a failure with this status is success without a value.
    fn unless(self, status: u16) -> Result<Option<T>>;
}

impl<T> Mapped<T> for Result<T, Engine> {
    fn mapped(self) -> Result<T> {
        self.map_err(from_engine)
    }
    fn unless(self, status: u16) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if status_of(&error) == Some(status) => Ok(None),
            Err(error) => Err(from_engine(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_decide_and_texts_do_not() {
        let answer = |status_code| {
            from_engine(Engine::DockerResponseServerError { status_code, message: "error 404: is not running".into() })
        };
        assert_eq!(answer(400).kind(), Kind::Invalid);
        assert_eq!(answer(403).kind(), Kind::Conflict);
        assert_eq!(answer(404).kind(), Kind::NotFound);
        assert_eq!(answer(409).kind(), Kind::Conflict);
        assert_eq!(answer(500).kind(), Kind::Internal);
        assert_eq!(answer(503).kind(), Kind::Unavailable);
        assert_eq!(answer(500).message(), "error 404: is not running");
    }

    #[test]
    fn a_silent_engine_is_unavailable() {
        assert_eq!(from_engine(Engine::SocketNotFoundError("/x".into())).kind(), Kind::Unavailable);
        assert_eq!(from_engine(Engine::RequestTimeoutError).kind(), Kind::Unavailable);
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(from_engine(Engine::IOError { err: refused }).kind(), Kind::Unavailable);
    }
}
