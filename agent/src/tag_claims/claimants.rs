//! Objects that claim tags, of whichever kind they are.

use imgop_core::api::ImageBuilder;
use kube::Resource;

/// Returns the kind and the name of an object, for messages.
pub fn name_of<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{} {:?}", K::kind(&()), object.meta().name.as_deref().unwrap_or_default())
}

/// Returns whether an `ImageBuilder` claims its tags: it is neither suspended nor being deleted.
pub fn is_building(builder: &ImageBuilder) -> bool {
    !builder.spec.suspend && builder.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::image::tests::fixtures::now;
    use crate::image_builder::tests::fixtures::builder;

    #[test]
    fn an_image_builder_that_is_suspended_or_being_deleted_claims_nothing() {
        let building = builder(|_| ());
        assert_eq!((name_of(&building).as_str(), is_building(&building)), (r#"ImageBuilder "app""#, true));
        assert!(!is_building(&builder(|spec| spec.suspend = true)));
        let mut leaving = building;
        leaving.metadata.deletion_timestamp = Some(Time(now()));
        assert!(!is_building(&leaving));
    }
}
