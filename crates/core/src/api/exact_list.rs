//! Lists that thousands of objects in memory have.

use serde::{Deserialize, Deserializer};

/// Reads a list without room for more entries: it is read from an object that is watched, and not added to.
pub(super) fn exact_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut list = Vec::deserialize(deserializer)?;
    list.shrink_to_fit();
    Ok(list)
}

#[cfg(test)]
mod tests {
    use crate::api::ImageStatus;

    #[test]
    fn the_lists_of_a_status_that_was_read_have_no_room_for_more() {
        let condition = |type_: &str| {
            serde_json::json!({ "type": type_, "status": "True", "reason": "Succeeded", "message": "",
                "lastTransitionTime": "2026-11-28T12:00:00Z" })
        };
        let status = serde_json::json!({
            "conditions": [condition("Ready"), condition("Reconciling")],
            "history": [{ "performedAt": "2026-11-28T12:00:00Z", "copied": 1, "failed": 0 }],
        });
        let status: ImageStatus = serde_json::from_value(status).unwrap();
        assert_eq!((status.conditions.capacity(), status.history.capacity()), (2, 1));
        assert_eq!(serde_json::from_str::<ImageStatus>("{}").unwrap(), ImageStatus::default());
    }
}
