//! The container row.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sahab_contract::{Result, container::Healthcheck, context::now};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, FromJsonQueryResult, FromQueryResult, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, Select, entity::prelude::*,
};
use serde::{Deserialize, Serialize};

use crate::state::{Status, TaskState};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "container")]
pub struct Model {
    /// Order of creation.
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub uuid: String,
    #[sea_orm(indexed)]
    pub name: String,
    #[sea_orm(indexed)]
    pub project_id: String,
    pub user_id: String,
    pub image: String,
    pub image_driver: String,
    pub image_pull_policy: String,
    pub command: Texts,
    pub entrypoint: Texts,
    pub status: Status,
    #[sea_orm(column_type = "Text", nullable)]
    pub status_reason: Option<String>,
    pub task_state: Option<TaskState>,
    /// Action whose task `task_state` speaks of: the last one accepted. Only its end clears the state.
    pub task_action: Option<i64>,
    /// Grows with every change; a refresh that looked at the runtime before the change must not win over it.
    pub revision: i64,
    pub cpu: f64,
    pub cpu_policy: String,
    /// MiB
    pub memory: i64,
    /// GiB; 0 when none was asked.
    pub disk: i64,
    pub environment: TextMap,
    pub labels: TextMap,
    pub workdir: Option<String>,
    pub hostname: Option<String>,
    /// What the engine filled in for what was not asked; a rebuild from another image must not inherit it.
    pub resolved: Resolved,
    pub exposed_ports: Texts,
    pub security_groups: Texts,
    /// The group made for the exposed ports, by preset id; it exists once the create task has run.
    pub exposed_group: Option<String>,
    pub nets: Attached,
    pub restart_policy: Option<Restart>,
    pub healthcheck: Option<Health>,
    pub interactive: bool,
    pub tty: bool,
    pub auto_remove: bool,
    pub auto_heal: bool,
    pub privileged: bool,
    pub runtime: Option<String>,
    pub availability_zone: Option<String>,
    pub hints: TextMap,
    pub registry_id: Option<String>,
    /// Set while resources of that host are claimed.
    #[sea_orm(indexed)]
    pub host: Option<String>,
    /// The host was asked for by name.
    pub requested_host: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub exit_code: Option<i64>,
    pub created_at: DateTime<Utc>,
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Texts(pub Vec<String>);
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct TextMap(pub BTreeMap<String, String>);
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Resolved {
    pub command: Vec<String>,
    pub entrypoint: Vec<String>,
    pub workdir: Option<String>,
    pub hostname: Option<String>,
    pub runtime: Option<String>,
    /// Container ports, from the image's EXPOSE and the request's.
    pub ports: Vec<u16>,
}
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Attached(pub Vec<Net>);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Health(pub Healthcheck);

/// As the API shows it: the count is text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Restart {
    pub name: String,
    pub maximum_retry_count: u32,
}

/// A port of the container. Recorded before it is made, so that a crash neither loses nor doubles it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Net {
    pub network_id: String,
    pub port_id: String,
    /// The user's own port: given back, not deleted.
    pub preserve: bool,
    /// The addresses asked for.
    pub fixed_ips: Vec<String>,
    pub mac: String,
    /// Known once the port is bound.
    pub addresses: Vec<Address>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub addr: String,
    pub subnet_id: String,
}

impl Model {
    /// A row as it is before anything was decided; for [`crate::request::create`] and tests.
    pub fn blank(uuid: String) -> Self {
        Model {
            id: 0,
            uuid,
            name: String::new(),
            project_id: String::new(),
            user_id: String::new(),
            image: String::new(),
            image_driver: "docker".into(),
            image_pull_policy: "ifnotpresent".into(),
            command: Texts::default(),
            entrypoint: Texts::default(),
            status: Status::Creating,
            status_reason: None,
            task_state: None,
            task_action: None,
            revision: 0,
            cpu: 0.0,
            cpu_policy: "shared".into(),
            memory: 0,
            disk: 0,
            environment: TextMap::default(),
            labels: TextMap::default(),
            workdir: None,
            hostname: None,
            resolved: Resolved::default(),
            exposed_ports: Texts::default(),
            security_groups: Texts::default(),
            exposed_group: None,
            nets: Attached::default(),
            restart_policy: None,
            healthcheck: None,
            interactive: false,
            tty: false,
            auto_remove: false,
            auto_heal: false,
            privileged: false,
            runtime: None,
            availability_zone: None,
            hints: TextMap::default(),
            registry_id: None,
            host: None,
            requested_host: None,
            started_at: None,
            finished_at: None,
            exit_code: None,
            created_at: now(),
            updated_at: None,
        }
    }

    /// The groups that ports made for the container are in: the exposed ports' group replaces the default one.
    pub fn port_groups(&self) -> Vec<String> {
        self.security_groups.0.clone()
    }
}

/// Writes every column. The caller read the row in the same transaction.
pub async fn save(connection: &impl ConnectionTrait, row: &mut Model) -> Result<()> {
    row.revision += 1;
    row.updated_at = Some(now());
    row.clone().into_active_model().reset_all().update(connection).await?;
    Ok(())
}

pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<Model> {
    super::insert(connection, row, Column::Id).await
}

pub async fn by_uuid(connection: &impl ConnectionTrait, uuid: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::Uuid.eq(uuid)).one(connection).await?)
}

