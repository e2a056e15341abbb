//! The objects of all kinds: how many are in which state and, where they may be named, how each of them stands.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::controller::NamespacedName;

/// The series of an object.
const SERIES: usize = 3;

/// How an object stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectState {
    /// The agent has not come to it yet.
    Pending,
    /// The agent is at work.
    Reconciling,
    /// Everything is as it should be.
    Ready,
    /// Something failed, and is tried again.
    Failing,
    /// Nothing happens until a user changes something.
    Stalled,
    /// `spec.suspend` is set.
    Suspended,
}

impl ObjectState {
    const ALL: [Self; 6] =
        [Self::Pending, Self::Reconciling, Self::Ready, Self::Failing, Self::Stalled, Self::Suspended];

    /// Returns the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Reconciling => "Reconciling",
            Self::Ready => "Ready",
            Self::Failing => "Failing",
            Self::Stalled => "Stalled",
            Self::Suspended => "Suspended",
        }
    }
}

/// What is shown of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectView {
    /// Its UID.
    pub uid: String,
    /// How it stands.
    pub state: ObjectState,
    /// The reason of its Ready condition.
    pub reason: String,
    /// When its status last recorded a look, in seconds since 1970.
    pub last_look: Option<i64>,
    /// When its status last recorded a success, likewise.
    pub last_success: Option<i64>,
}

impl ObjectView {
    /// Returns the view of an object of which no times are known.
    pub fn new(state: ObjectState, reason: &str) -> Self {
        let (uid, reason) = (String::new(), reason.to_owned());
        Self { uid, state, reason, last_look: None, last_success: None }
    }

    /// Returns the same with the last look of this process. One that finds nothing new is not in the status; that an object
    /// is ready after it is a success.
    fn looked(mut self, at: Option<i64>) -> Self {
        self.last_look = self.last_look.max(at);
        if self.state == ObjectState::Ready {
            self.last_success = self.last_success.max(at);
        }
        self
    }
}

/// An object of some kind.
pub trait KnownObject: Send + Sync {
    /// Returns its namespace and name.
    fn name(&self) -> &NamespacedName;

    /// Returns what is shown of it, which is read now.
    fn view(&self) -> ObjectView;
}

/// The objects of a kind.
pub trait ObjectSource: Send + Sync {
    /// Returns the kind, as in manifests.
    fn kind(&self) -> Cow<'static, str>;

    /// Returns its objects.
    fn objects(&self) -> Vec<Arc<dyn KnownObject>>;

    /// Returns when this process last looked at what an object is about, in seconds since 1970.
    fn last_look(&self, uid: &str) -> Option<i64>;
}

/// The objects of all kinds whose controllers run. Cloning shares them.
#[derive(Clone, Default)]
pub struct ObjectSources(Arc<Mutex<Vec<Box<dyn ObjectSource>>>>);

impl ObjectSources {
    /// Adds the objects of a kind.
    pub fn add(&self, source: Box<dyn ObjectSource>) {
        self.0.lock().push(source);
    }
}

/// What is exported of all objects.
pub(super) struct ObjectSeries {
    sources: ObjectSources,
    /// How many series may name objects; none where objects are not named.
    max_series: Option<usize>,
}

impl fmt::Debug for ObjectSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSeries").field("max_series", &self.max_series).finish_non_exhaustive()
    }
}

/// An object, and the place of its kind among the sources.
type Placed = (usize, Arc<dyn KnownObject>);

/// An object that is named.
struct Named {
    kind: usize,
    object: Arc<dyn KnownObject>,
    view: ObjectView,
}

/// What is known of all objects at one moment.
struct Snapshot {
    kinds: Vec<Cow<'static, str>>,
    counts: BTreeMap<(usize, ObjectState), i64>,
    named: Vec<Named>,
    left_out: usize,
}

impl ObjectSeries {
    pub fn new(sources: ObjectSources, max_series: Option<usize>) -> Self {
        Self { sources, max_series }
    }

    fn snapshot(&self) -> Snapshot {
        let sources = self.sources.0.lock();
        let mut all: Vec<Placed> = Vec::new();
        for (kind, source) in sources.iter().enumerate() {
            all.extend(source.objects().into_iter().map(|object| (kind, object)));
        }
        let room = self.max_series.map_or(0, |series| series / SERIES);
        if self.max_series.is_some() && all.len() > room {
            all = by_rank(all);
        }
        let left_out = self.max_series.map_or(0, |_| all.len().saturating_sub(room));
        let mut counts = BTreeMap::new();
        let mut named = Vec::with_capacity(all.len().min(room));
        // One after the other: the views of all at once would be much.
        for (kind, object) in all {
            let view = object.view();
            *counts.entry((kind, view.state)).or_default() += 1;
            if named.len() < room {
                let last_look = sources[kind].last_look(&view.uid);
                named.push(Named { kind, object, view: view.looked(last_look) });
            }
        }
        let kinds = sources.iter().map(|source| source.kind()).collect();
        Snapshot { kinds, counts, named, left_out }
    }
}

