//! The end of a blob by an erasure: what was ordered of others is taken back, what is here is destroyed.
//!
//! Which blobs end, and when, is decided in `records`.

use hospes_protocol::ids::{ContentId, NodeId, ObjectId};
use hospes_protocol::personal::RecordEntry;
use hospes_storage::Write;

use super::blob;
use crate::effects::Event;
use crate::service::{Fatal, Service};

impl Service {
    /// What orders every node that was ordered to hold a record's blob to drop it, and those nodes.
    pub(crate) fn take_back(
        &mut self,
        content: &ContentId,
        record: &RecordEntry,
    ) -> Result<(Vec<Write>, Vec<NodeId>), Fatal> {
        let (mut writes, mut nodes) = (self.forget_given(&record.manifest)?, Vec::new());
        for (node, stands) in self.given(&record.manifest)? {
            if stands {
                writes.extend(self.give(content, record, &node, 0)?);
            }
            nodes.push(node);
        }
        Ok((writes, nodes))
    }

    /// Nodes that were ordered to hold a record's blob and are not known to have dropped it.
    pub(crate) fn ordered_nodes(&self, root: &ObjectId) -> Result<Vec<NodeId>, Fatal> {
        Ok(self.given(root)?.into_iter().map(|(node, _)| node).collect())
    }

    /// How many objects of a blob are here.
    pub(crate) fn objects_of(&self, root: &ObjectId) -> Result<u64, Fatal> {
        Ok(blob::to_serve(&*self.objects, root, 0)?.map_or(0, |ids| ids.len() as u64))
    }

    /// Destroys what is here of a blob, whoever ordered it; one that is destroyed already stays so.
    pub(crate) fn end_blob(&mut self, root: &ObjectId) -> Result<(), Fatal> {
        let orders = self.objects.orders(root)?;
        let mut writes: Vec<_> = orders.iter().map(|o| Write::DropOrder(*root, o.organization)).collect();
        writes.push(Write::DropReceipts(*root));
        writes.extend(self.visits_of(root)?);
        self.write(&writes)?;
        self.stop_fetch(root)?;
        blob::destroy(&*self.objects, root)?;
        self.event(Event::Object { root: *root, held: false });
        Ok(())
    }
}
