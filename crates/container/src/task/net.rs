//! Joining and leaving a network while the container exists.

use async_trait::async_trait;
use sahab_contract::{Error, Result};
use sahab_task::{Handler, Step, Task};
use serde_json::json;

use super::{ATTACH, DETACH, verdict};
use crate::{
    ContainerService,
    db::container::{self, Model, Net},
};

pub struct Attach(pub ContainerService);
pub struct Detach(pub ContainerService);

fn net_of(row: &Model, task: &Task) -> Option<Net> {
    row.nets.0.iter().find(|net| task.input["port"] == net.port_id.as_str()).cloned()
}

async fn disconnect(service: &ContainerService, row: &Model, net: &Net) -> Result<()> {
    let driver = service.driver_for(row.host.as_deref()).await?;
    match driver.network_detach(&row.uuid, &net.network_id).await {
        Err(error) if !error.is_not_found() => Err(verdict(error)),
        _ => Ok(()),
    }
}

#[async_trait]
impl Handler for Attach {
    fn kind(&self) -> &'static str {
        ATTACH
    }
    fn steps(&self) -> &'static [&'static str] {
        &["port", "connect"]
    }

    async fn run(&self, step: &str, task: &mut Task) -> Result<Step> {
        let Some(mut row) = self.0.row_of(task).await? else { return Ok(Step::Finish) };
        let program = self.0.program_for(task).await?;
        if step == "port" {
            let Some(net) = net_of(&row, task) else { return Ok(Step::Finish) };
            let host = row.host.clone().unwrap_or_default();
            let bound = self.0.bind_port(&program, &row, &net, &host).await?;
            task.state = json!({ "net": bound });
            return Ok(Step::Next);
        }
        let bound: Net = serde_json::from_value(task.state["net"].clone())?;
        let port = bound.port_id.clone();
        row.nets.0.iter_mut().filter(|net| net.port_id == port).for_each(|net| *net = bound.clone());
        let attachments = self.0.attachments(&program, &row).await?;
        let driver = self.0.driver_for(row.host.as_deref()).await?;
        for attachment in attachments.iter().filter(|attachment| attachment.port_id == port) {
            driver.network_attach(&row.uuid, attachment).await.map_err(verdict)?;
        }
        Ok(Step::Next)
    }

    async fn undo(&self, step: &str, task: &mut Task) -> Result<()> {
        let Some(row) = container::by_uuid(self.0.database.read(), &task.key).await? else { return Ok(()) };
        let Some(net) = net_of(&row, task) else { return Ok(()) };
        if step == "connect" {
            return disconnect(&self.0, &row, &net).await;
        }
        let program = self.0.program_for(task).await?;
        self.0.release_port(&program, &row.uuid, &net).await
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        let bound: Option<Net> = serde_json::from_value(task.state["net"].clone()).ok();
        let port = task.input["port"].as_str().unwrap_or_default();
        self.0
            .settle(task, outcome, |row| match (outcome, bound) {
                (Ok(()), Some(bound)) => {
                    row.nets.0.iter_mut().filter(|net| net.port_id == port).for_each(|net| *net = bound.clone());
                }
                (Ok(()), None) => {}
                (Err(error), _) => {
                    row.nets.0.retain(|net| net.port_id != port);
                    row.status_reason = Some(error.message().to_owned());
                }
            })
            .await
    }
}

#[async_trait]
impl Handler for Detach {
    fn kind(&self) -> &'static str {
        DETACH
    }
    fn steps(&self) -> &'static [&'static str] {
        &["disconnect", "port"]
    }

    async fn run(&self, step: &str, task: &mut Task) -> Result<Step> {
        let Some(row) = self.0.row_of(task).await? else { return Ok(Step::Finish) };
        let Some(net) = net_of(&row, task) else { return Ok(Step::Finish) };
        if step == "disconnect" {
            disconnect(&self.0, &row, &net).await?;
        } else {
            let program = self.0.program_for(task).await?;
            self.0.release_port(&program, &row.uuid, &net).await?;
        }
        Ok(Step::Next)
    }

    async fn undo(&self, _step: &str, _task: &mut Task) -> Result<()> {
        // The network stays recorded; detaching again finishes the work.
        Ok(())
    }

    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        self.0
            .settle(task, outcome, |row| match outcome {
                Ok(()) => row.nets.0.retain(|net| task.input["port"] != net.port_id.as_str()),
                Err(error) => row.status_reason = Some(error.message().to_owned()),
            })
            .await
    }
}
