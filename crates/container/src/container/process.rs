//! Synchronous looks into a container: execute, logs, top, stats, archives, terminal size.

use sahab_contract::{
    Error, RequestContext, Result,
    container::{Archive, Exec, LogQuery, Stats, Top},
};

use super::sync_error;
use crate::{
    ContainerService,
    db::{action, container::Model},
    request::create::split,
    state::Action,
    texts,
};

/// Options of `logs`, parsed.
pub type Logs = LogQuery;

impl ContainerService {
    /// What changes a container leaves a trace, also when it is done while the caller waits.
    async fn begin_record(&self, context: &RequestContext, row: &Model, action: Action) -> Result<i64> {
        let txn = self.database.begin().await?;
        let id = action::begin(&txn, context, row, action).await?;
        txn.commit().await?;
        Ok(id)
    }

    async fn end_record(&self, id: i64, error: Option<&Error>) -> Result<()> {
        let txn = self.database.begin().await?;
        action::end(&txn, id, error.map_or(Ok(()), Err)).await?;
        txn.commit().await?;
        Ok(())
    }

    async fn look(&self, context: &RequestContext, ident: &str, action: Action) -> Result<Model> {
        let row = self.find_for(self.database.read(), context, ident, action).await?;
        action.check(&row.uuid, row.status)?;
        Ok(row)
    }

    pub async fn execute(&self, context: &RequestContext, ident: &str, command: &str) -> Result<Exec> {
        let row = self.look(context, ident, Action::Execute).await?;
        let words = split(command)?;
        if words.is_empty() {
            return Err(texts::invalid_value("The command is empty."));
        }
        let (limit, most) = (self.settings.execute_timeout, self.settings.max_output);
        let driver = self.driver_of(&row)?;
        let record = self.begin_record(context, &row, Action::Execute).await?;
        let outcome = driver.execute(&row.uuid, &words, limit, most).await;
        self.end_record(record, outcome.as_ref().err()).await?;
        outcome.map_err(|error| sync_error(&row, error))
    }

    pub async fn logs(&self, context: &RequestContext, ident: &str, query: &Logs) -> Result<Vec<u8>> {
        let row = self.look(context, ident, Action::Logs).await?;
        let driver = self.driver_of(&row)?;
        driver.logs(&row.uuid, query, self.settings.max_output).await.map_err(|error| sync_error(&row, error))
    }

    pub async fn top(&self, context: &RequestContext, ident: &str, ps_args: Option<&str>) -> Result<Top> {
        let row = self.look(context, ident, Action::Top).await?;
        self.driver_of(&row)?.top(&row.uuid, ps_args).await.map_err(|error| sync_error(&row, error))
    }

    pub async fn stats(&self, context: &RequestContext, ident: &str) -> Result<(String, Stats)> {
        let row = self.look(context, ident, Action::Stats).await?;
        let stats = self.driver_of(&row)?.stats(&row.uuid).await.map_err(|error| sync_error(&row, error))?;
        Ok((row.name, stats))
    }

    pub async fn get_archive(&self, context: &RequestContext, ident: &str, path: &str) -> Result<Archive> {
        let row = self.look(context, ident, Action::GetArchive).await?;
        let driver = self.driver_of(&row)?;
        driver.get_archive(&row.uuid, path, self.settings.max_archive).await.map_err(|error| archive_error(&row, error))
    }

    pub async fn put_archive(&self, context: &RequestContext, ident: &str, path: &str, tar: Vec<u8>) -> Result<()> {
        let row = self.look(context, ident, Action::PutArchive).await?;
        let driver = self.driver_of(&row)?;
        let record = self.begin_record(context, &row, Action::PutArchive).await?;
        let outcome = driver.put_archive(&row.uuid, path, tar).await;
        self.end_record(record, outcome.as_ref().err()).await?;
        outcome.map_err(|error| archive_error(&row, error))
    }

    pub async fn resize_terminal(&self, context: &RequestContext, ident: &str, width: u16, height: u16) -> Result<()> {
        let row = self.look(context, ident, Action::Resize).await?;
        let driver = self.driver_of(&row)?;
        driver.resize(&row.uuid, width, height).await.map_err(|error| sync_error(&row, error))
    }
}

/// A missing path is the caller's mistake (400), not a missing container.
fn archive_error(row: &Model, error: sahab_contract::Error) -> sahab_contract::Error {
    if error.is_not_found() {
        return texts::invalid_value(error.message().to_owned());
    }
    sync_error(row, error)
}
