//! Application credentials' access rules: which requests a token made from one may do.

use http::Method;
use serde_json::Value;

/// Whether one of the rules (`[{"path", "method", "service"}]`) allows the request. In a path pattern `*` and `{name}`
/// stand for one segment, `**` for any rest (keystonemiddleware).
pub fn allow(rules: &Value, service_type: &str, method: &Method, path: &str) -> bool {
    rules.as_array().is_some_and(|rules| {
        rules.iter().any(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap_or_default();
            text("service") == service_type
                && text("method").eq_ignore_ascii_case(method.as_str())
                && matches(text("path"), path)
        })
    })
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut path = path.trim_end_matches('/').split('/');
    for part in pattern.trim_end_matches('/').split('/') {
        if part == "**" {
            return true;
        }
        match path.next() {
            Some(segment) if part == "*" || (part.starts_with('{') && part.ends_with('}')) || part == segment => {}
            _ => return false,
        }
    }
    path.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("/v2.0/networks", "/v2.0/networks"));
        assert!(matches("/v2.0/networks/*", "/v2.0/networks/7"));
        assert!(matches("/v2.0/networks/{id}", "/v2.0/networks/7"));
        assert!(!matches("/v2.0/networks/*", "/v2.0/networks/7/tags"));
        assert!(matches("/v2.0/**", "/v2.0/networks/7/tags"));
        assert!(!matches("/v2.0/networks", "/v2.0/ports"));
    }
}
