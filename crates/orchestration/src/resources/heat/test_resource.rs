//! `OS::Heat::TestResource`: waits, fails and replaces as told; upstream's conformance tests are built on it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sahab_contract::{Error, Result, context::now};
use serde_json::{Value, json};

use crate::{
    properties::{AttributeSchema, PropertyDiff, PropertySchema, ResolvedProperties},
    resources::{Act, Description, Object, Progress, ResourceType, Update},
    template::error,
};

pub struct TestResource {
    description: Description,
}

/// An attribute may wait this long at most: it is read while a request is answered.
const MAX_ATTRIBUTE_WAIT: f64 = 60.0;
/// Key of `data`: when the current act may end; `never` waits for ever.
const UNTIL: &str = "until";

impl TestResource {
    pub fn new() -> Self {
        let wait = |text: &'static str| PropertySchema::number(text).updatable();
        let description =
            Description::new("OS::Heat::TestResource", "A resource which stores the string value that was provided.")
                .properties([
                    (
                        "constraint_prop_secs",
                        PropertySchema::number("Delay value for emulating constraint.").default_value(0).updatable(),
                    ),
                    (
                        "attr_wait_secs",
                        wait("Number value for timeout during resolving output value.").default_value(0),
                    ),
                    (
                        "value",
                        PropertySchema::string("The input string to be stored.")
                            .default_value("test_string")
                            .updatable(),
                    ),
                    (
                        "update_replace_value",
                        PropertySchema::string("Some value that can be stored but can not be updated."),
                    ),
                    (
                        "fail",
                        PropertySchema::boolean(
                            "Value which can be set to fail the resource operation to test failure scenarios.",
                        )
                        .default_value(false)
                        .updatable(),
                    ),
                    (
                        "update_replace",
                        PropertySchema::boolean(
                            "Value which can be set to trigger update replace for the particular resource.",
                        )
                        .default_value(false)
                        .updatable(),
                    ),
                    ("wait_secs", wait("Seconds to wait after an action (-1 is infinite).").default_value(0)),
                    (
                        "action_wait_secs",
                        PropertySchema::map("Options for simulating waiting.").updatable().with([
                            ("create", wait("Seconds to wait after a create. Defaults to the global wait_secs.")),
                            ("update", wait("Seconds to wait after an update. Defaults to the global wait_secs.")),
                            ("delete", wait("Seconds to wait after a delete. Defaults to the global wait_secs.")),
                        ]),
                    ),
                    ("client_name", PropertySchema::string("Client to poll.").default_value("").updatable()),
                    ("entity_name", PropertySchema::string("Client entity to poll.").default_value("").updatable()),
                ])
                .attributes([(
                    "output",
                    AttributeSchema::new(
                        "The string that was stored. This value is also available by referencing the resource.",
                    ),
                )]);
        TestResource { description }
    }
}

/// Starts the clock of the act, unless a crash interrupted it.
fn start(object: &mut Object, act: &str) {
    let seconds = object.map("action_wait_secs").and_then(|map| map.get(act)?.as_f64());
    let seconds = seconds.or(object.number("wait_secs")).unwrap_or_default();
    let until = if seconds < 0.0 {
        json!("never")
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "a wait in milliseconds, saturating")]
        let wait = TimeDelta::milliseconds((seconds * 1000.0).min(1e12) as i64);
        json!(now() + wait)
    };
    object.data.insert(UNTIL.into(), until);
}

fn waited(object: &Object) -> Progress {
    match object.data.get(UNTIL).and_then(Value::as_str) {
        Some("never") => Progress::Wait { on: None, at_most: Some(Duration::from_secs(3600)) },
        Some(text) => match text.parse::<DateTime<Utc>>().map(|until| (until - now()).to_std()) {
            Ok(Ok(left)) if !left.is_zero() => Progress::Wait { on: None, at_most: Some(left) },
            _ => Progress::Done,
        },
        None => Progress::Done,
    }
}

fn finish(object: &mut Object) -> Result<Progress> {
    match waited(object) {
        Progress::Done if object.boolean("fail") == Some(true) => {
            Err(Error::invalid("ValueError", format!("Test Resource failed {}", object.name)))
        }
        Progress::Done => {
            object.data.remove(UNTIL);
            Ok(Progress::Done)
        }
        wait => Ok(wait),
    }
}

#[async_trait]
impl ResourceType for TestResource {
    fn description(&self) -> &Description {
        &self.description
    }
    fn is_pure(&self) -> bool {
        true
    }
    fn validate(&self, properties: &ResolvedProperties) -> Result<()> {
        for name in ["client_name", "entity_name"] {
            if properties.text(name).is_some_and(|text| !text.is_empty()) {
                return Err(error::validation(format!("Property {name} is not supported: there is no client to poll")));
            }
        }
        Ok(())
    }
    async fn create(&self, _: &Act, object: &mut Object) -> Result<Progress> {
        object.physical_id = Some(object.physical_name.clone());
        start(object, "create");
        finish(object)
    }
    async fn check_create(&self, _: &Act, object: &mut Object) -> Result<Progress> {
        finish(object)
    }
    async fn update(&self, _: &Act, object: &mut Object, _: &PropertyDiff) -> Result<Update> {
        if object.boolean("update_replace") == Some(true) {
            return Ok(Update::Replace);
        }
        start(object, "update");
        Ok(Update::Wait)
    }
    async fn delete(&self, _: &Act, object: &mut Object) -> Result<Progress> {
        start(object, "delete");
        Ok(waited(object))
    }
    async fn check_delete(&self, _: &Act, object: &mut Object) -> Result<Progress> {
        Ok(waited(object))
    }
    async fn check(&self, _: &Act, _: &Object) -> Result<Option<()>> {
        Ok(Some(()))
    }
    async fn attribute(&self, _: &Act, object: &Object, name: &str) -> Result<Value> {
        if name != "output" {
            return Ok(Value::Null);
        }
        let wait = object.number("attr_wait_secs").unwrap_or_default();
        if wait > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(wait.min(MAX_ATTRIBUTE_WAIT))).await;
        }
        Ok(object.properties.get("value").cloned().unwrap_or_default())
    }
}
