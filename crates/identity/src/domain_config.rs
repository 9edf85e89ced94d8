//! A domain's own settings (spec section 21): a store for identity drivers, and the password rules everybody may read.

use std::sync::LazyLock;

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use serde_json::{Map, Value, json};

use crate::{
    db::projects::domain_option,
    input::{not_of_type, wrong},
    service::IdentityService,
};

/// Never given out.
const WRITE_ONLY: (&str, &str) = ("ldap", "password");
const SECURITY: &str = "security_compliance";

/// What of a domain's settings a request is about.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub group: Option<&'a str>,
    pub option: Option<&'a str>,
}

/// Keystone's defaults of the groups a domain may set.
static DEFAULTS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(
        r#"{
    "identity": {"driver": "sql", "list_limit": null},
    "ldap": {
        "url": "ldap://localhost", "user": null, "suffix": "cn=example,cn=com", "query_scope": "one",
        "page_size": 0, "alias_dereferencing": "default", "chase_referrals": null, "user_tree_dn": null,
        "user_filter": null, "user_objectclass": "inetOrgPerson", "user_id_attribute": "cn",
        "user_name_attribute": "sn", "user_description_attribute": "description", "user_mail_attribute": "mail",
        "user_pass_attribute": "userPassword", "user_enabled_attribute": "enabled",
        "user_enabled_invert": false, "user_enabled_mask": 0, "user_enabled_default": "True",
        "user_attribute_ignore": ["default_project_id"], "user_default_project_id_attribute": null,
        "user_enabled_emulation": false, "user_enabled_emulation_dn": null, "group_tree_dn": null,
        "group_filter": null, "group_objectclass": "groupOfNames", "group_id_attribute": "cn",
        "group_name_attribute": "ou", "group_member_attribute": "member", "group_members_are_ids": false,
        "group_desc_attribute": "description", "group_attribute_ignore": [], "group_ad_nesting": false,
        "tls_cacertfile": null, "tls_cacertdir": null, "use_tls": false, "tls_req_cert": "demand",
        "use_pool": true, "pool_size": 10, "pool_retry_max": 3, "pool_retry_delay": 0.1,
        "pool_connection_timeout": -1, "pool_connection_lifetime": 600, "use_auth_pool": true,
        "auth_pool_size": 100, "auth_pool_connection_lifetime": 60
    }
}"#,
    )
    .unwrap_or_default()
});

fn forbidden(reason: impl std::fmt::Display) -> Error {
    Error::forbidden("InvalidDomainConfig", format!("Invalid domain specific configuration: {reason}."))
}

fn check_known(group: &str, option: Option<&str>) -> Result<()> {
    let Some(known) = DEFAULTS.get(group) else {
        return Err(forbidden(format!("Group {group} is not supported for domain specific configurations")));
    };
    match option {
        Some(option) if known.get(option).is_none() && (group, option) != WRITE_ONLY => Err(forbidden(format!(
            "Option {option} in group {group} is not supported for domain specific configurations"
        ))),
        _ => Ok(()),
    }
}

/// (group, option, value) of a `config` object, in the shape that the part of the path demands.
fn settings(config: &Value, part: Part<'_>) -> Result<Vec<(String, String, Value)>> {
    let object = |value: &Value| -> Result<Map<String, Value>> {
        value.as_object().cloned().ok_or_else(|| wrong("config", value, &not_of_type(value, "object")))
    };
    let config = object(config)?;
    let mut found = Vec::new();
    match part {
        Part { group: Some(group), option: Some(option) } => {
            check_known(group, Some(option))?;
            let Some(value) = config.get(option).filter(|_| config.len() == 1) else {
                return Err(forbidden(format!(
                    "Trying to update option {option} in group {group}, so that, and only that, option must be specified in the config"
                )));
            };
            found.push((group.to_owned(), option.to_owned(), value.clone()));
        }
        Part { group, .. } => {
            if let Some(group) = group
                && (config.len() != 1 || !config.contains_key(group))
            {
                return Err(forbidden(format!(
                    "Trying to update group {group}, so that, and only that, group must be specified in the config"
                )));
            }
            for (group, options) in &config {
                check_known(group, None)?;
                for (option, value) in object(options)? {
                    check_known(group, Some(&option))?;
                    found.push((group.clone(), option, value));
                }
            }
            if found.is_empty() {
                return Err(forbidden("No options specified"));
            }
        }
    }
    Ok(found)
}

/// The part of all settings that was asked for, as `config` shows it.
fn shown(all: &Value, part: Part<'_>) -> Option<Value> {
    match part {
        Part { group: None, .. } => Some(all.clone()),
        Part { group: Some(group), option: None } => Some(json!({group: all.get(group)?})),
        Part { group: Some(group), option: Some(option) } => Some(json!({option: all.get(group)?.get(option)?})),
    }
}

