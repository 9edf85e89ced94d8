//! Why a resource failed, with the way through nested stacks to it.

use sahab_contract::{Error, Kind};

/// `ValueError: resources.web.resources.db: message`
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    kind: String,
    /// Names from the outermost stack inwards.
    path: Vec<String>,
    message: String,
    /// The operation itself could not go on (database, lost identity): not the resource's fault.
    pub is_fault: bool,
}

impl Failure {
    /// Upstream shows the class of the exception.
    pub fn of(resource: &str, error: &Error) -> Failure {
        let kind = match error.code() {
            "" => match error.kind() {
                Kind::Invalid => "BadRequest",
                Kind::NotFound => "NotFound",
                Kind::Conflict => "Conflict",
                Kind::Forbidden => "Forbidden",
                Kind::OverQuota => "OverQuota",
                Kind::Unauthenticated => "Unauthorized",
                Kind::Unavailable => "ServiceUnavailable",
                _ => "InternalError",
            },
            code => code,
        };
        Failure {
            kind: kind.to_owned(),
            path: vec![resource.to_owned()],
            message: error.message().to_owned(),
            is_fault: false,
        }
    }

    /// A failure of ours, such as a database that does not answer: the operation is repeated, the resource is not blamed.
    pub fn fault(error: Error) -> Failure {
        tracing::error!(error = error.report(), "stack operation interrupted");
        Failure { kind: "InternalError".into(), path: Vec::new(), message: error.message().to_owned(), is_fault: true }
    }

    /// A text without any resource.
    pub fn plain(message: impl Into<String>) -> Failure {
        Failure { kind: String::new(), path: Vec::new(), message: message.into(), is_fault: false }
    }

    /// Seen from the stack that holds the nested one.
    pub fn within(mut self, resource: &str) -> Failure {
        self.path.insert(0, resource.to_owned());
        self
    }

    /// The path alone: members of groups look like indexes.
    pub fn place(&self) -> String {
        let mut out = String::new();
        for (position, name) in self.path.iter().enumerate() {
            if position > 0 {
                out.push('.');
            }
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
                out.push_str(&format!("resources[{name}]"));
            } else {
                out.push_str(&format!("resources.{name}"));
            }
        }
        out
    }

    pub fn text(&self) -> String {
        if self.path.is_empty() {
            return self.message.clone();
        }
        format!("{}: {}: {}", self.kind, self.place(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_reads_as_upstreams() {
        let failure = Failure::of("2", &Error::invalid("ValueError", "boom")).within("grp");
        assert_eq!(failure.text(), "ValueError: resources.grp.resources[2]: boom");
    }
}
