//! Hosts as administrators see them.

use sahab_contract::{RequestContext, Result};
use sea_orm::EntityTrait;
use serde_json::Value;

use crate::{
    ContainerService,
    db::{
        container::usage_by_host,
        host::{self, Column, Entity, Model},
        page::{self, Page},
    },
    texts, view,
};

impl ContainerService {
    pub async fn host_page(
        &self,
        context: &RequestContext,
        page: &Page<Column>,
        marker: Option<&str>,
        version: (u16, u16),
    ) -> Result<Vec<Value>> {
        self.enforce_own(context, "host:get_all")?;
        let connection = self.database.read();
        let marker = match marker {
            Some(ident) => Some(self.host_row(ident).await?),
            None => None,
        };
        let rows = page::fetch(connection, Entity::find(), page, Column::Id, marker.as_ref()).await?;
        let used = usage_by_host(connection).await?;
        Ok(rows
            .iter()
            .map(|row| {
                view::host(row, used.get(&row.hostname).copied().unwrap_or_default(), &context.base_url, version)
            })
            .collect())
    }

    /// By uuid or host name.
    pub async fn host_show(&self, context: &RequestContext, ident: &str, version: (u16, u16)) -> Result<Value> {
        self.enforce_own(context, "host:get")?;
        let row = self.host_row(ident).await?;
        let used = usage_by_host(self.database.read()).await?;
        Ok(view::host(&row, used.get(&row.hostname).copied().unwrap_or_default(), &context.base_url, version))
    }

    async fn host_row(&self, ident: &str) -> Result<Model> {
        let row = host::find(self.database.read(), ident).await?;
        row.ok_or_else(|| texts::not_found("compute-node-not-found", "Compute node", ident))
    }
}
