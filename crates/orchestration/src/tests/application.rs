//! The thesis's application and the types of other services, against fakes of them.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::support::{World, hot};

fn thesis() -> Value {
    let mut template = hot(json!({
        "secgroup": {"type": "OS::Neutron::SecurityGroup", "properties": {
            "name": "SG_WordPress", "description": "web and database",
            "rules": [
                {"protocol": "icmp"},
                {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80},
                {"protocol": "tcp", "port_range_min": 3306, "port_range_max": 3306},
            ],
        }},
        "db": {"type": "OS::Zun::Container", "properties": {
            "image": "mysql:5.7",
            "environment": {"MYSQL_ROOT_PASSWORD": "rootpass", "MYSQL_DATABASE": "wordpress"},
            "security_groups": [{"get_resource": "secgroup"}],
        }},
        "wordpress": {"type": "OS::Zun::Container", "properties": {
            "image": "wordpress:latest",
            "environment": {
                "WORDPRESS_DB_HOST": {"get_attr": ["db", "addresses", "ext-net", 0, "addr"]},
                "WORDPRESS_DB_USER": "root", "WORDPRESS_DB_PASSWORD": "rootpass",
            },
            "security_groups": [{"get_resource": "secgroup"}],
        }},
    }));
    template["outputs"] = json!({"url": {"value": {"get_attr": ["wordpress", "addresses", "ext-net", 0, "addr"]}}});
    template
}

async fn world() -> World {
    let world = World::new().await;
    world.fakes.add("networks", json!({"id": "net-ext", "name": "ext-net", "status": "ACTIVE"}));
    world
}

#[tokio::test]
async fn the_thesis_template_deploys() {
    let world = world().await;
    let path = world.deploy("wp", thesis()).await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "{stack}");
    let containers = world.fakes.all("containers");
    let address = |image: &str| {
        let found = containers.iter().find(|container| container["image"] == image).unwrap();
        found["addresses"]["net-ext"][0]["addr"].clone()
    };
    assert_eq!(stack["outputs"][0]["output_value"], address("wordpress:latest"));
    let wordpress = containers.iter().find(|container| container["image"] == "wordpress:latest").unwrap();
    assert_eq!(wordpress["environment"]["WORDPRESS_DB_HOST"], address("mysql:5.7"));
    let groups = world.fakes.all("security_groups");
    assert_eq!((groups.len(), &groups[0]["name"]), (1, &json!("SG_WordPress")));
    assert_eq!(wordpress["security_groups"], json!([groups[0]["id"]]));
    let rules = world.fakes.all("security_group_rules");
    assert_eq!(rules.iter().filter(|rule| rule["direction"] == "ingress").count(), 3);
    let call = world.fakes.lock().calls.iter().find(|call| call.starts_with("POST containers")).unwrap().clone();
    assert!(call.contains("container 1.12") && !call.contains("\"name\""), "{call}");
    // Changing the rules touches the group alone.
    let mut template = thesis();
    template["resources"]["secgroup"]["properties"]["rules"].as_array_mut().unwrap().pop();
    let stack = world.update(&path, json!({"template": template})).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE", "{stack}");
    let rules = world.fakes.all("security_group_rules");
    assert_eq!(rules.iter().filter(|rule| rule["direction"] == "ingress").count(), 2);
    assert_eq!(world.fakes.calls("POST containers"), 2);
    // Another database: it is replaced, and whoever uses its address follows.
    template["resources"]["db"]["properties"]["environment"]["MYSQL_DATABASE"] = json!("other");
    let stack = world.update(&path, json!({"template": template})).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE", "{stack}");
    assert_eq!((world.fakes.calls("POST containers"), world.fakes.calls("DELETE containers")), (4, 2));
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!((world.fakes.all("containers").len(), world.fakes.all("security_groups").len()), (0, 0));
}

