//! Requests that change the links between nodes: they are disconnected, connected and slowed down.

use anyhow::{Result, bail};
use devcluster_api::{LinkShape, Links, NodeId};

use super::Supervisor;

impl Supervisor {
    pub(super) fn isolate(&mut self, node: NodeId) -> Result<String> {
        if self.state.links == Links::Direct {
            bail!("the links of this cluster are direct; none of its nodes can be isolated");
        }
        self.set_isolated(node, true)?;
        Ok(format!(
            "node {node} is isolated from the other nodes; `reconnect {node}` connects it again"
        ))
    }

    pub(super) fn shape(&mut self, node: NodeId, shape: Option<LinkShape>) -> Result<String> {
        if self.state.links == Links::Direct {
            bail!("the links of this cluster are direct and cannot be slowed down");
        }
        self.check_exists(node)?;
        self.links.shape(node, shape);
        Ok(match shape {
            Some(LinkShape {
                bits_per_second,
                delay_ms,
            }) => format!(
                "each link of node {node} carries {bits_per_second} bits a second, {delay_ms} ms later"
            ),
            None => format!("the links of node {node} are as fast as the machine"),
        })
    }

    pub(super) fn reconnect(&mut self, node: NodeId) -> Result<String> {
        self.set_isolated(node, false)?;
        Ok(format!("node {node} is connected to the other nodes"))
    }

    pub(super) fn reconnect_all(&mut self) -> Result<String> {
        for entry in &mut self.state.nodes {
            entry.isolated = false;
        }
        self.links.apply_isolation(&self.state);
        self.record()?;
        Ok("every node is connected to the others".to_owned())
    }

    fn set_isolated(&mut self, node: NodeId, isolated: bool) -> Result<()> {
        self.check_exists(node)?;
        let mut nodes = self.state.nodes.iter_mut();
        if let Some(entry) = nodes.find(|entry| entry.id == node) {
            entry.isolated = isolated;
        }
        self.links.apply_isolation(&self.state);
        self.record()
    }
}
