//! The files with which clients log in: `openrc` for shells, `clouds.yaml` for the SDK.
//!
//! Every value is quoted so that no name or password can run a command or break the document.

/// One login.
#[derive(Clone, Debug)]
pub struct Login {
    pub auth_url: String,
    pub region: String,
    pub user: String,
    pub password: String,
    pub project: String,
}

/// For `. openrc`.
pub fn openrc(login: &Login) -> String {
    let mut text = String::from("# Source this file, then use the openstack command.\n");
    // A variable of an earlier login must not mix with this one.
    text.push_str("unset OS_TOKEN OS_CLOUD OS_PROJECT_ID OS_USER_ID OS_DOMAIN_NAME OS_SYSTEM_SCOPE\n");
    for (name, value) in [
        ("OS_AUTH_URL", login.auth_url.as_str()),
        ("OS_IDENTITY_API_VERSION", "3"),
        ("OS_USERNAME", &login.user),
        ("OS_PASSWORD", &login.password),
        ("OS_PROJECT_NAME", &login.project),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
        ("OS_REGION_NAME", &login.region),
    ] {
        text.push_str(&format!("export {name}={}\n", shell_quote(value)));
    }
    text
}

/// For `~/.config/openstack/clouds.yaml`; each login under its user's name.
pub fn clouds_yaml(logins: &[Login]) -> String {
    let mut text = String::from("clouds:\n");
    for login in logins {
        // A JSON string is a YAML string, whatever it contains.
        let quote = |value: &str| serde_json::Value::from(value).to_string();
        text.push_str(&format!(
            "  {}:\n    auth:\n      auth_url: {}\n      username: {}\n      password: {}\n      project_name: {}\n      \
             user_domain_name: Default\n      project_domain_name: Default\n    region_name: {}\n    \
             identity_api_version: 3\n",
            quote(&login.user),
            quote(&login.auth_url),
            quote(&login.user),
            quote(&login.password),
            quote(&login.project),
            quote(&login.region),
        ));
    }
    text
}

fn shell_quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// The value that `openrc` gave a variable, if the file is one of ours.
pub fn read_openrc(text: &str, variable: &str) -> Option<String> {
    let start = format!("export {variable}='");
    let line = text.lines().find_map(|line| line.strip_prefix(&start))?;
    Some(line.strip_suffix('\'')?.replace(r"'\''", "'"))
}

/// Letters and digits only, about 143 bits.
pub fn random_password() -> String {
    use rand::Rng;
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(24).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(password: &str) -> Login {
        Login {
            auth_url: "http://127.0.0.1:5000/identity/v3".into(),
            region: "RegionOne".into(),
            user: "admin".into(),
            password: password.into(),
            project: "admin".into(),
        }
    }

    #[test]
    fn no_value_can_run_a_command() {
        let nasty = "a'; touch /tmp/pwned; echo $(id) `id` \"\n'b";
        let file = openrc(&login(nasty));
        let script = format!("{file}\nprintf %s \"$OS_PASSWORD\"");
        let out = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), nasty);
        assert!(clouds_yaml(&[login(nasty)]).contains(&serde_json::Value::from(nasty).to_string()));
    }

    #[test]
    fn what_was_written_can_be_read_back() {
        assert_eq!(read_openrc(&openrc(&login("it's")), "OS_PASSWORD").as_deref(), Some("it's"));
        assert_eq!(read_openrc("export OS_PASSWORD=plain", "OS_PASSWORD"), None);
    }
}
