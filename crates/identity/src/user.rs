//! Users: names, passwords, options, and what goes when one goes.

use chrono::{TimeDelta, Utc};
use sahab_api::Query;
use sahab_contract::{Error, RequestContext, Result, context::now};
use sahab_db::is_unique_violation;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        access::{access_rule, application_credential, credential, trust},
        changes,
        grant::assignment::{self, Actor},
        principal::{former_password, membership, user},
    },
    input::{Input, not_of_type, wrong},
    listing::{self, Filter, Page},
    passwords::MAX_PASSWORD,
    revocation::Revoke,
    service::{IdentityService, conflict, not_found},
    view::merged,
};

/// Attributes of a create or an update, as far as they were sent.
#[derive(Default)]
pub(crate) struct UserInput {
    pub name: Option<String>,
    pub domain_id: Option<Option<String>>,
    pub enabled: Option<bool>,
    pub default_project_id: Option<Option<String>>,
    pub password: Option<Option<String>>,
    pub options: Option<Map<String, Value>>,
    pub extra: Map<String, Value>,
}

impl UserInput {
    pub fn parse(mut input: Input) -> Result<Self> {
        if let Some(federated) = input.take("federated") {
            return Err(wrong("federated", &federated, "this cloud has no federation"));
        }
        Ok(UserInput {
            name: input.name("name", 255)?,
            domain_id: input.id_or_null("domain_id")?,
            enabled: input.boolean("enabled")?,
            default_project_id: input.id_or_null("default_project_id")?,
            password: input.text_or_null("password", MAX_PASSWORD)?,
            options: input.map("options")?.map(options).transpose()?,
            extra: {
                input.take("password_expires_at");
                input.extras()?
            },
        })
    }
}

const FLAGS: [&str; 5] = [
    "ignore_change_password_upon_first_use",
    "ignore_password_expiry",
    "ignore_lockout_failure_attempts",
    "lock_password",
    "ignore_user_inactivity",
];

fn options(options: Map<String, Value>) -> Result<Map<String, Value>> {
    for (key, value) in &options {
        let good = match key.as_str() {
            known if FLAGS.contains(&known) => value.is_boolean() || value.is_null(),
            // Only one kind of proof can be given here, so a second one cannot be demanded; the empty demand is fine.
            "multi_factor_auth_enabled" => value.is_null() || value.is_boolean(),
            "multi_factor_auth_rules" => {
                if value.as_array().is_some_and(|rules| !rules.is_empty()) {
                    return Err(Error::invalid(
                        "ValidationError",
                        "multi_factor_auth_rules: this cloud has no second authentication method to demand.",
                    ));
                }
                value.is_null() || value.is_array()
            }
            _ => {
                let whole = Value::Object(options.clone());
                let reason = format!("Additional properties are not allowed ('{key}' was unexpected)");
                return Err(wrong("options", &whole, &reason));
            }
        };
        if !good {
            return Err(wrong(key, value, &not_of_type(value, "boolean")));
        }
    }
    Ok(options)
}

pub(crate) fn user_target(row: Option<&user::Model>) -> Value {
    row.map_or(Value::Null, |row| json!({"target": {"user": {"id": row.id, "domain_id": row.domain_id}}}))
}

impl IdentityService {
    pub(crate) async fn find_user(&self, id: &str) -> Result<Option<user::Model>> {
        Ok(user::Entity::find_by_id(id).one(self.read()).await?)
    }

    pub(crate) async fn require_user(&self, id: &str) -> Result<user::Model> {
        self.find_user(id).await?.ok_or_else(|| not_found("user", id))
    }

    /// The user, if the rule allows the caller to see or touch it.
    pub(crate) async fn user_for(&self, context: &RequestContext, rule: &str, id: &str) -> Result<user::Model> {
        let row = self.find_user(id).await?;
        self.enforce(context, rule, &user_target(row.as_ref()))?;
        row.ok_or_else(|| not_found("user", id))
    }

    pub(crate) async fn user_list(&self, context: &RequestContext, query: &Query) -> Result<Page<user::Model>> {
        let own = context.auth.as_ref().and_then(|auth| auth.domain_scope()).map(|domain| domain.id.clone());
        let domain = query.get("domain_id").map(str::to_owned).or(own.clone());
        self.enforce(context, "identity:list_users", &json!({"target": {"domain_id": domain}}))?;
        let mut select = user::Entity::find();
        if let (Some(own), false) = (own, context.is_admin()) {
            select = select.filter(user::Column::DomainId.eq(own));
        }
        // Nobody comes from elsewhere, so these find nobody.
        if ["idp_id", "protocol_id", "unique_id"].iter().any(|key| query.has(key)) {
            select = select.filter(user::Column::Id.is_null());
        }
        self.user_page(select, query).await
    }