/// Returns the first objects of all namespaces, then the second ones, and so on: those of one namespace leave others their
/// series, and the same ones have theirs each time.
fn by_rank(mut objects: Vec<Placed>) -> Vec<Placed> {
    fn namespace((_, object): &Placed) -> &str {
        &object.name().namespace
    }
    let compare = |a: &Placed, b: &Placed| -> Ordering {
        namespace(a).cmp(namespace(b)).then(a.1.name().name.cmp(&b.1.name().name)).then(a.0.cmp(&b.0))
    };
    objects.sort_unstable_by(compare);
    let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(objects.len());
    for (place, object) in objects.iter().enumerate() {
        let rank = match ranked.last() {
            Some((rank, last)) if namespace(&objects[*last]) == namespace(object) => rank + 1,
            _ => 0,
        };
        ranked.push((rank, place));
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, place)| objects[place].clone()).collect()
}

impl Collector for ObjectSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.snapshot();
        snapshot.encode_counts(&mut encoder)?;
        if self.max_series.is_none() {
            return Ok(());
        }
        let (name, help) = (
            "objects_without_series",
            "Objects that are not named because there are more than METRICS_MAX_SERIES has room for",
        );
        let left_out = ConstGauge::new(i64::try_from(snapshot.left_out).unwrap_or(i64::MAX));
        left_out.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        snapshot.encode_states(&mut encoder)?;
        let help = "When the agent last looked at what an object is about; before the first time since it began, what \
                    the status records";
        snapshot.encode_times(&mut encoder, "object_last_look_timestamp_seconds", help, |v| v.last_look)?;
        let help = "When everything an object is about was last as it should be";
        snapshot.encode_times(&mut encoder, "object_last_success_timestamp_seconds", help, |v| v.last_success)
    }
}

