//! `OS::Heat::Stack`: a whole stack of its own, made through the Orchestration API of this cloud.
//!
//! Upstream can reach other regions and clouds with it; here the parts that would are refused when the template is
//! validated.

use async_trait::async_trait;
use sahab_contract::{
    Result,
    cloud::{Call, escape},
};
use serde_json::{Map, Value, json};

use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertyKind, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType, Update, in_error, rest, unknown_status},
    template::error,
};

const SERVICE: &str = "orchestration";
/// The only region of this cloud.
const REGION: &str = "RegionOne";

pub struct Stack {
    description: Description,
}

impl Stack {
    pub fn new() -> Self {
        let description = Description::new("OS::Heat::Stack", "A Resource representing a stack.")
            .properties([
                (
                    "context",
                    PropertySchema::map("Context for this stack.").updatable().with([
                        ("region_name", PropertySchema::string("Region name in which this stack will be created.")),
                        (
                            "credential_secret_id",
                            PropertySchema::string("A Barbican secret id for remote OpenStack credential.").updatable(),
                        ),
                        (
                            "ca_cert",
                            PropertySchema::string("Optional. The contents of a CA Certificate file.").updatable(),
                        ),
                        (
                            "insecure",
                            PropertySchema::boolean("If set, then the server's certificate will not be verified.")
                                .default_value(false)
                                .updatable(),
                        ),
                    ]),
                ),
                (
                    "template",
                    PropertySchema::string("Template that specifies the stack to be created as a resource.")
                        .required()
                        .updatable(),
                ),
                ("timeout", PropertySchema::integer("Number of minutes to wait for this stack creation.").updatable()),
                (
                    "parameters",
                    PropertySchema::map("Set of parameters passed to this stack.").default_value(json!({})).updatable(),
                ),
            ])
            .attributes([
                ("stack_name", AttributeSchema::typed(PropertyKind::String, "Name of the stack.")),
                (
                    "outputs",
                    AttributeSchema::typed(PropertyKind::Map, "A dict of key-value pairs output from the stack."),
                ),
            ])
            .service(SERVICE, "heat");
        Stack { description }
    }
}

fn body(act: &Act, object: &Object) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("stack_name".into(), object.physical_name.clone().into());
    body.insert("template".into(), object.get("template").cloned().unwrap_or_default());
    body.insert("parameters".into(), object.get("parameters").cloned().unwrap_or_else(|| json!({})));
    body.insert("files".into(), json!(*act.files));
    body.insert("disable_rollback".into(), true.into());
    if let Some(minutes) = object.get("timeout") {
        body.insert("timeout_mins".into(), minutes.clone());
    }
    body
}

fn collection(act: &Act) -> String {
    format!("/v1/{}/stacks", escape(&act.project_id))
}

fn path(act: &Act, object: &Object) -> String {
    format!("{}/{}/{}", collection(act), escape(&object.physical_name), escape(object.id()))
}

impl Stack {
    async fn state(&self, act: &Act, object: &Object) -> Result<Option<(String, String)>> {
        let found = rest::find(act, SERVICE, &format!("{}?resolve_outputs=false", path(act, object)), "stack").await?;
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Ok(found.map(|stack| (text(&stack, "stack_status"), text(&stack, "stack_status_reason"))))
    }

    async fn settled(&self, act: &Act, object: &Object, action: &str) -> Result<Progress> {
        match self.state(act, object).await? {
            None if action == "DELETE" => Ok(Progress::Done),
            None => Err(rest::vanished("Stack", object.id())),
            Some((status, _)) if status == format!("{action}_IN_PROGRESS") => Ok(Progress::wait_for(object.id())),
            Some((status, _)) if status == format!("{action}_COMPLETE") => Ok(Progress::Done),
            Some((status, reason)) if status.ends_with("_FAILED") => {
                let message = format!("Went to status {status} due to \"{reason}\"");
                // A failed child is replaced as a whole only when it could not be made.
                Err(if action == "CREATE" { in_error(message) } else { unknown_status(message) })
            }
            Some((status, _)) if status.ends_with("_IN_PROGRESS") => Ok(Progress::wait_for(object.id())),
            Some((status, _)) => Err(unknown_status(format!("Resource failed - Unknown status {status}"))),
        }
    }