fn missing(domain: &str, part: Part<'_>) -> Error {
    let what = match part {
        Part { group: None, .. } => "any options".to_owned(),
        Part { group: Some(group), option: None } => format!("group {group}"),
        Part { group: Some(group), option: Some(option) } => format!("option {option} in group {group}"),
    };
    Error::not_found("NotFound", format!("Could not find {what} in domain configuration for domain {domain}."))
}

impl IdentityService {
    async fn stored_config(&self, connection: &impl ConnectionTrait, domain: &str) -> Result<Value> {
        let rows =
            domain_option::Entity::find().filter(domain_option::Column::DomainId.eq(domain)).all(connection).await?;
        let mut all = json!({});
        for row in rows {
            if (row.section.as_str(), row.name.as_str()) != WRITE_ONLY {
                all[row.section][row.name] = row.value;
            }
        }
        Ok(all)
    }

    pub(crate) async fn config_get(&self, context: &RequestContext, domain: &str, part: Part<'_>) -> Result<Value> {
        if part.group == Some(SECURITY) {
            self.enforce(context, "identity:get_security_compliance_domain_config", &Value::Null)?;
            self.require_domain_row(domain).await?;
            let compliance = &self.settings.compliance;
            let all = json!({SECURITY: {
                "password_regex": compliance.password_regex,
                "password_regex_description": compliance.password_regex_description,
            }});
            return shown(&all, part).ok_or_else(|| missing(domain, part));
        }
        self.enforce(context, "identity:get_domain_config", &Value::Null)?;
        self.require_domain_row(domain).await?;
        if let Some(group) = part.group {
            check_known(group, part.option)?;
        }
        let all = self.stored_config(self.read(), domain).await?;
        let empty = all.as_object().is_none_or(Map::is_empty);
        shown(&all, part).filter(|_| !empty).ok_or_else(|| missing(domain, part))
    }

    /// Replaces all settings; whether there were any before.
    pub(crate) async fn config_put(&self, context: &RequestContext, domain: &str, config: &Value) -> Result<Value> {
        self.enforce(context, "identity:create_domain_config", &Value::Null)?;
        self.require_domain_row(domain).await?;
        let settings = settings(config, Part { group: None, option: None })?;
        let txn = self.begin().await?;
        domain_option::Entity::delete_many().filter(domain_option::Column::DomainId.eq(domain)).exec(&*txn).await?;
        store(&*txn, domain, settings).await?;
        let all = self.stored_config(&*txn, domain).await?;
        txn.commit().await?;
        Ok(all)
    }

    /// Changes what exists already; a part that does not is 404.
    pub(crate) async fn config_patch(
        &self,
        context: &RequestContext,
        domain: &str,
        part: Part<'_>,
        config: &Value,
    ) -> Result<Value> {
        self.enforce(context, "identity:update_domain_config", &Value::Null)?;
        self.require_domain_row(domain).await?;
        let settings = settings(config, part)?;
        let txn = self.begin().await?;
        let before = self.stored_config(&*txn, domain).await?;
        if part.group.is_some() && shown(&before, part).is_none() {
            return Err(missing(domain, part));
        }
        store(&*txn, domain, settings).await?;
        let all = self.stored_config(&*txn, domain).await?;
        txn.commit().await?;
        Ok(all)
    }

    pub(crate) async fn config_delete(&self, context: &RequestContext, domain: &str, part: Part<'_>) -> Result<()> {
        use domain_option::Column;
        self.enforce(context, "identity:delete_domain_config", &Value::Null)?;
        self.require_domain_row(domain).await?;
        if let Some(group) = part.group {
            check_known(group, part.option)?;
        }
        let txn = self.begin().await?;
        let mut gone = domain_option::Entity::delete_many().filter(Column::DomainId.eq(domain));
        if let Some(group) = part.group {
            gone = gone.filter(Column::Section.eq(group));
        }
        if let Some(option) = part.option {
            gone = gone.filter(Column::Name.eq(option));
        }
        if gone.exec(&*txn).await?.rows_affected == 0 {
            return Err(missing(domain, part));
        }
        txn.commit().await
    }

    pub(crate) fn config_default(&self, context: &RequestContext, part: Part<'_>) -> Result<Value> {
        self.enforce(context, "identity:get_domain_config_default", &Value::Null)?;
        if let Some(group) = part.group {
            check_known(group, part.option)?;
        }
        shown(&DEFAULTS, part).ok_or_else(|| missing("default", part))
    }
}

async fn store(connection: &impl ConnectionTrait, domain: &str, settings: Vec<(String, String, Value)>) -> Result<()> {
    use domain_option::Column;
    let rows = settings.into_iter().map(|(group, option, value)| domain_option::ActiveModel {
        domain_id: Set(domain.to_owned()),
        section: Set(group),
        name: Set(option),
        value: Set(value),
    });
    domain_option::Entity::insert_many(rows)
        .on_conflict(
            OnConflict::columns([Column::DomainId, Column::Section, Column::Name])
                .update_column(Column::Value)
                .to_owned(),
        )
        .exec_without_returning(connection)
        .await?;
    Ok(())
}
