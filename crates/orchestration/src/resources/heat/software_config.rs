//! `OS::Heat::SoftwareConfig`: a software config as a resource, made through the API of this service.

use async_trait::async_trait;
use http::Method;
use sahab_contract::{
    Result,
    cloud::{Call, escape},
};
use serde_json::{Value, json};

use crate::{
    properties::{AttributeSchema, PropertyKind, PropertySchema},
    resources::{Act, Description, Object, Progress, ResourceType, rest},
};

const SERVICE: &str = "orchestration";
const KEY: &str = "software_config";
/// Types of inputs and outputs.
const KINDS: [&str; 5] = ["String", "Number", "CommaDelimitedList", "Json", "Boolean"];

pub struct SoftwareConfig {
    description: Description,
}

impl SoftwareConfig {
    pub fn new() -> Self {
        let flag = |text: &'static str| PropertySchema::boolean(text).default_value(false);
        let kind = || PropertySchema::string("Type of its value.").default_value("String").allowed(KINDS);
        let input = PropertySchema::map("An input.").with([
            ("name", PropertySchema::string("Its name.").required()),
            ("description", PropertySchema::string("Its description.")),
            ("type", kind()),
            ("default", PropertySchema::any("Default value for the input if none is specified.")),
            ("replace_on_change", flag("Replace the deployment instead of updating it when the input value changes.")),
        ]);
        let output = PropertySchema::map("An output.").with([
            ("name", PropertySchema::string("Its name.").required()),
            ("description", PropertySchema::string("Its description.")),
            ("type", kind()),
            ("error_output", flag("Denotes that the deployment is in an error state if this output has a value.")),
        ]);
        let description = Description::new(
            "OS::Heat::SoftwareConfig",
            "A resource for describing and storing software configuration.",
        )
        .properties([
            (
                "group",
                PropertySchema::string("Namespace to group this software config by when delivered to a server.")
                    .default_value("Heat::Ungrouped"),
            ),
            (
                "config",
                PropertySchema::string(
                    "Configuration script or manifest which specifies what actual configuration is performed.",
                ),
            ),
            (
                "options",
                PropertySchema::map(
                    "Map containing options specific to the configuration management tool used by this resource.",
                ),
            ),
            ("inputs", PropertySchema::list("The inputs that this software config is expecting.").of(input)),
            ("outputs", PropertySchema::list("The outputs that this software config will produce.").of(output)),
        ])
        .attributes([(
            "config",
            AttributeSchema::typed(PropertyKind::String, "The config value of the software config."),
        )])
        .service(SERVICE, "heat");
        SoftwareConfig { description }
    }
}

fn collection(act: &Act) -> String {
    format!("/v1/{}/software_configs", escape(&act.project_id))
}

fn member(act: &Act, object: &Object) -> String {
    rest::member(&collection(act), object.id())
}

#[async_trait]
impl ResourceType for SoftwareConfig {
    fn description(&self) -> &Description {
        &self.description
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let mut body = rest::given(&object.properties, &["group", "config", "options", "inputs", "outputs"]);
        body.insert("name".into(), json!(object.physical_name));
        let call = rest::send(SERVICE, Method::POST, collection(act), "", body);
        let show = Call::get(SERVICE, member(act, object));
        rest::create(act, object, call, show, KEY).await?;
        Ok(Progress::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        rest::delete(act, Call::delete(SERVICE, member(act, object))).await?;
        Ok(Progress::Done)
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        match rest::find(act, SERVICE, &member(act, object), KEY).await? {
            Some(_) => Ok(Some(())),
            None => Err(rest::vanished("Software config", object.id())),
        }
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        Ok(rest::find(act, SERVICE, &member(act, object), KEY).await?.unwrap_or_default())
    }
}
