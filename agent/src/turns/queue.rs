//! Who begins next, of those that wait for a turn. Pure: no clock, no task.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Of what a turn is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TurnKey {
    /// The namespace of the object.
    pub namespace: String,
    /// The servers that a pass over it asks.
    pub hosts: Vec<String>,
}

/// Those that wait for one of a bounded number of turns, by namespace and by servers.
///
/// A turn is given only to a namespace that has fewer of them than are free, and likewise to a server within what
/// its namespace may still get, and to servers that are asked together, in all namespaces. So a namespace alone gets
/// half of all turns, and however long those last, some are free for others. A server alone is not bounded in all
/// namespaces together: a source that answers would be, by the passes that wait for silent destinations. Those with
/// the fewest turns go first, then those that have waited longest for one.
#[derive(Debug)]
pub struct FairQueue<W> {
    free: usize,
    namespaces: HashMap<String, Namespace<W>>,
    /// By all servers that a pass asks.
    taken_by_hosts: HashMap<Vec<String>, usize>,
    /// How many turns were given: the order in which they were.
    given: u64,
}

#[derive(Debug)]
struct Namespace<W> {
    taken: usize,
    taken_by_host: HashMap<String, usize>,
    last_given: u64,
    groups: HashMap<Vec<String>, Group<W>>,
}

#[derive(Debug)]
struct Group<W> {
    last_given: u64,
    waiting: VecDeque<W>,
}

impl<W> Default for Namespace<W> {
    fn default() -> Self {
        Self { taken: 0, taken_by_host: HashMap::new(), last_given: 0, groups: HashMap::new() }
    }
}

impl<W> FairQueue<W> {
    /// Returns an empty queue for this many turns.
    pub fn new(turns: usize) -> Self {
        Self { free: turns, namespaces: HashMap::new(), taken_by_hosts: HashMap::new(), given: 0 }
    }

    /// Appends one that waits.
    pub fn push(&mut self, key: TurnKey, waiter: W) {
        let namespace = self.namespaces.entry(key.namespace).or_default();
        let new = || Group { last_given: 0, waiting: VecDeque::new() };
        namespace.groups.entry(key.hosts).or_insert_with(new).waiting.push_back(waiter);
    }

    /// Gives a turn to the one that is next. Returns `None` where no turn is free for any that waits.
    pub fn next(&mut self) -> Option<(TurnKey, W)> {
        let may_begin = |(_, namespace): &(&String, &Namespace<W>)| namespace.taken < self.free;
        let candidates = self.namespaces.iter().filter(may_begin).flat_map(|(name, namespace)| {
            let groups = namespace.groups.iter().filter(|(hosts, _)| self.have_room(namespace, hosts));
            groups.map(move |(hosts, group)| {
                let order =
                    (namespace.taken, namespace.last_given, namespace.busiest(hosts), group.last_given);
                (order, name, hosts)
            })
        });
        let (_, name, hosts) = candidates.min_by_key(|(order, _, _)| *order)?;
        let key = TurnKey { namespace: name.clone(), hosts: hosts.clone() };
        let waiter = self.begin(&key)?;
        Some((key, waiter))
    }

    /// Returns whether servers have few enough turns for another one.
    fn have_room(&self, namespace: &Namespace<W>, hosts: &[String]) -> bool {
        let left_to_namespace = self.free.saturating_sub(namespace.taken);
        let together = self.taken_by_hosts.get(hosts);
        together.is_none_or(|taken| *taken < self.free)
            && hosts
                .iter()
                .all(|host| namespace.taken_by_host.get(host).is_none_or(|taken| *taken < left_to_namespace))
    }

    fn begin(&mut self, key: &TurnKey) -> Option<W> {
        let namespace = self.namespaces.get_mut(&key.namespace)?;
        let group = namespace.groups.get_mut(&key.hosts)?;
        let waiter = group.waiting.pop_front()?;
        self.given += 1;
        (group.last_given, namespace.last_given) = (self.given, self.given);
        if group.waiting.is_empty() {
            namespace.groups.remove(&key.hosts);
        }
        self.free -= 1;
        namespace.taken += 1;
        for host in &key.hosts {
            *namespace.taken_by_host.entry(host.clone()).or_default() += 1;
        }
        // Passes that ask no server have nothing in common.
        if !key.hosts.is_empty() {
            *self.taken_by_hosts.entry(key.hosts.clone()).or_default() += 1;
        }
        Some(waiter)
    }

    /// Frees a turn.
    pub fn end(&mut self, key: &TurnKey) {
        self.free += 1;
        let Some(namespace) = self.namespaces.get_mut(&key.namespace) else { return };
        namespace.taken = namespace.taken.saturating_sub(1);
        for host in &key.hosts {
            decrement(&mut namespace.taken_by_host, host);
        }
        decrement(&mut self.taken_by_hosts, &key.hosts);
        if namespace.taken == 0 && namespace.groups.is_empty() {
            self.namespaces.remove(&key.namespace);
        }
    }

    /// Returns those that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &W> {
        let groups = self.namespaces.values().flat_map(|namespace| namespace.groups.values());
        groups.flat_map(|group| &group.waiting)
    }

    /// Removes all that wait.
    pub fn clear(&mut self) {
        self.namespaces.values_mut().for_each(|namespace| namespace.groups.clear());
    }
}

