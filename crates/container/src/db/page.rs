//! One page of a sorted list, in one query: the database compares, we never skip rows.

use sahab_contract::Result;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ModelTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    Select,
};

/// What the client asked for, checked.
#[derive(Clone, Debug)]
pub struct Page<C> {
    pub limit: u64,
    pub sort: C,
    pub descending: bool,
}

/// Rows after `marker` in the order of `page.sort`, ties by `id`. Nulls count as smallest.
pub async fn fetch<E>(
    connection: &impl ConnectionTrait,
    query: Select<E>,
    page: &Page<E::Column>,
    id: E::Column,
    marker: Option<&E::Model>,
) -> Result<Vec<E::Model>>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
    E::Column: ColumnTrait + Copy,
{
    let (sort, descending) = (page.sort, page.descending);
    let mut query = query;
    if let Some(marker) = marker {
        let (value, last) = (marker.get(sort), marker.get(id));
        let next = if descending { id.lt(last) } else { id.gt(last) };
        let after = if value == value.as_null() {
            let same = Condition::all().add(sort.is_null()).add(next);
            if descending { same } else { Condition::any().add(same).add(sort.is_not_null()) }
        } else {
            let same = Condition::all().add(sort.eq(value.clone())).add(next);
            if descending {
                Condition::any().add(sort.lt(value)).add(sort.is_null()).add(same)
            } else {
                Condition::any().add(sort.gt(value)).add(same)
            }
        };
        query = query.filter(after);
    }
    let order = if descending { Order::Desc } else { Order::Asc };
    Ok(query.order_by(sort, order.clone()).order_by(id, order).limit(page.limit).all(connection).await?)
}