    pub(crate) async fn user_page(
        &self,
        mut select: sea_orm::Select<user::Entity>,
        query: &Query,
    ) -> Result<Page<user::Model>> {
        use user::Column;
        if let Some(text) = query.get("password_expires_at") {
            let bad = || {
                Error::invalid(
                    "ValidationError",
                    format!(
                        "Invalid input for field/attribute password_expires_at. Value: {text}. it has to be operator:time, operators are lt, lte, gt, gte, eq, neq"
                    ),
                )
            };
            let (operator, time) = text.split_once(':').ok_or_else(bad)?;
            let time = crate::input::parse_time(time).ok_or_else(bad)?;
            let column = Column::PasswordExpiresAt;
            select = select.filter(match operator {
                "lt" => column.lt(time),
                "lte" => column.lte(time),
                "gt" => column.gt(time),
                "gte" => column.gte(time),
                "eq" => column.eq(time),
                "neq" => column.ne(time),
                _ => return Err(bad()),
            });
        }
        let filters = [
            Filter::Text("domain_id", Column::DomainId),
            Filter::Text("name", Column::Name),
            Filter::Text("default_project_id", Column::DefaultProjectId),
            Filter::Flag("enabled", Column::Enabled),
        ];
        let select = listing::filter(select, query, &filters);
        let sortable =
            [("id", Column::Id), ("name", Column::Name), ("domain_id", Column::DomainId), ("enabled", Column::Enabled)];
        listing::page(self.read(), select, query, Column::Id, &sortable).await
    }

    pub(crate) async fn user_create(&self, context: &RequestContext, input: UserInput) -> Result<user::Model> {
        let domain_id = match input.domain_id.flatten() {
            Some(id) => id,
            None => self.home_domain(context)?,
        };
        self.enforce(context, "identity:create_user", &json!({"target": {"user": {"domain_id": domain_id}}}))?;
        let name = input.name.ok_or_else(|| Error::invalid("ValidationError", "'name' is a required property"))?;
        self.require_domain_row(&domain_id).await?;
        let mut row = user::Model {
            id: context.new_hex_id(),
            name,
            domain_id,
            enabled: input.enabled.unwrap_or(true),
            default_project_id: input.default_project_id.flatten(),
            password_hash: None,
            password_changed_at: None,
            password_expires_at: None,
            failures: 0,
            failed_at: None,
            options: merged(&json!({}), input.options.unwrap_or_default()),
            extra: Value::Object(input.extra),
        };
        self.check_default_project(row.default_project_id.as_deref()).await?;
        if let Some(Some(password)) = input.password {
            self.set_password(&mut row, &password, By::Administrator).await?;
        }
        let txn = self.begin().await?;
        if let Err(error) = user::Entity::insert(user::ActiveModel::from(row.clone())).exec(&*txn).await {
            return Err(if is_unique_violation(&error) { user_conflict(&row) } else { error.into() });
        }
        self.remember_password(&*txn, &row).await?;
        txn.commit().await?;
        Ok(row)
    }

    /// Upstream logs and accepts a project that is no project; what cannot be is refused.
    async fn check_default_project(&self, id: Option<&str>) -> Result<()> {
        if let Some(id) = id
            && self.find_project(id).await?.is_some_and(|project| project.is_domain)
        {
            return Err(Error::invalid(
                "ValidationError",
                "User's default project ID cannot be a domain ID".to_owned(),
            ));
        }
        Ok(())
    }

