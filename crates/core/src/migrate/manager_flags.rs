//! Flags that image-operator and k8s-copycat have from what both are built with, and that set nothing here.

/// Such flags, and why.
const FLAGS: [(&str, &str); 11] = [
    ("--metrics-bind-address", OF_LISTENING),
    ("--health-probe-bind-address", OF_LISTENING),
    ("--metrics-secure", OF_LISTENING),
    ("--enable-http2", OF_LISTENING),
    ("--leader-elect", "of several agents one works, always"),
    ("--kubeconfig", "the agent works in its cluster, with the rights of its ServiceAccount"),
    ("--zap-devel", OF_LOGS),
    ("--zap-encoder", OF_LOGS),
    ("--zap-log-level", OF_LOGS),
    ("--zap-stacktrace-level", OF_LOGS),
    ("--zap-time-encoding", OF_LOGS),
];
const OF_LISTENING: &str =
    "metrics and health are answered at one address, which is the agent's setting LISTEN";
const OF_LOGS: &str = "it is the agent's setting RUST_LOG";

/// Returns why a flag is not carried; nothing of one that is not among them.
pub(super) fn why_not_carried(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(known, _)| *known == flag).map(|(_, why)| *why)
}
