//! What must exist before the first request: the administrator, roles, projects, catalogue, and files to log in with.
//!
//! Every part looks before it creates, so a start that was cut short is completed by the next one. Passwords are random
//! and live only in the files; a lost file is made again with a new password.

use sahab_contract::{RequestContext, identity::Identity};
use sahab_identity::{Bootstrap, ServiceEntry};

use crate::{
    cloud::{CATALOG, Cloud, fault},
    credentials::{Login, clouds_yaml, openrc, random_password, read_openrc},
    examples,
    settings::Settings,
    state::StateDir,
};

/// Written when the example networks are complete; whoever deletes those keeps them deleted.
const EXAMPLES_DONE: &str = "examples-done";

const ADMIN_FILE: &str = "openrc";
const DEMO_FILE: &str = "demo-openrc";

/// `public_url` without a trailing slash, as clients see it.
pub async fn identity(cloud: &Cloud, settings: &Settings, state: &StateDir, public_url: &str) -> anyhow::Result<()> {
    let configured = Some(settings.identity.admin_password.clone()).filter(|password| !password.is_empty());
    let known = stored_password(state, ADMIN_FILE);
    let admin_password = configured.or_else(|| known.clone()).unwrap_or_else(random_password);
    let known_demo = stored_password(state, DEMO_FILE);
    let demo_password = known_demo.clone().unwrap_or_else(random_password);
    let services = CATALOG
        .iter()
        .map(|(kind, name, service, path)| ServiceEntry {
            kind: (*kind).to_owned(),
            name: (*name).to_owned(),
            url: format!("{public_url}/{service}{path}"),
        })
        .collect();
    let wanted = Bootstrap {
        // An unchanged password is not hashed again.
        admin_password: (known.as_deref() != Some(&admin_password)).then(|| admin_password.clone()),
        region: settings.identity.region.clone(),
        services,
    };
    cloud.identity.bootstrap(&wanted).await.map_err(fault)?;
    let password = known_demo.is_none().then_some(demo_password.as_str());
    cloud.identity.ensure_project("demo", "A project to begin with").await.map_err(fault)?;
    cloud.identity.ensure_user("demo", password).await.map_err(fault)?;
    cloud.identity.ensure_grant("demo", "demo", "member").await.map_err(fault)?;

    let login = |user: &str, password: &str| Login {
        auth_url: format!("{public_url}/identity/v3"),
        region: settings.identity.region.clone(),
        user: user.to_owned(),
        password: password.to_owned(),
        project: user.to_owned(),
    };
    let (admin, demo) = (login("admin", &admin_password), login("demo", &demo_password));
    state.write_private(ADMIN_FILE, &openrc(&admin))?;
    state.write_private(DEMO_FILE, &openrc(&demo))?;
    state.write_private("clouds.yaml", &clouds_yaml(&[admin, demo]))
}

/// The example networks, once.
pub async fn networks(cloud: &Cloud, settings: &Settings, state: &StateDir) -> anyhow::Result<()> {
    if state.has(EXAMPLES_DONE) {
        return Ok(());
    }
    let user = cloud.identity.ensure_user("admin", None).await.map_err(fault)?;
    let project = cloud.identity.ensure_project("admin", "").await.map_err(fault)?;
    let admin = cloud.identity.delegate(&user, &project).await.map_err(fault)?;
    let context = RequestContext::new(Some(admin));
    examples::create(cloud.dispatcher.as_ref(), &context, &settings.network).await.map_err(fault)?;
    state.write_private(EXAMPLES_DONE, "")
}

fn stored_password(state: &StateDir, file: &str) -> Option<String> {
    read_openrc(&std::fs::read_to_string(state.file(file)).ok()?, "OS_PASSWORD")
}