impl Snapshot {
    fn encode_counts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Objects, by how they stand";
        let mut metric = encoder.encode_descriptor("objects", help, None, MetricType::Gauge)?;
        for (number, kind) in self.kinds.iter().enumerate() {
            for state in ObjectState::ALL {
                let count = self.counts.get(&(number, state)).copied().unwrap_or_default();
                let labels = [("kind", kind.as_ref()), ("state", state.as_str())];
                ConstGauge::new(count).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn labels<'a>(&'a self, named: &'a Named) -> [(&'static str, &'a str); 3] {
        let NamespacedName { namespace, name } = named.object.name();
        [("kind", self.kinds[named.kind].as_ref()), ("namespace", namespace), ("name", name)]
    }

    fn encode_states(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "How an object stands, and the reason of its Ready condition; always 1";
        let mut metric = encoder.encode_descriptor("object_state", help, None, MetricType::Gauge)?;
        for named in &self.named {
            let [kind, namespace, name] = self.labels(named);
            let state = ("state", named.view.state.as_str());
            let labels = [kind, namespace, name, state, ("reason", named.view.reason.as_str())];
            ConstGauge::new(1_i64).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn encode_times(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        time: fn(&ObjectView) -> Option<i64>,
    ) -> Result<(), fmt::Error> {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for named in &self.named {
            if let Some(at) = time(&named.view) {
                ConstGauge::new(at).encode(metric.encode_family(&self.labels(named))?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    struct Object(NamespacedName, ObjectView);

    impl KnownObject for Object {
        fn name(&self) -> &NamespacedName {
            &self.0
        }

        fn view(&self) -> ObjectView {
            self.1.clone()
        }
    }

    /// Objects of a kind, of which the agent has looked at each.
    struct Kind(&'static str, Vec<Arc<dyn KnownObject>>, Option<i64>);

    impl ObjectSource for Kind {
        fn kind(&self) -> Cow<'static, str> {
            self.0.into()
        }

        fn objects(&self) -> Vec<Arc<dyn KnownObject>> {
            self.1.clone()
        }

        fn last_look(&self, _uid: &str) -> Option<i64> {
            self.2
        }
    }

    fn object(namespace: &str, name: &str, state: ObjectState) -> Arc<dyn KnownObject> {
        let view = ObjectView { last_success: Some(5), ..ObjectView::new(state, "Because") };
        Arc::new(Object(NamespacedName::new(namespace, name), view))
    }

    fn lines(kinds: Vec<Kind>, max_series: Option<usize>) -> Vec<String> {
        let metrics = Metrics::new();
        metrics.watch_objects(max_series);
        for kind in kinds {
            metrics.objects.add(Box::new(kind));
        }
        let text = metrics.text().unwrap();
        text.lines().filter(|line| line.starts_with("imgop_object")).map(str::to_owned).collect()
    }

    fn named(lines: &[String]) -> Vec<&str> {
        let of_state =
            lines.iter().filter_map(|line| line.strip_prefix("imgop_object_state{")?.split('}').next());
        of_state.collect()
    }

    #[test]
    fn objects_of_all_kinds_are_counted_and_none_is_named_unless_an_administrator_wants_it() {
        let kinds = || {
            let jobs = vec![object("a", "one", ObjectState::Ready), object("a", "two", ObjectState::Stalled)];
            vec![Kind("Job", jobs, None), Kind("Pod", vec![object("a", "one", ObjectState::Ready)], None)]
        };
        let unnamed = lines(kinds(), None);
        let counted = [
            r#"imgop_objects{kind="Job",state="Ready"} 1"#,
            r#"imgop_objects{kind="Job",state="Stalled"} 1"#,
            r#"imgop_objects{kind="Pod",state="Ready"} 1"#,
            r#"imgop_objects{kind="Pod",state="Stalled"} 0"#,
        ];
        for line in counted {
            assert!(unnamed.iter().any(|shown| shown == line), "{line}: {unnamed:?}");
        }
        assert!(unnamed.iter().all(|line| !line.contains("name=")), "{unnamed:?}");
        let named_ones = lines(kinds(), Some(100));
        assert_eq!(
            named(&named_ones),
            [
                r#"kind="Job",namespace="a",name="one",state="Ready",reason="Because""#,
                r#"kind="Job",namespace="a",name="two",state="Stalled",reason="Because""#,
                r#"kind="Pod",namespace="a",name="one",state="Ready",reason="Because""#,
            ]
        );
    }

    #[test]
    fn a_look_that_found_nothing_new_is_a_success_of_what_is_ready_and_of_nothing_else() {
        let objects = vec![object("a", "one", ObjectState::Ready), object("a", "two", ObjectState::Failing)];
        let lines = lines(vec![Kind("Job", objects, Some(9))], Some(100));
        let of = |metric: &str| -> Vec<String> {
            let beginning = format!("imgop_object_{metric}_timestamp_seconds{{");
            lines.iter().filter(|line| line.starts_with(&beginning)).cloned().collect()
        };
        let line = |metric: &str, name: &str, at: u8| {
            format!(
                r#"imgop_object_{metric}_timestamp_seconds{{kind="Job",namespace="a",name="{name}"}} {at}"#
            )
        };
        assert_eq!(of("last_success"), [line("last_success", "one", 9), line("last_success", "two", 5)]);
        assert_eq!(of("last_look"), [line("last_look", "one", 9), line("last_look", "two", 9)]);
    }

    #[test]
    fn the_text_of_ten_thousand_objects_is_bounded() {
        let name = |n: usize| format!("an-image-with-a-name-of-usual-length-{n}");
        let objects =
            (0..10_000).map(|n| object("team-of-some-tenant", &name(n), ObjectState::Ready)).collect();
        let shown = lines(vec![Kind("Image", objects, Some(1_795_948_800))], Some(10_000));
        let bytes: usize = shown.iter().map(|line| line.len() + 1).sum();
        assert!(bytes < 2 << 20, "{bytes}");
        assert!(shown.contains(&"imgop_objects_without_series 6667".to_owned()));
    }

    #[test]
    fn where_there_are_too_many_each_namespace_has_its_first_and_the_rest_are_counted() {
        let many = (0..50).map(|n| object("many", &format!("o-{n:02}"), ObjectState::Ready));
        let objects: Vec<_> = many.chain([object("few", "only", ObjectState::Stalled)]).collect();
        let reversed = objects.iter().rev().cloned().collect();
        let first = lines(vec![Kind("Job", objects, None)], Some(11));
        assert_eq!(first, lines(vec![Kind("Job", reversed, None)], Some(11)), "whatever order the store has");
        let names: Vec<&str> = named(&first).iter().filter_map(|labels| labels.split('"').nth(5)).collect();
        assert_eq!(names, ["only", "o-00", "o-01"]);
        assert!(first.contains(&"imgop_objects_without_series 48".to_owned()), "{first:?}");
        assert!(first.contains(&r#"imgop_objects{kind="Job",state="Ready"} 50"#.to_owned()), "{first:?}");
        let series = first.iter().filter(|line| line.contains("name=")).count();
        assert!(series <= 11, "{series}");
    }
}
