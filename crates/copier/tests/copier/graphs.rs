//! Whatever stands in a repository arrives byte for byte.

use imgop_fakes::Graph;
use proptest::prelude::*;

use super::case::Case;

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_of_manifests_arrives_byte_for_byte_each_blob_read_once(seed in 0_u64..100_000) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (case, graph) = (Case::new().await, Graph::random(seed));
            case.fill(&graph);
            let ran = case.copy(&graph).await;
            assert!(ran.is_done(), "{:?}", ran.outcomes);
            case.check(&graph);
            let mut read: Vec<String> = case.source.asked().into_iter().map(|asked| asked.line).filter(|line| line.contains("/blobs/")).collect();
            let all = read.len();
            read.sort();
            read.dedup();
            assert_eq!(read.len(), all, "each blob once");
        });
    }
}
