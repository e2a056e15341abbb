//! Tests on the whole cluster.
