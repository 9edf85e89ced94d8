use std::{collections::BTreeMap, sync::Arc};

use sahab_contract::{Auth, Named, RequestContext, Scope, Scoped, context::now};
use serde_json::{Value, json};

use crate::Enforcer;

fn named(id: &str) -> Named {
    Named { id: id.into(), name: id.into() }
}

fn caller(scope: Scope, roles: &[&str]) -> RequestContext {
    RequestContext::new(Some(Arc::new(Auth {
        user: Scoped { id: "u1".into(), name: "u".into(), domain: named("default") },
        scope,
        roles: roles.iter().map(|role| named(role)).collect(),
        methods: vec![],
        audit_ids: vec![],
        issued_at: now(),
        expires_at: now(),
        app_credential: None,
        password_expires_at: None,
    })))
}

fn member() -> RequestContext {
    caller(Scope::Project(Scoped { id: "p1".into(), name: "p".into(), domain: named("default") }), &["Member"])
}

fn holds(check: &str, context: &RequestContext, target: &Value) -> bool {
    let rules = [("admin_required", "role:admin"), ("owner", "user_id:%(user_id)s"), ("it", check)];
    Enforcer::new(&rules).unwrap().allows(context, "it", target)
}

#[test]
fn truth_and_precedence() {
    for (check, expected) in [
        ("", true),
        ("@", true),
        ("!", false),
        ("not !", true),
        ("not not @", true),
        ("@ or ! and !", true),
        ("(@ or !) and !", false),
        ("! and ! or @", true),
        ("not ! and @", true),
        ("NOT ! AND ( @ OR ! )", true),
        ("not (@ and (! or @))", false),
        ("role:member", true),
        ("role:MEMBER and not role:admin", true),
        ("rule:admin_required", false),
        ("rule:admin_required or (project_id:p1 and user_id:u1)", true),
        ("system_scope:all", false),
        ("domain_id:default", false),
        ("user_domain_id:default and project_domain_id:default", true),
        ("tenant_id:p1", true),
        ("is_admin:True", false),
        ("order:x", false),
        ("'a b':'a b'", true),
        ("None:None", true),
        ("domain_id:None", true),
        ("not project_id:None", true),
        ("7:7", true),
    ] {
        assert_eq!(holds(check, &member(), &Value::Null), expected, "{check}");
    }
}

#[test]
fn targets() {
    let target = json!({
        "project_id": "p1", "user_id": "other", "shared": true, "none": null, "name": "n",
        "target": {"user": {"id": "u1"}}, "network:tenant_id": "p1", "role": "member",
    });
    for (check, expected) in [
        ("project_id:%(project_id)s", true),
        ("rule:owner", false),
        ("user_id:%(target.user.id)s", true),
        ("user_id:%(target.user.missing)s", false),
        ("tenant_id:%(network:tenant_id)s", true),
        ("True:%(shared)s", true),
        ("None:%(none)s", true),
        ("domain_id:%(none)s", false),
        ("'n':%(name)s", true),
        ("'x-n':x-%(name)s", true),
        ("role:%(role)s", true),
        ("(project_id:%(project_id)s and role:member)", true),
    ] {
        assert_eq!(holds(check, &member(), &target), expected, "{check}");
    }
}

#[test]
fn scopes() {
    let system = caller(Scope::System, &["reader"]);
    assert!(holds("role:reader and system_scope:all", &system, &Value::Null));
    assert!(!holds("project_id:%(project_id)s", &system, &json!({"project_id": null})));
    let domain = caller(Scope::Domain(named("d1")), &["manager"]);
    assert!(holds("domain_id:%(target.domain_id)s", &domain, &json!({"target": {"domain_id": "d1"}})));
    let nobody = RequestContext::new(None);
    assert!(!holds("role:member or user_id:%(user_id)s", &nobody, &json!({"user_id": ""})));
}

#[test]
fn the_program_may_and_unknown_rules_deny() {
    let enforcer = Enforcer::new(&[("a", "!")]).unwrap();
    assert!(enforcer.allows(&member().elevated(), "a", &Value::Null));
    assert!(!enforcer.allows(&caller(Scope::System, &["admin"]), "b", &Value::Null));
    assert!(enforcer.known("a") && !enforcer.known("b"));
}

#[test]
fn faults_are_found_when_the_rules_are_read() {
    for check in
        ["(", "@ )", "role:", "role", "@ or", "and @", "@ @", "http://x/y", "rule:nowhere", "rule:it", "a:%(b", "not"]
    {
        assert!(Enforcer::new(&[("it", check)]).is_err(), "{check}");
    }
    assert!(Enforcer::new(&[("a", "rule:b"), ("b", "not rule:a")]).is_err());
    assert!(Enforcer::new(&[("a", "@"), ("a", "!")]).is_err());
    assert!(Enforcer::new(&[("a", &format!("{}@{}", "(".repeat(1000), ")".repeat(1000)))]).is_err());
    let chain: Vec<_> = (0..100).map(|n| (format!("r{n}"), format!("rule:r{}", n + 1))).collect();
    let mut chain: Vec<_> = chain.iter().map(|(name, check)| (name.as_str(), check.as_str())).collect();
    chain.push(("r100", "@"));
    assert!(Enforcer::new(&chain).is_err());
    assert!(Enforcer::new(&[("it", &format!("{}@", "not ".repeat(2000)))]).is_ok());
}

#[test]
fn operators_override() {
    let enforcer = Enforcer::new(&[("a", "!"), ("b", "rule:a")]).unwrap();
    let open = enforcer.clone().overridden(&BTreeMap::from([("a".to_owned(), "role:member".to_owned())])).unwrap();
    assert!(open.allows(&member(), "b", &Value::Null));
    assert!(enforcer.overridden(&BTreeMap::from([("a".to_owned(), "rule:b".to_owned())])).is_err());
}