#[tokio::test]
async fn a_container_is_waited_for_by_its_news() {
    let world = world().await;
    world.fakes.lock().is_slow = true;
    let path = world
        .create(
            "slow",
            json!({"template": hot(json!({"c": {"type": "OS::Zun::Container", "properties": {"image": "i"}}}))}),
        )
        .await;
    let id = loop {
        if let Some(container) = world.fakes.all("containers").first() {
            break container["id"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(world.status(&path).await, "CREATE_IN_PROGRESS");
    world.fakes.set_container(&id, "Running");
    assert_eq!(world.settle(&path).await["stack_status"], "CREATE_COMPLETE");
    assert_eq!(world.resource(&path, "c").await["physical_resource_id"], json!(id));
}

#[tokio::test]
async fn a_container_in_error_is_made_again_a_few_times() {
    let world = world().await;
    let template = || hot(json!({"c": {"type": "OS::Zun::Container", "properties": {"image": "i"}}}));
    world.fakes.lock().container_status = vec!["Error".into(), "Error".into()];
    let path = world.deploy("third", template()).await;
    assert_eq!(world.status(&path).await, "CREATE_COMPLETE");
    assert_eq!((world.fakes.calls("POST containers"), world.fakes.all("containers").len()), (3, 1));
    world.fakes.lock().container_status = vec!["Error".into(); 6];
    let path = world.deploy("never", template()).await;
    let stack = world.get(&path).await["stack"].take();
    assert_eq!(stack["stack_status"], "CREATE_FAILED");
    let reason = stack["stack_status_reason"].as_str().unwrap();
    assert!(
        reason.contains("ResourceInError: resources.c: Error in creating container")
            && reason.contains("no such image"),
        "{reason}"
    );
    world.fakes.lock().container_status = vec!["Dead".into()];
    let path = world.deploy("dead", template()).await;
    assert!(
        world.get(&path).await["stack"]["stack_status_reason"].as_str().unwrap().contains("Unknown status Container")
    );
}

#[tokio::test]
async fn a_crash_in_the_middle_neither_loses_nor_doubles_anything() {
    for pause in [0, 1, 2, 4, 8, 16, 30] {
        let world = world().await;
        let path = world.create("wp", json!({"template": thesis()})).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let world = world.crash().await;
        let stack = world.settle(&path).await;
        assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "after {pause} ms: {stack}");
        let counts = ["containers", "security_groups"].map(|kind| world.fakes.all(kind).len());
        assert_eq!(counts, [2, 1], "after {pause} ms");
        let ingress =
            world.fakes.all("security_group_rules").iter().filter(|rule| rule["direction"] == "ingress").count();
        assert_eq!(ingress, 3, "after {pause} ms");
        world.member(Method::DELETE, &path, Value::Null).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let world = world.crash().await;
        assert_eq!(world.settle(&path).await["stack_status"], "DELETE_COMPLETE");
        assert_eq!(world.fakes.all("containers").len() + world.fakes.all("security_groups").len(), 0);
    }
}

#[tokio::test]
async fn a_whole_network_with_an_address() {
    let world = world().await;
    let mut template = hot(json!({
        "association": {"type": "OS::Neutron::FloatingIPAssociation", "properties": {
            "floatingip_id": {"get_resource": "ip"}, "port_id": {"get_attr": ["web", "addresses", "net-ext", 0, "port"]},
        }},
        "ip": {"type": "OS::Neutron::FloatingIP", "properties": {"floating_network": "ext-net"}},
        "web": {"type": "OS::Zun::Container", "properties": {"image": "i", "networks": [{"network": {"get_resource": "net"}}]}},
        "port": {"type": "OS::Neutron::Port", "properties": {"network_id": {"get_resource": "net"}}},
        "interface": {"type": "OS::Neutron::RouterInterface", "properties": {"router_id": {"get_resource": "router"}, "subnet_id": {"get_resource": "subnet"}}},
        "router": {"type": "OS::Neutron::Router", "properties": {"external_gateway_info": {"network": "ext-net"}}},
        "subnet": {"type": "OS::Neutron::Subnet", "properties": {"network_id": {"get_resource": "net"}, "cidr": "10.0.0.0/24", "gateway_ip": ""}},
        "net": {"type": "OS::Neutron::Net", "properties": {"value_specs": {"mtu": 1400}}},
    }));
    template["outputs"] = json!({"ip": {"value": {"get_attr": ["ip", "floating_ip_address"]}}});
    world.fakes.add("ports", json!({"id": "port-0", "name": ""}));
    let path = world.deploy("net", template.clone()).await;
    // The fake's container port is not among its ports: the association's port is checked when it is known.
    let stack = world.get(&path).await["stack"].take();
    assert_eq!(stack["stack_status"], "CREATE_FAILED", "{stack}");
    assert!(
        stack["stack_status_reason"].as_str().unwrap().contains("resources.association: Unable to find port"),
        "{stack}"
    );
    template["resources"]["association"]["properties"]["port_id"] = json!({"get_resource": "port"});
    let stack = world.update(&path, json!({"template": template})).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE", "{stack}");
    assert_eq!(stack["outputs"][0]["output_value"], "172.24.4.9");
    let history = world.history(&path).await;
    let at =
        |line: &str| history.iter().position(|other| other == line).unwrap_or_else(|| panic!("{line}: {history:?}"));
    assert!(
        at("subnet: CREATE_COMPLETE state changed") < at("web: CREATE_IN_PROGRESS state changed"),
        "no race for the container"
    );
    assert!(at("subnet: CREATE_COMPLETE state changed") < at("port: CREATE_IN_PROGRESS state changed"));
    assert!(at("interface: CREATE_COMPLETE state changed") < at("association: CREATE_COMPLETE state changed"));
    assert!(at("router: CREATE_COMPLETE state changed") < at("ip: CREATE_IN_PROGRESS state changed"));
    let networks = world.fakes.all("networks");
    let made = networks.iter().find(|network| network["id"] != "net-ext").unwrap();
    assert_eq!(made["mtu"], 1400);
    assert!(made["name"].as_str().unwrap().starts_with("net-net-"));
    let subnet = &world.fakes.all("subnets")[0];
    assert_eq!((&subnet["gateway_ip"], &subnet["network_id"]), (&Value::Null, &made["id"]));
    let router = &world.fakes.all("routers")[0];
    assert_eq!(router["external_gateway_info"]["network_id"], "net-ext", "names become ids");
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    for kind in ["subnets", "routers", "floatingips", "containers"] {
        assert!(world.fakes.all(kind).is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn a_missing_object_is_refused_at_once() {
    let world = world().await;
    let template = hot(json!({"p": {"type": "OS::Neutron::Port", "properties": {"network": "nope"}}}));
    let answer = world.member(Method::POST, "/stacks", json!({"stack_name": "a", "template": template})).await;
    assert_eq!(answer.status, 400);
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "Property error: resources.p.properties.network: Error validating value 'nope': Unable to find network with name or id 'nope'"
    );
    let template = hot(json!({"u": {"type": "OS::Keystone::User", "properties": {}}}));
    let answer = world.member(Method::POST, "/stacks", json!({"stack_name": "a", "template": template})).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(answer.body["error"]["message"], "You are not authorized to use resource_types:OS::Keystone::User.");
}

#[tokio::test]
async fn a_refused_delete_is_tried_again_and_may_fail() {
    let world = world().await;
    let template = hot(json!({"g": {"type": "OS::Neutron::SecurityGroup"}}));
    let path = world.deploy("g", template).await;
    let id = world.resource(&path, "g").await["physical_resource_id"].as_str().unwrap().to_owned();
    world.fakes.lock().busy.insert(id.clone(), 100);
    let stack = world.delete(&path).await;
    assert_eq!(stack["stack_status"], "DELETE_FAILED");
    assert!(stack["stack_status_reason"].as_str().unwrap().contains("is in use"));
    world.fakes.lock().busy.insert(id, 2);
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    assert!(world.fakes.all("security_groups").is_empty());
}

#[tokio::test]
async fn retained_objects_stay() {
    let world = world().await;
    let template = hot(json!({"g": {"type": "OS::Neutron::SecurityGroup", "deletion_policy": "Retain"}}));
    let path = world.deploy("keep", template).await;
    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!(world.fakes.all("security_groups").len(), 1);
}

#[tokio::test]
async fn a_gateway_that_leaves_the_template_leaves_the_subnet() {
    let world = world().await;
    let template = |gateway: Value| {
        let mut properties = json!({"network": "ext-net", "cidr": "10.0.0.0/24"});
        if !gateway.is_null() {
            properties["gateway_ip"] = gateway;
        }
        hot(json!({"s": {"type": "OS::Neutron::Subnet", "properties": properties}}))
    };
    let path = world.deploy("gate", template(json!("10.0.0.5"))).await;
    assert_eq!(world.fakes.all("subnets")[0]["gateway_ip"], "10.0.0.5");
    for gateway in [Value::Null, json!("10.0.0.6"), json!("")] {
        let stack = world.update(&path, json!({"template": template(gateway.clone())})).await;
        assert_eq!(stack["stack_status"], "UPDATE_COMPLETE", "{stack}");
        let wanted = if gateway == "" { Value::Null } else { gateway };
        assert_eq!(world.fakes.all("subnets")[0]["gateway_ip"], wanted);
    }
}

#[tokio::test]
async fn a_set_of_routes_leaves_those_of_others_alone() {
    let world = world().await;
    let route = |number: u8| json!({"destination": format!("10.1.{number}.0/24"), "nexthop": "10.0.0.9"});
    world.fakes.add("routers", json!({"id": "r1", "name": "r1", "routes": [route(0)]}));
    let template = |numbers: &[u8]| {
        let routes: Vec<Value> = numbers.iter().map(|number| route(*number)).collect();
        hot(json!({"e": {"type": "OS::Neutron::ExtraRouteSet", "properties": {"router": "r1", "routes": routes}}}))
    };
    let present = || world.fakes.all("routers")[0]["routes"].clone();
    let path = world.deploy("routes", template(&[1, 2])).await;
    assert_eq!(present(), json!([route(0), route(1), route(2)]));
    let stack = world.update(&path, json!({"template": template(&[2, 3])})).await;
    assert_eq!((&stack["stack_status"], present()), (&json!("UPDATE_COMPLETE"), json!([route(0), route(2), route(3)])));

    let refused = world.deploy("other", template(&[3, 4])).await;
    let stack = world.get(&refused).await["stack"].take();
    assert_eq!(stack["stack_status"], "CREATE_FAILED");
    assert_eq!(
        stack["stack_status_reason"],
        "Resource CREATE failed: PhysicalResourceExists: resources.e: The physical resource for (r1,10.1.3.0/24=10.0.0.9) exists."
    );
    world.delete(&refused).await;
    assert_eq!(present(), json!([route(0), route(2), route(3)]), "a refused set takes nothing away");

    assert_eq!(world.delete(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!(present(), json!([route(0)]));
}
