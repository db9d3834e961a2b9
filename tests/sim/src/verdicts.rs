//! Verdicts: whether all who have an entry's body say the same of it in the end, whatever came first where.
//!
//! Asks the nodes only, and knows no rule by which an entry is judged. The watch calls it when all is well again, and
//! a day counts by it.

use hospes_protocol::ids::ContentId;
use hospes_service::records::Finality;

use crate::world::World;

impl World {
    /// What a node says of an entry; null where it has no body of it.
    pub(crate) fn verdict(&self, i: usize, content: &ContentId) -> Option<Finality> {
        let state = self.nodes[i].service.as_ref()?.entry_state(content).ok()??;
        Some(state.finality)
    }

    /// Entries that were reported durable, with what the first of these nodes says that has a body of them.
    pub(crate) fn verdicts(&self, nodes: &[usize]) -> Vec<(ContentId, Finality)> {
        let personal = self.people.reported.iter().filter(|r| r.personal && !self.is_erasing(r.patient));
        let said = |content| nodes.iter().find_map(|i| self.verdict(*i, content));
        personal.filter_map(|r| Some((r.content, said(&r.content)?))).collect()
    }

    /// Whether what a node says of an entry is what the first said, and that it is final where it is.
    pub(crate) fn agrees(&self, said: Finality, content: &ContentId, first: Finality) -> bool {
        said == first && (said != Finality::Signed || !self.watch.finals.contains_key(content))
    }

    /// Nodes that say different things of one entry, or that what is final is not.
    pub(crate) fn disagreement(&self, nodes: &[usize]) -> Option<String> {
        self.verdicts(nodes).into_iter().find_map(|(content, first)| {
            let one = |i: &usize| Some((*i, self.verdict(*i, &content)?));
            let (i, said) =
                nodes.iter().filter_map(one).find(|(_, said)| !self.agrees(*said, &content, first))?;
            Some(format!("node {i} says {said:?} of {content}, the first of those who have it {first:?}"))
        })
    }
}
