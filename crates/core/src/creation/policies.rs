//! Policies of a repository that several objects of a namespace create: each is that of one object which has one of it, and
//! all of them set that. Two that set different ones would replace each other's for ever. Objects with `adopt` go before
//! those without, whose policies a repository that others created never gets; among either the oldest goes first. One that
//! has none sets that of another one all the same: it may be the one that creates the repository.

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

/// The field of a spec that says what a repository is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateField {
    /// `destination.create` of an Image
    Destination,
    /// `image.create` of an ImageBuilder
    Image,
}

/// Another object of the namespace that creates a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCreation {
    /// Its kind and name, for messages.
    pub object: String,
    /// Whether it is older than the object that it is compared with.
    pub is_older: bool,
    /// What it says of the repository.
    pub creation: Creation,
}

/// A policy of another object that is set: in place of the own one, or where there is none of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YieldedPolicy {
    field: PolicyField,
    /// That one's.
    policy: Value,
    /// The object whose policy it is.
    object: String,
    /// Why that one goes before; nothing where there is no own policy that it takes the place of.
    because: Option<Precedence>,
}

/// Why an object goes before another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precedence {
    /// It adopts the repository, and the other one does not.
    Adopts,
    /// It is older.
    IsOlder,
}

impl fmt::Display for CreateField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Destination => "spec.destination.create",
            Self::Image => "spec.image.create",
        })
    }
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adopts => "which adopts the repository",
            Self::IsOlder => "which is older",
        })
    }
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
    /// Returns of which fields it has a policy.
    pub fn policy_fields(&self) -> impl Iterator<Item = PolicyField> {
        PolicyField::ALL.into_iter().filter(move |field| self.policy(*field).is_some())
    }

    /// Returns whether it has a policy.
    pub fn has_policy(&self) -> bool {
        self.policy_fields().next().is_some()
    }

    /// Returns which policies of other objects of the namespace are set: those of objects that go before, where they are
    /// other ones, and those of which it has none. The others are given the oldest first, and only those that may create.
    pub fn yielded(&self, others: &[OtherCreation]) -> Vec<YieldedPolicy> {
        let mut others: Vec<&OtherCreation> = others.iter().collect();
        others.sort_by_key(|other| !other.creation.adopt);
        let yielded = |field: PolicyField| {
            if let Some(own) = self.policy(field) {
                let before = |other: &&OtherCreation| other.policy(field, Some(self.yields_to(other)?));
                return others.iter().find_map(before).filter(|first| first.policy != *own);
            }
            // Whoever adopts a repository would set it there also where others created that.
            let may_be_set = |other: &&&OtherCreation| other.creation.adopt || !self.adopt;
            others.iter().filter(may_be_set).find_map(|other| other.policy(field, None))
        };
        PolicyField::ALL.into_iter().filter_map(yielded).collect()
    }

    /// Returns why another object goes before this one, if it does.
    fn yields_to(&self, other: &OtherCreation) -> Option<Precedence> {
        match (other.creation.adopt, self.adopt) {
            (true, false) => Some(Precedence::Adopts),
            (false, true) => None,
            _ => other.is_older.then_some(Precedence::IsOlder),
        }
    }

    /// Returns it with these policies of others. They are set with what comes first, so that who may pull is right before there
    /// is something to pull.
    #[must_use]
    pub fn yielding(mut self, yielded: &[YieldedPolicy]) -> Self {
        for YieldedPolicy { field, policy, .. } in yielded {
            let own = match field {
                PolicyField::Lifecycle => &mut self.lifecycle_policy,
                PolicyField::Access => &mut self.access_policy,
            };
            *own = Some(policy.clone());
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

impl OtherCreation {
    /// Returns its policy for an object that sets it, and why it goes before that one's own.
    fn policy(&self, field: PolicyField, because: Option<Precedence>) -> Option<YieldedPolicy> {
        let (policy, object) = (self.creation.policy(field)?.clone(), self.object.clone());
        Some(YieldedPolicy { field, policy, object, because })
    }
}

impl PolicyField {
    const ALL: [Self; 2] = [Self::Lifecycle, Self::Access];
}

impl YieldedPolicy {
    /// Returns which policy it is.
    pub fn field(&self) -> PolicyField {
        self.field
    }

    /// Returns the kind and the name of the object whose policy it is.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Returns whether there is no own policy that it takes the place of.
    pub fn is_additional(&self) -> bool {
        self.because.is_none()
    }

    /// Returns what users are told of the own policy, which stands in a field of `create` and is not set; nothing where there
    /// is none.
    pub fn message(&self, create: CreateField, repository: &Repository) -> Option<String> {
        let (Self { field, object, .. }, because) = (self, self.because?);
        Some(format!(
            "{create}.{field} is not set: {object}, {because}, has another one for {repository}. Give both the same, or \
             leave it out of one"
        ))
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
        OtherCreation {
            object: format!("Image {name:?}"),
            is_older: true,
            creation: creation(lifecycle, access),
        }
    }

    fn adopting(creation: Creation) -> Creation {
        Creation { adopt: true, ..creation }
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
    fn of_two_objects_the_one_with_adopt_sets_its_policy_whichever_is_older_and_the_other_one_does_not() {
        let (with, without) = (adopting(creation(Some(1), None)), creation(Some(2), None));
        for adopts_younger in [true, false] {
            let as_other = |creation: &Creation, is_older| OtherCreation {
                object: "Image \"a\"".to_owned(),
                is_older,
                creation: creation.clone(),
            };
            assert_eq!(with.yielded(&[as_other(&without, adopts_younger)]), []);
            let yielded = without.yielded(&[as_other(&with, !adopts_younger)]);
            assert_eq!(yielded.len(), 1);
            assert_eq!(yielded[0].because, Some(Precedence::Adopts));
        }
    }

    #[test]
    fn among_objects_with_adopt_the_oldest_goes_first_and_all_of_them_before_one_without() {
        let without = other("a", Some(1), None);
        let adopts = |name: &str, lifecycle: u8| {
            let other = other(name, Some(lifecycle), None);
            OtherCreation { creation: adopting(other.creation.clone()), ..other }
        };
        let others = [without, adopts("b", 2), adopts("c", 3)];
        let object = |own: &Creation| own.yielded(&others).first().map(|policy| policy.object.clone());
        assert_eq!(object(&creation(Some(1), None)).as_deref(), Some(r#"Image "b""#));
        assert_eq!(object(&adopting(creation(Some(3), None))).as_deref(), Some(r#"Image "b""#));
        assert_eq!(object(&creation(Some(2), None)), None);
    }

    #[test]
    fn an_object_without_a_policy_sets_that_of_the_first_one_that_has_it_and_nothing_is_said_of_it() {
        let own = creation(None, Some(1));
        let younger = OtherCreation { is_older: false, ..other("c", Some(3), Some(3)) };
        let others = [other("a", None, None), other("b", Some(2), Some(1)), younger.clone()];
        let yielded = own.yielded(&others);
        assert_eq!(own.clone().yielding(&yielded), creation(Some(2), Some(1)));
        let repository = "1.dkr.ecr.eu-west-3.amazonaws.com/app".parse().unwrap();
        assert_eq!(yielded[0].message(CreateField::Destination, &repository), None);
        let yielded = own.yielded(std::slice::from_ref(&younger));
        assert_eq!(own.clone().yielding(&yielded), creation(Some(3), Some(1)), "it may come first");
        assert_eq!(own.yielded(&[other("a", None, None)]), []);
    }

    #[test]
    fn an_object_that_adopts_the_repository_takes_no_policy_from_one_that_does_not() {
        let own = adopting(creation(None, None));
        let without = other("a", Some(1), None);
        assert_eq!(own.yielded(std::slice::from_ref(&without)), []);
        let with = OtherCreation { creation: adopting(creation(Some(2), None)), ..other("b", None, None) };
        let yielded = own.yielded(&[without, with]);
        assert_eq!(own.clone().yielding(&yielded), adopting(creation(Some(2), None)));
    }

    #[test]
    fn the_policy_of_an_object_that_goes_before_is_set_and_said_with_both_and_the_fix() {
        let own = creation(Some(1), Some(1));
        let older = other("older", Some(2), Some(1));
        let yielded = own.yielded(std::slice::from_ref(&older));
        assert_eq!(own.clone().yielding(&yielded), creation(Some(2), Some(1)));
        let adopts = OtherCreation { creation: adopting(older.creation.clone()), is_older: false, ..older };
        let to_adopting = own.yielded(&[adopts]);
        let repository = "1.dkr.ecr.eu-west-3.amazonaws.com/app".parse().unwrap();
        insta::assert_snapshot!(to_adopting[0].message(CreateField::Image, &repository).unwrap(), @r#"spec.image.create.lifecyclePolicy is not set: Image "older", which adopts the repository, has another one for 1.dkr.ecr.eu-west-3.amazonaws.com/app. Give both the same, or leave it out of one"#);
        insta::assert_snapshot!(yielded[0].message(CreateField::Destination, &repository).unwrap(), @r#"spec.destination.create.lifecyclePolicy is not set: Image "older", which is older, has another one for 1.dkr.ecr.eu-west-3.amazonaws.com/app. Give both the same, or leave it out of one"#);
    }
}
