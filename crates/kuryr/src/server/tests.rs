//! The protocol over a real socket with a scripted backend.

use std::{path::PathBuf, sync::Mutex};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    backend::{Endpoint, EndpointBackend, EndpointRequest, Joined, LeftoverPort, PluggedEndpoint},
    store::Store,
};

const NETWORK: &str = "6f1c2f3e-0b0a-4f7e-9d57-0123456789ab";

#[derive(Default)]
struct Backend {
    calls: Mutex<Vec<String>>,
    away: Mutex<bool>,
}

impl Backend {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

#[async_trait]
impl EndpointBackend for Backend {
    async fn resolve_network(&self, name: &str) -> Result<String> {
        if name == "lan" { Ok(NETWORK.into()) } else { Err(Error::not_found("", format!("no network {name}"))) }
    }
    async fn create_endpoint(&self, request: &EndpointRequest) -> Result<Endpoint> {
        if *self.away.lock().unwrap() {
            return Err(Error::unavailable("", "the control plane is away"));
        }
        self.note(format!("create {:?} {:?}", request.network_id, request.port_id));
        Ok(Endpoint {
            port_id: request.port_id.clone().unwrap_or_else(|| "made".into()),
            network_id: NETWORK.into(),
            mac: "fa:16:3e:00:00:01".into(),
            address4: Some("10.0.0.5/24".parse().unwrap()),
            address6: Some("fd00::5/64".parse().unwrap()),
        })
    }
    async fn join(&self, endpoint: &PluggedEndpoint) -> Result<Joined> {
        let gateway4 = Some("10.0.0.1".parse().unwrap());
        Ok(Joined { source: format!("tc{}", endpoint.port_id), gateway4, ..Default::default() })
    }
    async fn delete_endpoint(&self, endpoint: &PluggedEndpoint) -> Result<()> {
        self.note(format!("delete {} ad_hoc={}", endpoint.port_id, endpoint.ad_hoc));
        Ok(())
    }
    async fn release(&self, port: &LeftoverPort) -> Result<()> {
        if *self.away.lock().unwrap() {
            return Err(Error::unavailable("", "the control plane is away"));
        }
        self.note(format!("release {} {:?}", port.endpoint_id, port.port_id));
        Ok(())
    }
}

struct Plugin {
    socket: PathBuf,
    backend: Arc<Backend>,
    driver: Arc<Driver>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl Plugin {
    async fn start(folder: &Path) -> Self {
        let socket = folder.join("plugins/sahab.sock");
        let backend = Arc::new(Backend::default());
        let store = Arc::new(Store::open(&folder.join("state")).await.unwrap());
        let driver = Arc::new(Driver::new(backend.clone(), store));
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (path, serving) = (socket.clone(), driver.clone());
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve(&path, serving, || ready.send(()).unwrap(), stopped).await
        });
        is_ready.await.unwrap();
        Plugin { socket, backend, driver, stop: Some(stop), task }
    }
    async fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
    async fn call(&self, name: &str, body: Value) -> Value {
        let (status, answer) = self.request("POST", &format!("/{name}"), &body.to_string()).await;
        assert_eq!(status, 200);
        serde_json::from_str(&answer).unwrap()
    }
    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn one_container_from_network_to_removal() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::start(folder.path()).await;
    assert_eq!(std::fs::metadata(&plugin.socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(plugin.call("Plugin.Activate", json!({})).await, json!({"Implements": ["NetworkDriver"]}));
    assert_eq!(plugin.call("NetworkDriver.GetCapabilities", json!({})).await["Scope"], "local");
    let network = json!({"NetworkID": "d1", "IPv4Data": [{"Pool": "0.0.0.0/0"}],
        "Options": {"com.docker.network.generic": {"sahab.network": NETWORK}}});
    assert_eq!(plugin.call("NetworkDriver.CreateNetwork", network).await, json!({}));
    let endpoint = json!({"NetworkID": "d1", "EndpointID": "e1", "Interface": {},
        "Options": {"sahab.port": "p1", "sahab.primary": "1", "com.docker.network.portmap": []}});
    let created = plugin.call("NetworkDriver.CreateEndpoint", endpoint.clone()).await;
    assert_eq!(
        created,
        json!({"Interface": {"Address": "10.0.0.5/24", "AddressIPv6": "fd00::5/64", "MacAddress": "fa:16:3e:00:00:01"}})
    );
    plugin.stop().await;

    // The driver is started anew; the control plane is away.
    let plugin = Plugin::start(folder.path()).await;
    *plugin.backend.away.lock().unwrap() = true;
    let joined = plugin.call("NetworkDriver.Join", json!({"NetworkID": "d1", "EndpointID": "e1"})).await;
    assert_eq!((&joined["Gateway"], &joined["InterfaceName"]["SrcName"]), (&json!("10.0.0.1"), &json!("tcp1")));
    let refused = plugin.call("NetworkDriver.CreateEndpoint", endpoint).await;
    assert_eq!(refused, json!({"Err": "the control plane is away"}));
    let end = json!({"NetworkID": "d1", "EndpointID": "e1"});
    assert_eq!(plugin.call("NetworkDriver.Leave", end.clone()).await, json!({}));
    assert_eq!(plugin.call("NetworkDriver.DeleteEndpoint", end.clone()).await, json!({}));
    assert_eq!(plugin.call("NetworkDriver.DeleteEndpoint", end).await, json!({}));
    assert_eq!(plugin.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "d1"})).await, json!({}));
    assert_eq!(plugin.call("NetworkDriver.DeleteNetwork", json!({"NetworkID": "d1"})).await, json!({}));
    assert_eq!(*plugin.backend.calls.lock().unwrap(), ["delete p1 ad_hoc=false"]);
    plugin.stop().await;
}

