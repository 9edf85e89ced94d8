//! Limits per project: reading, changing, and the check inside the transaction that uses them up.

use std::collections::BTreeMap;

use sahab_contract::{RequestContext, Result};
use sea_orm::ConnectionTrait;
use serde_json::{Map, Value, json};

use crate::{
    ContainerService,
    db::{
        container::{Usage, usage_of_project},
        quota,
    },
    request::Arguments,
    texts,
};

pub const RESOURCES: [&str; 4] = ["containers", "memory", "cpu", "disk"];
const DEFAULT_CLASS: &str = "class:default";

fn project_key(project: &str) -> String {
    format!("project:{project}")
}

impl ContainerService {
    fn configured(&self) -> BTreeMap<String, i64> {
        let quotas = &self.settings.quotas;
        let values = [quotas.containers, quotas.memory, quotas.cpu, quotas.disk];
        RESOURCES.into_iter().map(str::to_owned).zip(values).collect()
    }

    async fn limits(&self, connection: &impl ConnectionTrait, project: Option<&str>) -> Result<BTreeMap<String, i64>> {
        let mut limits = self.configured();
        limits.extend(quota::of(connection, DEFAULT_CLASS).await?);
        if let Some(project) = project {
            limits.extend(quota::of(connection, &project_key(project)).await?);
        }
        Ok(limits)
    }

    /// Fails when the project would hold more than it may with `more` on top. Called in the transaction that adds it.
    pub(crate) async fn check_quota(
        &self,
        connection: &impl ConnectionTrait,
        project: &str,
        more: Usage,
    ) -> Result<()> {
        let limits = self.limits(connection, Some(project)).await?;
        let used = usage_of_project(connection, project).await?;
        let over = |resource: &str, used: f64, more: f64| {
            let limit = limits.get(resource).copied().unwrap_or(-1);
            limit >= 0 && more > 0.0 && used + more > limit as f64 + 1e-6
        };
        let pairs = [
            ("containers", used.containers as f64, more.containers as f64),
            ("memory", used.memory as f64, more.memory as f64),
            ("cpu", used.cpu, more.cpu),
            ("disk", used.disk as f64, more.disk as f64),
        ];
        let exceeded: Vec<_> = pairs
            .into_iter()
            .filter(|(resource, used, more)| over(resource, *used, *more))
            .map(|(resource, _, _)| resource)
            .collect();
        if exceeded.is_empty() { Ok(()) } else { Err(texts::over_quota(&exceeded)) }
    }

    pub async fn quota_show(&self, context: &RequestContext, project: &str, usages: bool) -> Result<Value> {
        self.enforce(context, "quota:get", project)?;
        let limits = self.limits(self.database.read(), Some(project)).await?;
        if !usages {
            return Ok(json!(limits));
        }
        let used = usage_of_project(self.database.read(), project).await?;
        let in_use = |resource: &str| match resource {
            "containers" => json!(used.containers),
            "memory" => json!(used.memory),
            "disk" => json!(used.disk),
            _ => json!(used.cpu),
        };
        Ok(Value::Object(
            limits
                .iter()
                .map(|(name, limit)| (name.clone(), json!({"limit": limit, "in_use": in_use(name)})))
                .collect::<Map<_, _>>(),
        ))
    }

    pub async fn quota_defaults(&self, context: &RequestContext, project: &str) -> Result<Value> {
        self.enforce(context, "quota:get_default", project)?;
        Ok(json!(self.limits(self.database.read(), None).await?))
    }

    pub async fn quota_update(&self, context: &RequestContext, project: &str, arguments: &Arguments) -> Result<Value> {
        self.enforce(context, "quota:update", project)?;
        self.set_limits(&project_key(project), arguments).await?;
        Ok(json!(self.limits(self.database.read(), Some(project)).await?))
    }

    pub async fn quota_delete(&self, context: &RequestContext, project: &str) -> Result<()> {
        self.enforce(context, "quota:delete", project)?;
        let txn = self.database.begin().await?;
        quota::reset(&txn, &project_key(project)).await?;
        txn.commit().await?;
        Ok(())
    }

    /// Any class but `default` is only a name for the defaults, as upstream.
    pub async fn quota_class_show(&self, context: &RequestContext, class: &str) -> Result<Value> {
        self.enforce_own(context, "quota_class:get")?;
        let mut limits = self.configured();
        limits.extend(quota::of(self.database.read(), &format!("class:{class}")).await?);
        Ok(json!(limits))
    }

    pub async fn quota_class_update(
        &self,
        context: &RequestContext,
        class: &str,
        arguments: &Arguments,
    ) -> Result<Value> {
        self.enforce_own(context, "quota_class:update")?;
        if class.len() > 255 {
            return Err(texts::invalid_value("The name of a quota class has at most 255 characters."));
        }
        self.set_limits(&format!("class:{class}"), arguments).await?;
        self.quota_class_show(context, class).await
    }

    async fn set_limits(&self, owner: &str, arguments: &Arguments) -> Result<()> {
        arguments.only(&RESOURCES)?;
        let mut changes = Vec::new();
        for resource in RESOURCES {
            if let Some(limit) = arguments.integer(resource, -1, i64::from(i32::MAX))? {
                changes.push((resource, limit));
            }
        }
        let txn = self.database.begin().await?;
        for (resource, limit) in changes {
            quota::set(&txn, owner, resource, limit).await?;
        }
        txn.commit().await?;
        Ok(())
    }
}