/// At most a few: more than one is an ambiguity anyway. `project` is `None` for all projects.
pub async fn by_name(connection: &impl ConnectionTrait, name: &str, project: Option<&str>) -> Result<Vec<Model>> {
    let mut query = Entity::find().filter(Column::Name.eq(name));
    if let Some(project) = project {
        query = query.filter(Column::ProjectId.eq(project));
    }
    Ok(query.order_by_asc(Column::Id).limit(10).all(connection).await?)
}

/// Whether any container has the port.
pub async fn uses_port(connection: &impl ConnectionTrait, port: &str) -> Result<bool> {
    let query = Entity::find().filter(Column::Nets.contains(port));
    Ok(query.select_only().column(Column::Id).into_tuple::<i64>().one(connection).await?.is_some())
}

pub async fn on_host(connection: &impl ConnectionTrait, host: &str) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Host.eq(host)).all(connection).await?)
}

pub async fn delete(connection: &impl ConnectionTrait, uuid: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Uuid.eq(uuid)).exec(connection).await?;
    file::Entity::delete_many().filter(file::Column::ContainerUuid.eq(uuid)).exec(connection).await?;
    super::action::forget(connection, uuid).await
}

/// What the containers of a project or host hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub containers: i64,
    pub cpu: f64,
    pub memory: i64,
    pub disk: i64,
}

#[derive(FromQueryResult)]
struct Sums {
    host: Option<String>,
    containers: i64,
    cpu: Option<f64>,
    memory: Option<i64>,
    disk: Option<i64>,
}

impl Sums {
    fn of(query: Select<Entity>) -> Select<Entity> {
        query
            .select_only()
            .column(Column::Host)
            .column_as(Column::Id.count(), "containers")
            .column_as(Column::Cpu.sum(), "cpu")
            .column_as(Column::Memory.sum(), "memory")
            .column_as(Column::Disk.sum(), "disk")
            .group_by(Column::Host)
    }
}

impl Usage {
    fn add(&mut self, sums: &Sums) {
        self.containers += sums.containers;
        // Sums of decimal fractions: cut the noise of binary ones.
        self.cpu = ((self.cpu + sums.cpu.unwrap_or_default()) * 1e6).round() / 1e6;
        self.memory += sums.memory.unwrap_or_default();
        self.disk += sums.disk.unwrap_or_default();
    }
}

pub async fn usage_of_project(connection: &impl ConnectionTrait, project: &str) -> Result<Usage> {
    let query = Sums::of(Entity::find().filter(Column::ProjectId.eq(project)));
    let mut usage = Usage::default();
    for sums in query.into_model::<Sums>().all(connection).await? {
        usage.add(&sums);
    }
    Ok(usage)
}

/// Claims by host name.
pub async fn usage_by_host(connection: &impl ConnectionTrait) -> Result<BTreeMap<String, Usage>> {
    let query = Sums::of(Entity::find().filter(Column::Host.is_not_null()));
    let mut usage: BTreeMap<String, Usage> = BTreeMap::new();
    for sums in query.into_model::<Sums>().all(connection).await? {
        if let Some(host) = &sums.host {
            usage.entry(host.clone()).or_default().add(&sums);
        }
    }
    Ok(usage)
}

pub fn sortable(name: &str) -> Option<Column> {
    Some(match name {
        "id" => Column::Id,
        "uuid" => Column::Uuid,
        "name" => Column::Name,
        "project_id" => Column::ProjectId,
        "user_id" => Column::UserId,
        "image" => Column::Image,
        "status" => Column::Status,
        "status_reason" => Column::StatusReason,
        "task_state" => Column::TaskState,
        "cpu" => Column::Cpu,
        "memory" => Column::Memory,
        "disk" => Column::Disk,
        "workdir" => Column::Workdir,
        "hostname" => Column::Hostname,
        "interactive" => Column::Interactive,
        "tty" => Column::Tty,
        "auto_remove" => Column::AutoRemove,
        "auto_heal" => Column::AutoHeal,
        "image_driver" => Column::ImageDriver,
        "image_pull_policy" => Column::ImagePullPolicy,
        "host" => Column::Host,
        "runtime" => Column::Runtime,
        "created_at" => Column::CreatedAt,
        "updated_at" => Column::UpdatedAt,
        "started_at" => Column::StartedAt,
        _ => return None,
    })
}

pub mod file {
    //! Files whose content came with the create request; apart from the container, so that lists stay light.

    use sahab_contract::{Result, container::InjectedFile};
    use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, entity::prelude::*};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "container_file")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(indexed)]
        pub container_uuid: String,
        pub destination: String,
        #[sea_orm(column_type = "Blob")]
        pub content: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}

    pub async fn insert(connection: &impl ConnectionTrait, container: &str, files: &[InjectedFile]) -> Result<()> {
        for file in files {
            let row = ActiveModel {
                container_uuid: Set(container.to_owned()),
                destination: Set(file.destination.clone()),
                content: Set(file.content.clone()),
                ..Default::default()
            };
            Entity::insert(row).exec(connection).await?;
        }
        Ok(())
    }

    pub async fn of(connection: &impl ConnectionTrait, container: &str) -> Result<Vec<InjectedFile>> {
        let rows =
            Entity::find().filter(Column::ContainerUuid.eq(container)).order_by_asc(Column::Id).all(connection).await?;
        Ok(rows.into_iter().map(|row| InjectedFile { destination: row.destination, content: row.content }).collect())
    }
}
