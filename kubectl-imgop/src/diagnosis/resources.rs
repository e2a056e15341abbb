//! What Images and ImageBuilders say of themselves.

use imgop_core::api::conditions::{READY, RECONCILING, STALLED, reasons};
use serde_json::Value;

use super::checks::{Check, Verdict};
use crate::cluster::Cluster;
use crate::cluster::objects::FoundObject;
use crate::output::text::count;

const AREA: &str = "resource";

/// Returns a check for each resource that is not ready, and one for all others.
pub fn checks(cluster: &Cluster, objects: &[FoundObject]) -> Vec<Check> {
    let mut checks: Vec<Check> = objects.iter().filter_map(|found| judge(&cluster.place(), found)).collect();
    let well = objects.len() - checks.len();
    if well > 0 || objects.is_empty() {
        let message = format!("{} ready, suspended or at work", count(well, "resource"));
        checks.insert(0, Check::ok(AREA, &cluster.namespace, message));
    }
    checks
}

fn judge(place: &str, found: &FoundObject) -> Option<Check> {
    let name = found.reference().to_string();
    let look = format!("kubectl imgop describe {name}{place}");
    if found.is_suspended() {
        return None;
    }
    let conditions = found.object.data.pointer("/status/conditions").and_then(Value::as_array);
    let Some(conditions) = conditions.filter(|conditions| !conditions.is_empty()) else {
        let check = Check::new(AREA, name, Verdict::Warn, "the agent has not reconciled it yet");
        return Some(check.repaired("see what is said of the agent and of the namespace above"));
    };
    let of_type = |type_: &str| conditions.iter().find(|condition| condition["type"] == type_);
    let is_true = |type_: &str| of_type(type_).is_some_and(|condition| condition["status"] == "True");
    let ready = of_type(READY)?;
    let (reason, message) =
        (ready["reason"].as_str().unwrap_or_default(), ready["message"].as_str().unwrap_or_default());
    let words = format!("{reason}: {message}");
    // What is wrong with the namespace is said of the namespace.
    if ready["status"] == "True" || reason == reasons::NAMESPACE_NOT_ENABLED {
        return None;
    }
    if is_true(STALLED) {
        return Some(Check::fail(AREA, name, words).repaired(look));
    }
    if matches!(reason, reasons::PROGRESSING | reasons::SUSPENDED) {
        return None;
    }
    let verdict = if is_true(RECONCILING) { Verdict::Warn } else { Verdict::Fail };
    Some(Check::new(AREA, name, verdict, words).repaired(look))
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Image;
    use serde_json::json;

    use super::*;
    use crate::kinds::Erased;

    fn judged(spec: &Value, conditions: &[(&str, &str, &str)]) -> Option<(Verdict, String)> {
        let condition = |(type_, status, reason): &(&str, &str, &str)| json!({ "type": type_, "status": status, "reason": reason, "message": "why" });
        let conditions: Vec<Value> = conditions.iter().map(condition).collect();
        let object =
            json!({ "metadata": { "name": "a" }, "spec": spec, "status": { "conditions": conditions } });
        let object = serde_json::from_value(object).unwrap();
        let found = FoundObject { kind: Erased::<Image>::REF, object };
        judge(" -n ci", &found).map(|check| (check.result, check.message))
    }

    #[test]
    fn what_waits_for_a_change_fails_and_what_is_tried_again_is_a_warning() {
        let none = json!({});
        let stalled = [("Ready", "False", "TagNotFound"), ("Stalled", "True", "TagNotFound")];
        assert_eq!(judged(&none, &stalled), Some((Verdict::Fail, "TagNotFound: why".to_owned())));
        let retried = [("Ready", "False", "CopyFailed"), ("Reconciling", "True", "ProgressingWithRetry")];
        assert_eq!(judged(&none, &retried), Some((Verdict::Warn, "CopyFailed: why".to_owned())));
        assert_eq!(judged(&none, &[("Ready", "True", "Succeeded")]), None);
        assert_eq!(judged(&none, &[("Ready", "False", "Progressing")]), None, "it is at work");
        assert_eq!(judged(&json!({ "suspend": true }), &stalled), None);
        assert_eq!(judged(&none, &[]).map(|(verdict, _)| verdict), Some(Verdict::Warn));
    }
}