    pub(crate) async fn user_update(
        &self,
        context: &RequestContext,
        id: &str,
        input: UserInput,
    ) -> Result<user::Model> {
        let row = self.user_for(context, "identity:update_user", id).await?;
        if input.domain_id.is_some_and(|domain| domain.as_deref() != Some(row.domain_id.as_str())) {
            return Err(Error::invalid("ValidationError", "Cannot change Domain ID"));
        }
        let mut changed = row.clone();
        if let Some(name) = input.name {
            changed.name = name;
        }
        if let Some(enabled) = input.enabled {
            changed.enabled = enabled;
            if enabled {
                // Enabling unlocks (upstream's reset of failed attempts).
                (changed.failures, changed.failed_at) = (0, None);
            }
        }
        if let Some(project) = input.default_project_id {
            self.check_default_project(project.as_deref()).await?;
            changed.default_project_id = project;
        }
        if let Some(options) = input.options {
            changed.options = merged(&row.options, options);
        }
        changed.extra = merged(&row.extra, input.extra);
        match &input.password {
            None => {}
            Some(Some(password)) => self.set_password(&mut changed, password, By::Administrator).await?,
            Some(None) => (changed.password_hash, changed.password_expires_at) = (None, None),
        }
        let txn = self.begin().await?;
        let active = changes::<user::Entity>(&row, &changed);
        if let Err(error) = user::Entity::update(active).exec(&*txn).await {
            return Err(if is_unique_violation(&error) { user_conflict(&changed) } else { gone(error, id) });
        }
        if input.password.is_some() {
            self.remember_password(&*txn, &changed).await?;
        }
        if input.password.is_some() || (row.enabled && !changed.enabled) {
            self.revoke(&*txn, Revoke::User(id)).await?;
        }
        txn.commit().await?;
        Ok(changed)
    }

    pub(crate) async fn user_delete(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.user_for(context, "identity:delete_user", id).await?;
        let txn = self.begin().await?;
        delete_users(&*txn, &[id.to_owned()]).await?;
        self.revoke(&*txn, Revoke::User(id)).await?;
        txn.commit().await
    }

    pub(crate) async fn user_revoke_tokens(&self, context: &RequestContext, id: &str) -> Result<()> {
        self.user_for(context, "identity:revoke_user_tokens", id).await?;
        let txn = self.begin().await?;
        self.revoke(&*txn, Revoke::User(id)).await?;
        txn.commit().await
    }

    /// The user changes its own password; needs no token, so that an expired password can be changed.
    pub(crate) async fn user_change_password(&self, id: &str, original: &str, password: &str) -> Result<()> {
        let user = self.find_user(id).await?;
        let before = self.check_password_only(user, original).await?;
        let mut user = before.clone();
        if user.options["lock_password"] == true {
            return Err(Error::invalid(
                "PasswordSelfServiceDisabled",
                "You cannot change your password at this time due to password policy disallowing password changes.",
            ));
        }
        self.set_password(&mut user, password, By::Owner).await?;
        let txn = self.begin().await?;
        user::Entity::update(changes::<user::Entity>(&before, &user))
            .exec(&*txn)
            .await
            .map_err(|error| gone(error, id))?;
        self.remember_password(&*txn, &user).await?;
        self.revoke(&*txn, Revoke::User(id)).await?;
        txn.commit().await
    }

    /// Checks the password against the rules and puts its hash into the row.
    async fn set_password(&self, user: &mut user::Model, password: &str, by: By) -> Result<()> {
        let compliance = &self.settings.compliance;
        if password.len() > MAX_PASSWORD {
            return Err(Error::invalid("PasswordValidationError", "Password validation error: it is too long."));
        }
        if self.password_regex.as_ref().is_some_and(|regex| !regex.is_match(password)) {
            let why = compliance.password_regex_description.as_deref().unwrap_or("the requirements");
            return Err(Error::invalid(
                "PasswordRequirementsValidationError",
                format!("The password does not match the requirements: {why}."),
            ));
        }
        if matches!(by, By::Owner) {
            let age = TimeDelta::days(compliance.minimum_password_age_days.into());
            if user.password_changed_at.is_some_and(|at| at + age > Utc::now()) {
                return Err(Error::invalid(
                    "PasswordAgeValidationError",
                    format!(
                        "You cannot change your password at this time due to the minimum password age. Once you change \
                         your password, it must be used for {} day(s) before it can be changed.",
                        compliance.minimum_password_age_days
                    ),
                ));
            }
            self.check_history(user, password).await?;
        }
        user.password_hash = Some(self.hasher.hash(password).await?);
        let moment = now();
        user.password_changed_at = Some(moment);
        let option = |name: &str| user.options[name] == true;
        let days = compliance.password_expires_days.filter(|_| !option("ignore_password_expiry"));
        let first_use = matches!(by, By::Administrator)
            && compliance.change_password_upon_first_use
            && !option("ignore_change_password_upon_first_use");
        user.password_expires_at =
            if first_use { Some(moment) } else { days.map(|days| moment + TimeDelta::days(days.into())) };
        (user.failures, user.failed_at) = (0, None);
        Ok(())
    }

