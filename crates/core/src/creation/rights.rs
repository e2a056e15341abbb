//! What administrators let a namespace have created.

use super::Creation;
use crate::api::SharedAws;

/// Why a repository is not created as a spec says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreationRefusal<'c> {
    /// No AWS identity that creates is lent for it.
    NoIdentity,
    /// This role is not lent.
    NoRole(&'c str),
    /// Policies of repositories of others may not be changed.
    NoAdoption,
}

impl Creation {
    /// Returns why it is not done with the AWS identity that is lent for the repository, if it is not. A right to use the
    /// identity is not enough: it creates nothing.
    pub fn refusal(&self, lent: Option<&SharedAws>) -> Option<CreationRefusal<'_>> {
        let Some(aws) = lent.filter(|aws| aws.create_repositories) else {
            return Some(CreationRefusal::NoIdentity);
        };
        match self.role_arn.as_deref() {
            Some(role) if !aws.roles.iter().any(|lent| lent == role) => Some(CreationRefusal::NoRole(role)),
            _ if self.adopt && !aws.adopt_repositories => Some(CreationRefusal::NoAdoption),
            _ => None,
        }
    }
}
