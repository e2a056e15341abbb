//! What is reported of a mirror that changes no Images.

use super::findings::{Conclusion, Findings};
use super::halt::Halt;
use super::{Memory, Pass};
use crate::children::{Mirrored, Requests, WRITE_INTERVAL};

impl Pass<'_> {
    /// Suspends the Images of a mirror that is suspended. Nothing else of them is changed, and nothing that runs is looked
    /// at.
    pub(super) async fn suspend(&self, memory: &mut Memory) -> Result<Conclusion, Halt> {
        let mirrored = self.children().mirrored();
        self.suspend_images(&mirrored, memory).await?;
        let wait = memory.looks.is_busy.then_some(WRITE_INTERVAL).or(memory.children.suspension_wait());
        Ok(Conclusion { findings: Some(self.suspended(memory)), wait, has_looked: false })
    }

    /// Suspends Images that an earlier spec has made.
    pub(super) async fn suspend_images(
        &self,
        mirrored: &[Mirrored],
        memory: &mut Memory,
    ) -> Result<(), Halt> {
        let children = self.children();
        children.forget_shown(mirrored, &mut memory.children);
        memory.looks.is_busy = children.suspend(mirrored, &mut memory.children).await?;
        Ok(())
    }

    fn suspended(&self, memory: &Memory) -> Findings {
        let status = self.mirror.status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let phase = status.and_then(|status| status.phase);
        let (readiness, generation) = memory.children.suspended(conditions, phase);
        Findings { generation, ..Findings::of(readiness, Requests::default()) }
    }
}
