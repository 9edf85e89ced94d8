//! The endpoint table. Handlers parse, call the domain, render; nothing else.

mod actions;
mod containers;
mod hosts;
mod images;
mod paging;
mod process;
mod quotas;
mod registries;
mod root;

use sahab_api::{Endpoint, Table};

use crate::ContainerService;

/// Bodies with file contents.
const FILES_LIMIT: usize = 8 << 20;

pub fn table(service: ContainerService) -> Vec<Endpoint> {
    // An archive travels as base64 in JSON.
    let archive_limit = service.settings.max_archive / 3 * 4 + 4096;
    let mut table = Table::new(service);

    table.get("/", root::versions).open();
    table.get("/v1", root::version).open();
    table.get("/healthcheck", root::health).open();

    table.get("/v1/containers", containers::list);
    table.post("/v1/containers", containers::create).body_limit(FILES_LIMIT);
    table.get("/v1/containers/{id}", containers::show);
    table.patch("/v1/containers/{id}", containers::update);
    table.delete("/v1/containers/{id}", containers::delete);

    table.post("/v1/containers/{id}/start", actions::start);
    table.post("/v1/containers/{id}/stop", actions::stop);
    table.post("/v1/containers/{id}/reboot", actions::reboot);
    table.post("/v1/containers/{id}/pause", actions::pause);
    table.post("/v1/containers/{id}/unpause", actions::unpause);
    table.post("/v1/containers/{id}/kill", actions::kill);
    table.post("/v1/containers/{id}/rebuild", actions::rebuild);
    table.post("/v1/containers/{id}/rename", actions::rename);
    table.post("/v1/containers/{id}/resize_container", containers::resize);
    table.post("/v1/containers/{id}/add_security_group", actions::add_security_group);
    table.post("/v1/containers/{id}/remove_security_group", actions::remove_security_group);
    table.post("/v1/containers/{id}/network_attach", actions::network_attach);
    table.post("/v1/containers/{id}/network_detach", actions::network_detach);
    table.get("/v1/containers/{id}/network_list", actions::network_list);
    table.get("/v1/containers/{id}/container_actions", actions::list);
    table.get("/v1/containers/{id}/container_actions/{request}", actions::show);

    table.get("/v1/containers/{id}/logs", process::logs);
    table.post("/v1/containers/{id}/execute", process::execute);
    table.post("/v1/containers/{id}/execute_resize", process::execute_resize);
    table.get("/v1/containers/{id}/attach", process::attach);
    table.post("/v1/containers/{id}/resize", process::resize);
    table.get("/v1/containers/{id}/top", process::top);
    table.get("/v1/containers/{id}/stats", process::stats);
    table.get("/v1/containers/{id}/get_archive", process::get_archive);
    table.post("/v1/containers/{id}/put_archive", process::put_archive).body_limit(archive_limit);
    table.post("/v1/containers/{id}/commit", process::commit);

    table.get("/v1/capsules", root::capsules);
    table.post("/v1/capsules", root::capsules);
    table.get("/v1/capsules/{id}", root::capsules);
    table.delete("/v1/capsules/{id}", root::capsules);

    table.get("/v1/images", images::list);
    table.post("/v1/images", images::pull);
    // A name may hold slashes: `/images/{uuid}` and `/images/{name}/search` are told apart by the handler.
    table.get("/v1/images/{*name}", images::show_or_search);
    table.delete("/v1/images/{*name}", images::delete);

    table.get("/v1/hosts", hosts::list);
    table.get("/v1/hosts/{id}", hosts::show);
    table.get("/v1/services", hosts::services);
    table.delete("/v1/services", hosts::service_delete);
    table.put("/v1/services/enable", hosts::service_enable);
    table.put("/v1/services/disable", hosts::service_disable);
    table.put("/v1/services/force_down", hosts::service_force_down);
    table.get("/v1/availability_zones", hosts::zones);
    table.post("/v1/networks", hosts::network_create);
    table.delete("/v1/networks/{id}", hosts::network_delete);

    table.get("/v1/quotas/{project}", quotas::show);
    table.put("/v1/quotas/{project}", quotas::update);
    table.delete("/v1/quotas/{project}", quotas::delete);
    table.get("/v1/quotas/{project}/defaults", quotas::defaults);
    table.get("/v1/quota_classes/{class}", quotas::class_show);
    table.put("/v1/quota_classes/{class}", quotas::class_update);

    table.get("/v1/registries", registries::list);
    table.post("/v1/registries", registries::create);
    table.get("/v1/registries/{id}", registries::show);
    table.patch("/v1/registries/{id}", registries::update);
    table.delete("/v1/registries/{id}", registries::delete);
    table.finish()
}