    async fn act(&self, act: &Act, object: &Object, name: &str) -> Result<Progress> {
        let call = Call::post(SERVICE, format!("{}/actions", path(act, object)), json!({name: null}));
        act.cloud.call(&act.context, call).await?;
        Ok(Progress::wait_for(object.id()))
    }
}

#[async_trait]
impl ResourceType for Stack {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn validate_live(&self, act: &Act, properties: &ResolvedProperties) -> Result<()> {
        if let Some(context) = properties.map("context") {
            let text = |key: &str| context.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
            if let Some(region) = text("region_name").filter(|region| *region != REGION) {
                return Err(error::validation(format!(
                    "Cannot establish connection to Heat endpoint at region \"{region}\" due to \"public endpoint for orchestration service in {region} region not found\""
                )));
            }
            if text("credential_secret_id").is_some()
                || text("ca_cert").is_some()
                || context.get("insecure") == Some(&json!(true))
            {
                return Err(error::validation(
                    "Properties credential_secret_id, ca_cert and insecure are not supported: stacks are only made in this cloud",
                ));
            }
        }
        let (Some(template), false) = (properties.text("template"), properties.unknown.contains("template")) else {
            return Ok(());
        };
        let mut request = json!({"template": template, "files": *act.files});
        if let Some(parameters) = properties.map("parameters")
            && !properties.unknown.contains("parameters")
        {
            request["environment"] = json!({"parameters": parameters});
        }
        let call = Call::post(SERVICE, format!("/v1/{}/validate", escape(&act.project_id)), request);
        match act.cloud.call(&act.context, call).await {
            Ok(_) => Ok(()),
            Err(cause) => Err(error::validation(format!(
                "Failed validating stack template using Heat endpoint at region \"{REGION}\" due to \"ERROR: {}\"",
                cause.message()
            ))),
        }
    }

    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let call = Call::post(SERVICE, collection(act), Value::Object(body(act, object)));
        let show = Call::get(SERVICE, format!("{}?resolve_outputs=false", path(act, object)));
        rest::create(act, object, call, show, "stack").await?;
        Ok(Progress::wait_for(object.id()))
    }
    async fn check_create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.settled(act, object, "CREATE").await
    }
    async fn update(&self, act: &Act, object: &mut Object, _: &PropertyDiff) -> Result<Update> {
        let mut body = body(act, object);
        body.remove("stack_name");
        act.cloud.call(&act.context, Call::put(SERVICE, path(act, object), Value::Object(body))).await?;
        Ok(Update::Wait)
    }
    async fn check_update(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.settled(act, object, "UPDATE").await
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let is_there = rest::delete(act, Call::delete(SERVICE, path(act, object))).await?;
        Ok(if is_there { Progress::wait_for(object.id()) } else { Progress::Done })
    }
    async fn check_delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.settled(act, object, "DELETE").await
    }
    async fn suspend(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.act(act, object, "suspend").await
    }
    async fn check_suspend(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.settled(act, object, "SUSPEND").await
    }
    async fn resume(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.act(act, object, "resume").await
    }
    async fn check_resume(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        self.settled(act, object, "RESUME").await
    }
    async fn check(&self, act: &Act, object: &Object) -> Result<Option<()>> {
        match self.state(act, object).await? {
            Some((status, _)) if status.ends_with("_COMPLETE") => Ok(Some(())),
            Some((status, reason)) => Err(unknown_status(format!("Stack is {status}: {reason}"))),
            None => Err(rest::vanished("Stack", object.id())),
        }
    }
    async fn is_usable(&self, act: &Act, object: &Object) -> bool {
        matches!(self.state(act, object).await, Ok(Some(_)))
    }
    async fn show(&self, act: &Act, object: &Object) -> Result<Value> {
        Ok(rest::find(act, SERVICE, &path(act, object), "stack").await?.unwrap_or_default())
    }
    async fn attribute(&self, act: &Act, object: &Object, name: &str) -> Result<Value> {
        let shown = self.show(act, object).await?;
        Ok(match name {
            "outputs" => {
                let pairs = shown["outputs"].as_array().into_iter().flatten().filter_map(|output| {
                    Some((output["output_key"].as_str()?.to_owned(), output["output_value"].clone()))
                });
                Value::Object(pairs.collect())
            }
            _ => shown.get(name).cloned().unwrap_or_default(),
        })
    }
}
