//! A control plane in memory: networks with ports, and what the agent reports.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Mutex,
    time::Duration,
};

use async_trait::async_trait;
use ipnet::{IpNet, Ipv4Net};
use sahab_contract::{
    Error, Result,
    container::Attachment,
    network::{
        AdHocPort, AdHocPorts, Direction, Dirty, GroupPlan, NetworkPlan, NetworkPlans, NetworkReport, PortKind,
        PortPlan, Remote, RouterPlan, RulePlan, SubnetPlan,
    },
};
use tokio::sync::broadcast;
use uuid::Uuid;

pub struct Control {
    state: Mutex<State>,
    nudges: broadcast::Sender<Dirty>,
}

#[derive(Default)]
struct State {
    networks: BTreeMap<String, (String, NetworkPlan)>,
    active: BTreeSet<String>,
    made_by_hand: BTreeMap<String, String>,
    away: bool,
}

pub fn id() -> String {
    Uuid::new_v4().to_string()
}

impl Control {
    pub fn new() -> Self {
        Control { state: Mutex::default(), nudges: broadcast::channel(64).0 }
    }

    pub fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    /// A network `10.<number>.0.0/24` whose only group lets everything pass.
    pub fn add_network(&self, id: &str, name: &str, number: u8) {
        let subnet = Ipv4Net::new(Ipv4Addr::new(10, number, 0, 0), 24).unwrap();
        let rule = |direction| RulePlan { direction, ipv6: false, protocol: None, range: None, remote: Remote::Any };
        let group = GroupPlan {
            id: group_of(id),
            stateful: true,
            rules: vec![rule(Direction::Egress), rule(Direction::Ingress)],
        };
        let plan = NetworkPlan {
            id: id.into(),
            mtu: 1400,
            subnets: vec![SubnetPlan {
                id: self::id(),
                cidr: IpNet::V4(subnet),
                gateway: Some(gateway(number)),
                dns_nameservers: vec![],
                host_routes: vec![],
            }],
            groups: vec![group],
            ..Default::default()
        };
        self.state.lock().unwrap().networks.insert(id.into(), (name.into(), plan));
        self.nudge(id);
    }
    pub fn remove_network(&self, id: &str) {
        self.state.lock().unwrap().networks.remove(id);
        self.nudge(id);
    }

    pub fn add_port(&self, network: &str, device: &str) -> Attachment {
        let (attachment, _) = self.allocate(network, device).unwrap();
        self.nudge(network);
        attachment
    }

    fn allocate(&self, network: &str, device: &str) -> Result<(Attachment, String)> {
        let mut state = self.state.lock().unwrap();
        let (_, plan) = state.networks.get_mut(network).ok_or_else(|| Error::not_found("", "no such network"))?;
        let IpNet::V4(subnet) = plan.subnets[0].cidr else { panic!("IPv4 only") };
        let number = subnet.network().octets()[1];
        let taken = |last: u8| {
            plan.ports.iter().any(|port| port.addresses[0].addr() == IpAddr::V4(Ipv4Addr::new(10, number, 0, last)))
        };
        let last = (10..250).find(|last| !taken(*last)).unwrap();
        let address = Ipv4Addr::new(10, number, 0, last);
        let port = PortPlan {
            id: id(),
            kind: PortKind::Container,
            device_id: device.into(),
            mac: format!("fa:16:3e:{number:02x}:00:{last:02x}"),
            addresses: vec![IpNet::V4(Ipv4Net::new(address, 24).unwrap())],
            admin_up: true,
            port_security: true,
            groups: vec![group_of(network)],
            allowed_pairs: vec![],
            gateway4: Some(gateway(number)),
            gateway6: None,
            host_routes: vec![("172.31.0.0/16".parse().unwrap(), IpAddr::V4(Ipv4Addr::new(10, number, 0, 2)))],
            mtu: 1400,
        };
        let attachment = Attachment {
            network_id: network.into(),
            port_id: port.id.clone(),
            mac: port.mac.clone(),
            addresses: vec![IpAddr::V4(address)],
            primary: false,
            aliases: vec![],
            dns: vec![],
        };
        let id = port.id.clone();
        plan.ports.push(port);
        Ok((attachment, id))
    }

