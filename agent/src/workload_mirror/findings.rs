//! What a pass found out about a mirror and its Images, and what follows for its conditions. Pure but for the writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{
    MAX_NAMED_IN_STATUS, MirrorConflict, ON_THE_FLY_LABEL, UNUSED_SINCE_ANNOTATION, WorkloadCounts,
    WorkloadMode, WorkloadPlatformMode,
};
use imgop_core::readiness::Readiness;
use imgop_core::time::remaining;
use imgop_core::workloads::{
    ChildImage, Finding, Plan, PlannedChild, Situation, WorkloadRequest, mirrored_images, plan,
};
use imgop_registry::oci::PlatformSelector;

use super::gather::{Gathered, Unseen};
use super::halt::Halt;
use super::on_the_fly::Pulls;
use super::status::Observed;
use super::unasked::Unasked;
use super::{Conclusion, Memory, Pass};
use crate::children::{
    CORRECTION_INTERVAL, Desired, Findings, Gone, Mirrored, Requests, Standing, WRITE_INTERVAL, as_u32,
};

/// What labels hold that say yes.
const TRUE: &str = "true";
/// How often it is looked whether more namespaces let themselves be seen. The API server is asked less often.
const GRANT_INTERVAL: Duration = Duration::from_mins(1);

impl Pass<'_> {
    /// Works out what is to be mirrored, writes what differs, and returns what is reported.
    pub(super) async fn follow(
        &self,
        request: &WorkloadRequest,
        mut gathered: Gathered,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        let is_active = self.mirror.spec.mode == WorkloadMode::Active;
        let pulls = if is_active {
            self.look_for(request, &gathered, &mut memory.on_the_fly).await?
        } else {
            Pulls::default()
        };
        let used = std::mem::take(&mut gathered.in_use.usage).into_images();
        let owned = self.children().owned();
        let children: Vec<ChildImage> = owned.iter().filter_map(ChildImage::read).collect();
        let (targets, node_platforms) =
            (self.targets(&gathered.sight.namespaces), self.node_platforms().await?);
        let mut architectures = BTreeMap::new();
        let situation = Situation {
            mirror: self.name(),
            used: &used,
            is_complete: gathered.is_complete,
            children: &children,
            found: &pulls.found,
            targets: &targets,
            max_tags: self.agent().config.max_tags_per_image.into(),
            node_platforms: &node_platforms,
            architectures: &BTreeMap::new(),
            now: self.now,
        };
        if is_active {
            let asked = mirrored_images(request, &situation);
            architectures = self.architectures(request, &asked, &mut memory.architectures).await?;
        }
        let plan = plan(request, &Situation { architectures: &architectures, ..situation });
        let mirrored: Vec<Mirrored> = owned.iter().map(Mirrored::of).collect();
        let mut conclusion = match self.mirror.spec.mode {
            WorkloadMode::Active => self.write(request, &gathered, (&plan, &pulls), mirrored, memory).await?,
            mode => self.only_look(request, mode, (&gathered, &plan), &mirrored, memory).await?,
        };
        let is_reading = is_active && memory.architectures.is_open;
        let open = gathered.is_open.then_some(WRITE_INTERVAL);
        // A right that was given, and a watch that works again, are seen soon.
        let unknown = (!gathered.is_complete || is_reading).then_some(CORRECTION_INTERVAL);
        let unread = memory.architectures.retry_wait(self.now).filter(|_| is_active);
        let more = (is_active && memory.architectures.has_more).then_some(WRITE_INTERVAL);
        let unseen = gathered.unseen.map(|_| GRANT_INTERVAL);
        let asked_again = gathered.opted_out.asked_again;
        let leaves = plan.next_to_leave(request.retention, self.now).filter(|_| is_active);
        let leaves = leaves.map(|at| remaining(at, self.now));
        let waits = [pulls.wait, open, unknown, unread, more, asked_again, unseen, leaves];
        let waits = waits.into_iter().flatten();
        conclusion.wait = conclusion.wait.into_iter().chain(waits).min();
        Ok(conclusion)
    }

    /// Returns the platforms of all nodes, where they matter.
    async fn node_platforms(&self) -> Result<BTreeSet<PlatformSelector>, Halt> {
        if self.mirror.spec.platforms.mode != WorkloadPlatformMode::Nodes {
            return Ok(BTreeSet::new());
        }
        let platforms = self.mirrors.owners.platforms(&BTreeSet::new()).await?;
        Ok(platforms.values().filter_map(|text| text.parse().ok()).collect())
    }

    /// Compares the Images with a plan, and writes what differs.
    async fn write(
        &self,
        request: &WorkloadRequest,
        gathered: &Gathered,
        (plan, pulls): (&Plan<'_>, &Pulls),
        mirrored: Vec<Mirrored>,
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        let desired: Vec<Desired> = plan.children.iter().map(|child| desired(request, child)).collect();
        // What is not asked for was kept for long enough; while not everything is known, nothing was.
        let gone = if gathered.is_complete { Gone::Deleted(&plan.gone) } else { Gone::Kept };
        let remembered = (&mut memory.looks, &mut memory.children);
        let (changes, open) = self.keep(&desired, &mirrored, gone, remembered).await?;
        let asked_for = gathered.asked_for;
        memory.looks.is_busy |= asked_for > 0;
        let refused = memory.children.refused();
        let standing = Standing::of(&desired, &mirrored, &changes, &refused);
        let (tags, failing) = (standing.tags(), standing.failing());
        let is_placing = memory.architectures.is_open && plan.counts.without_architectures > 0;
        let is_known_soon = gathered.is_to_be_complete() || is_placing;
        let mut readiness = readiness(&standing, plan, open, is_known_soon);
        add_notes(&mut readiness, gathered, plan, memory.architectures.first_unasked());
        let of_pulls = pulls.notes();
        readiness.conditions.iter_mut().for_each(|condition| condition.message.push_str(&of_pulls));
        readiness.conditions.push(standing.condition());
        readiness.progress = Some(format!("{}/{}", tags.synced, plan.counts.tags));
        let mut observed = Observed { failing, ..observed(plan, gathered) };
        observed.counts.synced = tags.synced;
        observed.counts.failed = tags.failed;
        observed.counts.origin_not_found = as_u32(pulls.not_found);
        let wait = memory.children.suspension_wait();
        // A sync is handled once all were asked that it is to ask.
        Ok(self.conclude((readiness, observed), open + asked_for, wait, &mut memory.looks))
    }

    /// Reports what would be mirrored. Images that an earlier spec has made are suspended.
    async fn only_look(
        &self,
        request: &WorkloadRequest,
        mode: WorkloadMode,
        (gathered, plan): (&Gathered, &Plan<'_>),
        mirrored: &[Mirrored],
        memory: &mut Memory,
    ) -> Result<Conclusion, Halt> {
        // An earlier spec may have made some.
        self.suspend_images(mirrored, &mut memory.looks, &mut memory.children).await?;
        memory.looks.is_busy |= gathered.asked_for > 0;
        let tags = plan.counts.tags;
        let mut observed = observed(plan, gathered);
        let mut unasked = None;
        let (summary, progress) = if mode == WorkloadMode::Observe {
            let seen = self.observe(request, &plan.children, memory).await?;
            observed.counts.synced = as_u32(seen.same);
            let texts = (seen.summary(tags), format!("{}/{tags}", seen.same));
            (observed.failing, unasked) = (seen.failing, seen.first_unasked);
            texts
        } else {
            (format!("{tags} tags would be mirrored; mode Plan makes nothing"), format!("0/{tags}"))
        };
        let mut readiness = match (memory.children.not_suspended(), plan.findings.first(), unasked) {
            // They go on copying.
            (Some(why), _, _) => Readiness::retrying(reasons::IMAGE_REFUSED, format!("{why}; {summary}")),
            (None, Some(finding), _) => stalled(finding, &summary),
            (None, None, Some(unasked)) => Readiness::retrying(unasked.reason, summary),
            (None, None, None) => Readiness::ready(summary),
        };
        readiness.progress = Some(progress);
        add_notes(&mut readiness, gathered, plan, None);
        let has_ended = !memory.looks.is_busy && std::mem::take(&mut memory.looks.is_syncing);
        let handled = if memory.looks.is_busy { Requests::default() } else { self.requests.clone() };
        let findings = Findings { observed: Some(observed), has_ended, ..Findings::of(readiness, handled) };
        let wait = memory.children.suspension_wait();
        Ok(Conclusion { findings: Some(findings), wait, has_looked: true })
    }
}

/// Returns an Image that a plan asks for.
fn desired(request: &WorkloadRequest, child: &PlannedChild) -> Desired {
    let unused = child.unused_since.annotation();
    let annotations = unused.map(|unused| (UNUSED_SINCE_ANNOTATION, unused)).into_iter().collect();
    let labels = child.is_on_the_fly.then(|| (ON_THE_FLY_LABEL, TRUE.to_owned())).into_iter().collect();
    Desired::new(child.name.clone(), request.image_spec(child), annotations, labels)
}

fn readiness(standing: &Standing<'_>, plan: &Plan<'_>, open: usize, is_known_soon: bool) -> Readiness {
    let summary = standing.summary();
    if open > 0 {
        Readiness::progressing(format!("{summary}; {open} are being written"))
    } else if let Some(absent) = standing.absent("WorkloadMirror") {
        absent
    } else if let Some(finding) = plan.findings.first() {
        stalled(finding, &summary)
    } else if is_known_soon {
        Readiness::progressing(format!("{summary}; not everything that runs is known"))
    } else {
        standing.readiness()
    }
}

/// Returns what is reported of what only a user can help.
fn stalled(finding: &Finding, summary: &str) -> Readiness {
    let reason = match finding {
        Finding::Contested { .. } => reasons::ENTRIES_CONFLICT,
        Finding::Unplaced { .. } => reasons::INVALID_SPEC,
        Finding::TooManyImages { .. } | Finding::TooManyTags { .. } => reasons::TOO_MANY_TAGS,
    };
    Readiness::stalled(reason, format!("{finding}; {summary}"))
}

/// Adds what is worth saying of what is not known. `unread` is why the first platforms could not be read.
fn add_notes(readiness: &mut Readiness, gathered: &Gathered, plan: &Plan<'_>, unread: Option<&Unasked>) {
    let notes = notes(gathered, plan.counts.without_architectures, unread).concat();
    readiness.conditions.iter_mut().for_each(|condition| condition.message.push_str(&notes));
}

/// Returns what is worth saying of what is not known. Names of namespaces that are not seen are not the mirror's business.
fn notes(gathered: &Gathered, without_architectures: usize, unread: Option<&Unasked>) -> Vec<String> {
    let mut notes = Vec::new();
    let mut add = |note: &str| notes.push(format!("; {note}"));
    if gathered.has_unwatched {
        add(
            "spec.namespaces can select namespaces that the agent does not watch (its WATCH_NAMESPACES): what they use is not \
             known, and no image counts as unused",
        );
    }
    if let Some(object) = &gathered.in_use.unreadable {
        add(&format!(
            "{object} is too large to be read, or names more images than the agent keeps of one object, of its namespace or of \
             all (its MAX_OBJECT_BYTES_PER_NAMESPACE, MAX_OBJECT_BYTES): until that is otherwise no image counts as unused"
        ));
    }
    if without_architectures > 0 {
        let first = unread.map(|first| format!("; the first: {}", first.message)).unwrap_or_default();
        add(&format!(
            "images without a place, as their platforms are not known ($arch in spec.destination.prefix; mode Active reads \
             them at their sources): {without_architectures}{first}"
        ));
    }
    match gathered.unseen {
        Some(Unseen::Named) => add(
            "a namespace that spec.namespaces names is not there, or does not let this one mirror its pods (ClusterRole \
             imgop-workload-mirror)",
        ),
        Some(Unseen::Selected) => add(
            "of the namespaces that spec.namespaces selects, those are looked at that let this one mirror their pods \
             (ClusterRole imgop-workload-mirror)",
        ),
        None => {}
    }
    if !gathered.sight.withdrawn.is_empty() {
        add(
            "one that was looked at may not be looked at any more: until it lets itself again, is excluded or is deleted, \
             no image counts as unused",
        );
    }
    notes
}

fn observed(plan: &Plan<'_>, gathered: &Gathered) -> Observed {
    let counts = &plan.counts;
    let contested = plan.findings.iter().filter_map(|finding| match finding {
        Finding::Contested { destination, kept, left_out } => {
            let sources = [kept.clone()].into_iter().chain(left_out.iter().take(1).cloned()).collect();
            Some(MirrorConflict { destination: destination.clone(), sources })
        }
        _ => None,
    });
    Observed {
        counts: WorkloadCounts {
            workloads: as_u32(counts.workloads),
            pods: gathered.in_use.pods,
            images: as_u32(counts.images),
            repositories: as_u32(counts.repositories),
            pinned: as_u32(counts.pinned),
            excluded: as_u32(counts.excluded),
            waiting_for_digest: as_u32(counts.waiting_for_digest),
            retained: as_u32(counts.retained),
            ..WorkloadCounts::default()
        },
        conflict_count: as_u32(contested.clone().count()),
        conflicts: contested.take(MAX_NAMED_IN_STATUS).collect(),
        failing: Vec::new(),
        seen_namespaces: gathered.sight.marks.clone(),
    }
}
