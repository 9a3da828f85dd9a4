//! What a transcript may order the world to do, beside waiting.

use chat_consensus::{LogIndex, Position};

use crate::checker::Checked;
use crate::simulation::World;
use crate::simulation::process::Asked;
use crate::simulation::queue::{Happening, node_id, node_number};

impl World {
    /// The name that a transcript gave an operation, or its number.
    pub(super) fn operation_name(&self, operation: u64) -> String {
        let name = usize::try_from(operation).ok();
        name.and_then(|number| self.names.get(number.checked_sub(1)?))
            .map_or_else(|| format!("operation {operation:x}"), |name| format!("\"{name}\""))
    }
}