    pub fn remove_port(&self, port: &str) {
        let mut touched = Vec::new();
        {
            let mut state = self.state.lock().unwrap();
            state.active.remove(port);
            for (id, (_, plan)) in &mut state.networks {
                let before = plan.ports.len();
                plan.ports.retain(|known| known.id != port);
                if plan.ports.len() != before {
                    touched.push(id.clone());
                }
            }
        }
        touched.iter().for_each(|id| self.nudge(id));
    }

    /// Takes the rules of the network's group away, or gives them back.
    pub fn allow_ingress(&self, network: &str, allow: bool) {
        {
            let mut state = self.state.lock().unwrap();
            let rules = &mut state.networks.get_mut(network).unwrap().1.groups[0].rules;
            rules.retain(|rule| rule.direction == Direction::Egress);
            if allow {
                let ingress = RulePlan { direction: Direction::Ingress, ..rules[0].clone() };
                rules.push(ingress);
            }
        }
        self.nudge(network);
    }

    pub async fn until_active(&self, port: &str, active: bool) {
        let wait = async {
            while self.state.lock().unwrap().active.contains(port) != active {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the port's state was not told");
    }
    pub fn made_by_hand(&self) -> Vec<String> {
        self.state.lock().unwrap().made_by_hand.values().cloned().collect()
    }

    fn nudge(&self, network: &str) {
        let _ = self.nudges.send(Dirty::Network(network.into()));
    }
    fn here(&self) -> Result<()> {
        if self.state.lock().unwrap().away { Err(Error::unavailable("", "away")) } else { Ok(()) }
    }
}

fn gateway(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, number, 0, 1))
}

fn group_of(network: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, network.as_bytes()).to_string()
}

#[async_trait]
impl NetworkPlans for Control {
    async fn inventory(&self, _host: &str) -> Result<(Vec<String>, Vec<String>)> {
        self.here()?;
        Ok((self.state.lock().unwrap().networks.keys().cloned().collect(), vec![]))
    }
    async fn network(&self, _host: &str, id: &str) -> Result<Option<NetworkPlan>> {
        self.here()?;
        Ok(self.state.lock().unwrap().networks.get(id).map(|(_, plan)| plan.clone()))
    }
    async fn router(&self, _host: &str, _id: &str) -> Result<Option<RouterPlan>> {
        self.here()?;
        Ok(None)
    }
    fn subscribe(&self) -> broadcast::Receiver<Dirty> {
        self.nudges.subscribe()
    }
    async fn report(&self, _host: &str, report: NetworkReport) -> Result<()> {
        self.here()?;
        let mut state = self.state.lock().unwrap();
        state.active.extend(report.ports_active);
        for port in report.ports_down {
            state.active.remove(&port);
        }
        Ok(())
    }
}

#[async_trait]
impl AdHocPorts for Control {
    async fn resolve(&self, network: &str) -> Result<String> {
        self.here()?;
        let state = self.state.lock().unwrap();
        let found = state.networks.iter().find(|(id, (name, _))| *id == network || name == network);
        found.map(|(id, _)| id.clone()).ok_or_else(|| Error::not_found("", format!("no network {network}")))
    }
    async fn create(&self, _host: &str, network: &str, endpoint_id: &str) -> Result<AdHocPort> {
        self.here()?;
        let known = self.state.lock().unwrap().made_by_hand.get(endpoint_id).cloned();
        let port_id = match known {
            Some(id) => id,
            None => {
                let (_, id) = self.allocate(network, endpoint_id)?;
                self.state.lock().unwrap().made_by_hand.insert(endpoint_id.into(), id.clone());
                self.nudge(network);
                id
            }
        };
        Ok(AdHocPort { port_id, network_id: network.into() })
    }
    async fn release(&self, port_id: &str) -> Result<()> {
        self.here()?;
        self.state.lock().unwrap().made_by_hand.retain(|_, port| port != port_id);
        self.remove_port(port_id);
        Ok(())
    }
}
