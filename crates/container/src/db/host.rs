//! Hosts: the compute service's record (who is up, who may receive containers) and the host's facts.

use chrono::{DateTime, Utc};
use sahab_contract::{Result, container::HostInfo, context::now};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromJsonQueryResult,
    IntoActiveModel, QueryFilter, QueryOrder, entity::prelude::*,
};
use serde::{Deserialize, Serialize};

/// The only binary that registers.
pub const BINARY: &str = "zun-compute";

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "container_host")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub uuid: String,
    #[sea_orm(unique)]
    pub hostname: String,
    pub info: Info,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Info(pub HostInfo);

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
impl ActiveModelBehavior for ActiveModel {}

pub mod service {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "container_service")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(unique)]
        pub host: String,
        pub disabled: bool,
        pub disabled_reason: Option<String>,
        pub forced_down: bool,
        pub last_seen_up: Option<DateTime<Utc>>,
        pub report_count: i64,
        pub availability_zone: String,
        pub created_at: DateTime<Utc>,
        pub updated_at: Option<DateTime<Utc>>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// Records a host's facts and that it was seen, making both records when they are new.
pub async fn seen(connection: &impl ConnectionTrait, hostname: &str, info: HostInfo, zone: &str) -> Result<()> {
    match by_name(connection, hostname).await? {
        Some(row) => {
            let mut row = row.into_active_model();
            row.info = Set(Info(info));
            row.updated_at = Set(now());
            row.update(connection).await?;
        }
        None => {
            let row = ActiveModel {
                uuid: Set(uuid::Uuid::new_v4().to_string()),
                hostname: Set(hostname.to_owned()),
                info: Set(Info(info)),
                created_at: Set(now()),
                updated_at: Set(now()),
                ..Default::default()
            };
            Entity::insert(row).exec(connection).await?;
        }
    }
    match service_of(connection, hostname).await? {
        Some(row) => {
            let count = row.report_count + 1;
            let mut row = row.into_active_model();
            row.last_seen_up = Set(Some(now()));
            row.report_count = Set(count);
            row.update(connection).await?;
        }
        None => {
            let row = service::ActiveModel {
                host: Set(hostname.to_owned()),
                disabled: Set(false),
                forced_down: Set(false),
                last_seen_up: Set(Some(now())),
                report_count: Set(1),
                availability_zone: Set(zone.to_owned()),
                created_at: Set(now()),
                ..Default::default()
            };
            service::Entity::insert(row).exec(connection).await?;
        }
    }
    Ok(())
}

pub async fn by_name(connection: &impl ConnectionTrait, hostname: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::Hostname.eq(hostname)).one(connection).await?)
}

/// By uuid or host name.
pub async fn find(connection: &impl ConnectionTrait, ident: &str) -> Result<Option<Model>> {
    let by_uuid = Entity::find().filter(Column::Uuid.eq(ident)).one(connection).await?;
    if by_uuid.is_some() { Ok(by_uuid) } else { by_name(connection, ident).await }
}

pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Model>> {
    Ok(Entity::find().order_by_asc(Column::Hostname).all(connection).await?)
}

pub async fn services(connection: &impl ConnectionTrait) -> Result<Vec<service::Model>> {
    Ok(service::Entity::find().order_by_asc(service::Column::Id).all(connection).await?)
}

pub async fn service_of(connection: &impl ConnectionTrait, hostname: &str) -> Result<Option<service::Model>> {
    Ok(service::Entity::find().filter(service::Column::Host.eq(hostname)).one(connection).await?)
}

pub async fn save_service(connection: &impl ConnectionTrait, mut row: service::Model) -> Result<service::Model> {
    row.updated_at = Some(now());
    Ok(row.into_active_model().reset_all().update(connection).await?)
}

pub async fn delete_service(connection: &impl ConnectionTrait, id: i64) -> Result<()> {
    service::Entity::delete_by_id(id).exec(connection).await?;
    Ok(())
}

pub fn sortable(name: &str) -> Option<Column> {
    Some(match name {
        "hostname" => Column::Hostname,
        "id" => Column::Id,
        "uuid" => Column::Uuid,
        "created_at" => Column::CreatedAt,
        "updated_at" => Column::UpdatedAt,
        _ => return None,
    })
}
