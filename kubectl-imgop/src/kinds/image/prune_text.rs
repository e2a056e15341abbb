//! What becomes of tags of the destination that are no longer selected, in words.

use imgop_core::api::{ImageSpec, ImageStatus, PrunePolicy};

use crate::output::text::count;

/// Returns what is deleted, and when; none where nothing is.
pub fn prune(spec: &ImageSpec, status: Option<&ImageStatus>) -> Option<String> {
    let prune = spec.destination.prune.as_deref()?;
    let keep = prune.keep.filter(|keep| *keep > 0).map(|keep| format!(", the newest {keep} of them stay"));
    let age = prune.min_age.as_deref().unwrap_or("7d");
    let verb = match prune.policy {
        PrunePolicy::DryRun => "would be deleted (policy DryRun)",
        PrunePolicy::Delete => "are deleted",
    };
    let rule = format!(
        "tags that this Image has put {verb} once they are not selected for {age}{}",
        keep.unwrap_or_default()
    );
    let Some(found) = status.and_then(|status| status.prune.as_deref()) else { return Some(rule) };
    let more = usize::try_from(found.due).unwrap_or(usize::MAX).saturating_sub(found.next.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let due = match found.due {
        0 => "none now".to_owned(),
        _ => format!("now {}{more}", found.next.join(", ")),
    };
    let waiting = found.unselected.len().saturating_sub(usize::try_from(found.due).unwrap_or(usize::MAX));
    let waiting = match waiting {
        0 => String::new(),
        waiting => format!("; {} not selected any more", count(waiting, "other tag")),
    };
    let message = found.message.as_ref().map(|message| format!("; {message}")).unwrap_or_default();
    Some(format!("{rule}: {due}{waiting}{message}"))
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Destination, Mode, Prune, PruneStatus, Source};

    use super::*;

    #[test]
    fn what_is_deleted_is_said_with_its_tags_and_what_keeps_them() {
        let said = |policy, prune: Option<PruneStatus>| {
            let mut destination = Destination::new("registry.example.com/app");
            destination.prune = Some(Box::new(Prune { policy, keep: Some(3), min_age: None }));
            let spec = ImageSpec::new(Mode::Recurrent, Source::new("quay.io/a/b", "2.x"), destination);
            let status = ImageStatus { prune: prune.map(Box::new), ..ImageStatus::default() };
            prune_text(&spec, &status)
        };
        let found = PruneStatus {
            due: 3,
            next: vec!["1.0".into(), "1.1".into()],
            message: Some("the registry deletes no tags".into()),
            ..PruneStatus::default()
        };
        let all = [said(PrunePolicy::DryRun, None), said(PrunePolicy::Delete, Some(found))];
        insta::assert_snapshot!(all.join("\n"), @"
        tags that this Image has put would be deleted (policy DryRun) once they are not selected for 7d, the newest 3 of them stay
        tags that this Image has put are deleted once they are not selected for 7d, the newest 3 of them stay: now 1.0, 1.1 and 1 more; the registry deletes no tags
        ");
    }

    fn prune_text(spec: &ImageSpec, status: &ImageStatus) -> String {
        prune(spec, Some(status)).unwrap()
    }
}
