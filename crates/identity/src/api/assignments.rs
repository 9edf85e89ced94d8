//! `/v3/role_assignments`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;

use super::{State, whole};
use crate::assignment::AssignmentFilter;

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/role_assignments", index);
}

async fn index(service: State, request: Request) -> Result<Response> {
    let filter = AssignmentFilter::parse(&request.query)?;
    let entries = service.assignment_list(&request.context, &filter).await?;
    let views = service.assignment_views(&request.meta.base_url, &entries, filter.names).await?;
    Ok(whole(&request, "role_assignments", views))
}