impl<W> Namespace<W> {
    /// Returns how many turns the server has of these that has most.
    fn busiest(&self, hosts: &[String]) -> usize {
        hosts.iter().filter_map(|host| self.taken_by_host.get(host).copied()).max().unwrap_or_default()
    }
}

fn decrement<K: Eq + Hash>(taken: &mut HashMap<K, usize>, of: &K) {
    if let Some(left) = taken.get_mut(of) {
        *left = left.saturating_sub(1);
        if *left == 0 {
            taken.remove(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: usize = 16;

    fn key(namespace: &str, host: impl std::fmt::Display) -> TurnKey {
        TurnKey { namespace: namespace.to_owned(), hosts: vec![format!("{host}")] }
    }

    /// Gives all turns that can be given. Returns of what they are.
    fn begun(queue: &mut FairQueue<u32>) -> Vec<TurnKey> {
        std::iter::from_fn(|| queue.next().map(|(key, _)| key)).collect()
    }

    #[test]
    fn a_namespace_whose_servers_are_silent_leaves_turns_to_others() {
        let mut queue = FairQueue::new(TURNS);
        (0..200).for_each(|port| queue.push(key("silent", port), 0));
        assert_eq!(begun(&mut queue).len(), TURNS / 2);
        queue.push(key("healthy", "registry"), 0);
        assert_eq!(begun(&mut queue), [key("healthy", "registry")]);
    }

    #[test]
    fn ten_namespaces_whose_servers_are_silent_leave_turns_to_others() {
        let mut queue = FairQueue::new(TURNS);
        for namespace in 0..10 {
            (0..200).for_each(|port| queue.push(key(&format!("silent-{namespace}"), port), 0));
        }
        begun(&mut queue);
        queue.push(key("healthy", "registry"), 0);
        assert_eq!(begun(&mut queue), [key("healthy", "registry")]);
    }

    #[test]
    fn a_silent_server_leaves_turns_to_other_servers_of_its_namespace_and_of_others() {
        let mut queue = FairQueue::new(TURNS);
        for namespace in ["a", "b", "c", "d"] {
            (0..200).for_each(|_| queue.push(key(namespace, "silent"), 0));
        }
        assert!(begun(&mut queue).len() <= TURNS / 2);
        queue.push(key("a", "registry"), 0);
        queue.push(key("e", "registry"), 0);
        assert_eq!(begun(&mut queue).len(), 2);
    }

    #[test]
    fn a_silent_source_of_many_destinations_leaves_turns_to_other_servers_of_its_namespace() {
        let mut queue = FairQueue::new(TURNS);
        for n in 0..200 {
            let hosts = vec!["silent".to_owned(), format!("registry-{n}")];
            queue.push(TurnKey { namespace: "a".to_owned(), hosts }, 0);
        }
        begun(&mut queue);
        queue.push(key("a", "registry"), 0);
        assert_eq!(begun(&mut queue), [key("a", "registry")]);
    }

    #[test]
    fn silent_destinations_of_two_namespaces_leave_turns_of_their_source_to_others() {
        let of = |namespace: &str, destination: String| TurnKey {
            namespace: namespace.to_owned(),
            hosts: vec!["docker.io".to_owned(), destination],
        };
        let mut queue = FairQueue::new(TURNS);
        for namespace in ["a", "b"] {
            (0..200).for_each(|n| queue.push(of(namespace, format!("silent-{n}")), 0));
        }
        begun(&mut queue);
        let healthy = of("healthy", "registry".to_owned());
        queue.push(healthy.clone(), 0);
        assert_eq!(begun(&mut queue), std::slice::from_ref(&healthy));
        queue.end(&healthy);
        queue.push(healthy.clone(), 0);
        assert_eq!(begun(&mut queue), [healthy], "and it goes on");
    }

    #[test]
    fn namespaces_take_turns_however_many_wait_in_each() {
        let mut queue = FairQueue::new(1);
        (0..1_000).for_each(|_| queue.push(key("many", "registry"), 0));
        (0..3).for_each(|_| queue.push(key("few", "registry"), 0));
        let mut order = Vec::new();
        for _ in 0..6 {
            let (key, _) = queue.next().unwrap();
            queue.end(&key);
            order.push(key.namespace);
        }
        assert_eq!(order.iter().filter(|namespace| *namespace == "few").count(), 3, "{order:?}");
    }

    #[test]
    fn what_waits_in_one_group_keeps_its_order() {
        let mut queue = FairQueue::new(2);
        (0..3).for_each(|n| queue.push(key("a", "registry"), n));
        let mut order = Vec::new();
        while let Some((key, waiter)) = queue.next() {
            order.push(waiter);
            queue.end(&key);
        }
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn nothing_is_kept_of_what_has_ended() {
        let mut queue = FairQueue::new(TURNS);
        (0..3).for_each(|n| queue.push(key("a", n), 0));
        let begun = begun(&mut queue);
        for key in &begun {
            queue.end(key);
        }
        assert_eq!((queue.free, begun.len(), queue.waiting().count()), (TURNS, 3, 0));
        assert!(queue.namespaces.is_empty() && queue.taken_by_hosts.is_empty());
    }
}