#[tokio::test]
async fn by_hand_a_port_is_made_and_released() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::start(folder.path()).await;
    let network =
        |name: &str| json!({"NetworkID": "d1", "Options": {"com.docker.network.generic": {"sahab.network": name}}});
    assert_eq!(plugin.call("NetworkDriver.CreateNetwork", network("wan")).await, json!({"Err": "no network wan"}));
    assert_eq!(plugin.call("NetworkDriver.CreateNetwork", network("lan")).await, json!({}));
    let endpoint = |id: &str, mac: &str| json!({"NetworkID": "d1", "EndpointID": id, "Interface": {"MacAddress": mac}});
    let created = plugin.call("NetworkDriver.CreateEndpoint", endpoint("e1", "")).await;
    assert_eq!(created["Interface"]["Address"], "10.0.0.5/24");
    let joined = plugin.call("NetworkDriver.Join", json!({"EndpointID": "e1"})).await;
    assert_eq!(joined["Gateway"], "10.0.0.1");
    plugin.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e1"})).await;
    // A MAC that is not the port's: nothing of the attempt stays.
    let refused = plugin.call("NetworkDriver.CreateEndpoint", endpoint("e2", "02:00:00:00:00:01")).await;
    assert!(refused["Err"].as_str().unwrap().contains("MAC address"));
    plugin.driver.clean_up().await.unwrap();
    let create = format!("create Some({NETWORK:?}) None");
    let calls = || std::mem::take(&mut *plugin.backend.calls.lock().unwrap());
    let (delete, made) = ("delete made ad_hoc=true", |endpoint: &str| format!("release {endpoint} Some(\"made\")"));
    assert_eq!(calls(), [&create, delete, &made("e1"), &create, delete, &made("e2")]);

    // While the control plane is away the container goes; its port is released later.
    plugin.call("NetworkDriver.CreateEndpoint", endpoint("e3", "")).await;
    *plugin.backend.away.lock().unwrap() = true;
    assert_eq!(plugin.call("NetworkDriver.DeleteEndpoint", json!({"EndpointID": "e3"})).await, json!({}));
    plugin.call("NetworkDriver.CreateEndpoint", endpoint("e4", "")).await;
    assert!(plugin.driver.clean_up().await.is_err());
    *plugin.backend.away.lock().unwrap() = false;
    plugin.driver.clean_up().await.unwrap();
    plugin.driver.clean_up().await.unwrap();
    assert_eq!(calls(), [&create, delete, &made("e3"), "release e4 None"]);
    plugin.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::start(folder.path()).await;
    let err = |value: Value| value["Err"].as_str().unwrap().to_owned();
    assert!(err(plugin.call("NetworkDriver.CreateNetwork", json!({"NetworkID": "d"})).await).contains("sahab.network"));
    let pool = json!({"NetworkID": "d", "IPv4Data": [{"Pool": "10.0.0.0/8"}],
        "Options": {"com.docker.network.generic": {"sahab.network": NETWORK}}});
    assert!(err(plugin.call("NetworkDriver.CreateNetwork", pool).await).contains("--ipam-driver null"));
    assert!(
        err(plugin.call("NetworkDriver.CreateEndpoint", json!({"NetworkID": "d", "EndpointID": "e"})).await)
            .contains("anew")
    );
    assert!(err(plugin.call("NetworkDriver.Join", json!({"EndpointID": "e"})).await).contains("unknown endpoint"));
    assert!(err(plugin.call("NetworkDriver.Join", json!([])).await).contains("bad request"));
    assert_eq!(plugin.request("GET", "/Plugin.Activate", "").await.0, 405);
    assert_eq!(plugin.request("POST", "/NetworkDriver.Other", "{}").await.0, 404);
    let second = serve(&plugin.socket, plugin.driver.clone(), || {}, std::future::pending()).await;
    assert!(second.unwrap_err().is_conflict());
    // Somebody cleans up too much.
    let socket = plugin.socket.clone();
    std::fs::remove_file(&socket).unwrap();
    while UnixStream::connect(&socket).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(plugin.call("Plugin.Activate", json!({})).await["Implements"][0], "NetworkDriver");
    plugin.stop().await;
    assert!(!socket.exists());
    // A socket that a killed process left behind is taken over.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    Plugin::start(folder.path()).await.stop().await;
}