    async fn check_history(&self, user: &user::Model, password: &str) -> Result<()> {
        let count = self.settings.compliance.unique_last_password_count;
        if count == 0 {
            return Ok(());
        }
        let former = former_password::Entity::find()
            .filter(former_password::Column::UserId.eq(&user.id))
            .order_by_desc(former_password::Column::Id)
            .limit(u64::from(count))
            .all(self.read())
            .await?;
        let mut hashes: Vec<String> = former.into_iter().map(|row| row.hash).collect();
        // A password from before history was kept.
        if let Some(current) = user.password_hash.as_ref().filter(|current| !hashes.contains(current)) {
            hashes.push(current.clone());
        }
        for hash in hashes {
            if self.hasher.verify(password, Some(&hash)).await? {
                return Err(Error::invalid(
                    "PasswordHistoryValidationError",
                    format!(
                        "The new password cannot be identical to a previous password. The total number which includes the new password must be unique is {count}."
                    ),
                ));
            }
        }
        Ok(())
    }

    async fn remember_password(&self, connection: &impl ConnectionTrait, user: &user::Model) -> Result<()> {
        if self.settings.compliance.unique_last_password_count == 0 {
            return Ok(());
        }
        if let Some(hash) = &user.password_hash {
            let row = former_password::ActiveModel {
                id: NotSet,
                user_id: Set(user.id.clone()),
                hash: Set(hash.clone()),
                created_at: Set(now()),
            };
            former_password::Entity::insert(row).exec(connection).await?;
            let outdated: Vec<i64> = former_password::Entity::find()
                .select_only()
                .column(former_password::Column::Id)
                .filter(former_password::Column::UserId.eq(&user.id))
                .order_by_desc(former_password::Column::Id)
                .offset(u64::from(self.settings.compliance.unique_last_password_count))
                .limit(1000)
                .into_tuple()
                .all(connection)
                .await?;
            former_password::Entity::delete_many()
                .filter(former_password::Column::Id.is_in(outdated))
                .exec(connection)
                .await?;
        }
        Ok(())
    }
}

enum By {
    Owner,
    Administrator,
}

/// Deleted between reading and writing.
fn gone(error: DbErr, id: &str) -> Error {
    if matches!(error, DbErr::RecordNotUpdated) { not_found("user", id) } else { error.into() }
}

fn user_conflict(row: &user::Model) -> Error {
    conflict("user", format!("Duplicate entry found with name {} at domain ID {}", row.name, row.domain_id))
}

/// Removes users with everything that is theirs.
pub(crate) async fn delete_users(connection: &impl ConnectionTrait, ids: &[String]) -> Result<()> {
    for part in ids.chunks(1000) {
        let part = || part.iter().cloned();
        user::Entity::delete_many().filter(user::Column::Id.is_in(part())).exec(connection).await?;
        membership::Entity::delete_many().filter(membership::Column::UserId.is_in(part())).exec(connection).await?;
        former_password::Entity::delete_many()
            .filter(former_password::Column::UserId.is_in(part()))
            .exec(connection)
            .await?;
        assignment::Entity::delete_many()
            .filter(assignment::Column::Actor.eq(Actor::User))
            .filter(assignment::Column::ActorId.is_in(part()))
            .exec(connection)
            .await?;
        credential::Entity::delete_many().filter(credential::Column::UserId.is_in(part())).exec(connection).await?;
        application_credential::Entity::delete_many()
            .filter(application_credential::Column::UserId.is_in(part()))
            .exec(connection)
            .await?;
        access_rule::Entity::delete_many().filter(access_rule::Column::UserId.is_in(part())).exec(connection).await?;
        trust::Entity::delete_many()
            .filter(
                sea_orm::Condition::any()
                    .add(trust::Column::TrustorUserId.is_in(part()))
                    .add(trust::Column::TrusteeUserId.is_in(part())),
            )
            .exec(connection)
            .await?;
    }
    Ok(())
}

/// A deleted project is nobody's default.
pub(crate) async fn forget_default_project(
    connection: &impl ConnectionTrait,
    projects: impl Iterator<Item = String>,
) -> Result<()> {
    user::Entity::update_many()
        .col_expr(user::Column::DefaultProjectId, Expr::value(None::<String>))
        .filter(user::Column::DefaultProjectId.is_in(projects))
        .exec(connection)
        .await?;
    Ok(())
}
