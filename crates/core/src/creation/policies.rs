//! Policies of a repository that several objects of a namespace create: each is set by the oldest object that has one of it.
//! Two that set different ones would replace each other's for ever.

use std::fmt;

use imgop_registry::reference::Repository;
use serde_json::Value;

use super::Creation;

/// A policy of a repository, by its field of `create`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyField {
    /// `lifecyclePolicy`
    Lifecycle,
    /// `accessPolicy`
    Access,
}

/// Another object that creates a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCreation {
    /// Its kind and name, for messages.
    pub object: String,
    /// What it says of the repository.
    pub creation: Creation,
}

/// A policy that is not set, because an older object sets another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YieldedPolicy {
    field: PolicyField,
    /// The object that sets it.
    object: String,
}

impl fmt::Display for PolicyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lifecycle => "lifecyclePolicy",
            Self::Access => "accessPolicy",
        })
    }
}

impl Creation {
    /// Returns whether it has a policy.
    pub fn has_policy(&self) -> bool {
        PolicyField::ALL.into_iter().any(|field| self.policy(field).is_some())
    }

    /// Returns which of its policies older objects of the namespace set otherwise; they are given the oldest first.
    pub fn yielded(&self, older: &[OtherCreation]) -> Vec<YieldedPolicy> {
        let yielded = |field: PolicyField| {
            let own = self.policy(field)?;
            let (owner, policy) =
                older.iter().find_map(|other| Some((other, other.creation.policy(field)?)))?;
            (policy != own).then(|| YieldedPolicy { field, object: owner.object.clone() })
        };
        PolicyField::ALL.into_iter().filter_map(yielded).collect()
    }

    /// Returns it without these policies.
    #[must_use]
    pub fn without(mut self, yielded: &[YieldedPolicy]) -> Self {
        for policy in yielded {
            match policy.field {
                PolicyField::Lifecycle => self.lifecycle_policy = None,
                PolicyField::Access => self.access_policy = None,
            }
        }
        self
    }

    fn policy(&self, field: PolicyField) -> Option<&Value> {
        match field {
            PolicyField::Lifecycle => self.lifecycle_policy.as_ref(),
            PolicyField::Access => self.access_policy.as_ref(),
        }
    }
}

impl PolicyField {
    const ALL: [Self; 2] = [Self::Lifecycle, Self::Access];
}

impl YieldedPolicy {
    /// Returns what users are told. `side` is the field of the spec that has `create`.
    pub fn message(&self, side: &str, repository: &Repository) -> String {
        let Self { field, object } = self;
        format!(
            "spec.{side}.create.{field} is not set, as {object}, which is older, sets another one of {repository}: give both \
             the same, or leave it out of one"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn creation(lifecycle: Option<u8>, access: Option<u8>) -> Creation {
        Creation {
            tags: BTreeMap::new(),
            scan_on_push: false,
            immutable: false,
            lifecycle_policy: lifecycle.map(|number| json!({ "rules": [number] })),
            access_policy: access.map(|number| json!({ "Statement": [number] })),
            adopt: false,
            role_arn: None,
        }
    }

    fn other(name: &str, lifecycle: Option<u8>, access: Option<u8>) -> OtherCreation {
        OtherCreation { object: format!("Image {name:?}"), creation: creation(lifecycle, access) }
    }

    #[test]
    fn each_policy_is_the_oldest_object_s_that_has_one_of_it_and_the_same_policy_is_no_conflict() {
        let own = creation(Some(1), Some(1));
        let fields = |older: &[OtherCreation]| -> Vec<String> {
            let yielded = own.yielded(older);
            yielded.iter().map(|policy| format!("{} {}", policy.field, policy.object)).collect()
        };
        assert_eq!(fields(&[]), [] as [&str; 0]);
        assert_eq!(fields(&[other("a", None, None), other("b", Some(1), None)]), [] as [&str; 0]);
        // That another one yields itself says nothing of its own.
        let of_first = [other("a", Some(1), None), other("b", Some(2), Some(2))];
        assert_eq!(fields(&of_first), [r#"accessPolicy Image "b""#]);
        let both = [other("a", Some(2), None), other("b", Some(1), Some(2))];
        assert_eq!(fields(&both), [r#"lifecyclePolicy Image "a""#, r#"accessPolicy Image "b""#]);
    }

    #[test]
    fn a_policy_that_is_an_older_object_s_is_left_out_and_said_with_both_and_the_fix() {
        let own = creation(Some(1), Some(1));
        let yielded = own.yielded(&[other("older", Some(2), Some(1))]);
        assert_eq!(own.without(&yielded), creation(None, Some(1)));
        let repository = "1.dkr.ecr.eu-west-3.amazonaws.com/app".parse().unwrap();
        insta::assert_snapshot!(yielded[0].message("destination", &repository), @r#"spec.destination.create.lifecyclePolicy is not set, as Image "older", which is older, sets another one of 1.dkr.ecr.eu-west-3.amazonaws.com/app: give both the same, or leave it out of one"#);
    }
}
