//! Which entry applies, and that errors quote no value.

use secrecy::ExposeSecret as _;

use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "SET" => Some("from-env".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn entries(text: &str) -> RegistryEntries {
    RegistryEntries::parse(text.as_bytes(), env).unwrap()
}

fn shown(credential: Credential) -> String {
    match credential {
        Credential::Basic { username, password } => format!("{username}:{}", password.expose_secret()),
        Credential::IdentityToken(token) => format!("identity {}", token.expose_secret()),
        Credential::RegistryToken(token) => format!("registry {}", token.expose_secret()),
    }
}

fn found(entries: &RegistryEntries, host: &str, path: &str) -> Option<String> {
    entries.credential(&host.parse().unwrap(), path).map(shown)
}

/// Returns an entry that is known by its user name.
fn entry(registry: &str, user: &str) -> String {
    format!("- {{registry: '{registry}', username: {user}, password: p}}\n")
}

#[test]
fn exact_comes_before_wildcard_then_the_longest_then_the_first() {
    let all = [
        entry("*", "any"),
        entry("*.io", "short"),
        entry("q*.io", "longer"),
        entry("?uay.io", "longest"),
        entry("quay.??", "as-long-but-later"),
        entry("quay.io/team/*", "wild-path"),
        entry("quay.io/team", "team"),
        entry("quay.io/team/deep", "deep"),
        entry("ghcr.io", "first"),
        entry("ghcr.io", "second"),
    ]
    .concat();
    let all = entries(&all);
    for (host, path, user) in [
        ("quay.io", "team/deep/app", "deep:p"),
        // The wildcard entry is longer and would match; an exact one comes first.
        ("quay.io", "team/app", "team:p"),
        ("quay.io", "other", "longest:p"),
        ("quiet.io", "x", "longer:p"),
        ("docker.io", "x", "short:p"),
        ("ghcr.io", "x", "first:p"),
        ("r.example", "x", "any:p"),
    ] {
        assert_eq!(found(&all, host, path).as_deref(), Some(user), "{host}/{path}");
    }
}

#[test]
fn aliases_share_a_credential_and_every_name_of_docker_hub_is_one() {
    let all = entries(
        "- registry: docker.io\n  registryAliases: [mirror.corp.example, 'hub-*.corp.example']\n  username: u\n  password: p\n",
    );
    for host in
        ["docker.io", "index.docker.io", "registry-1.docker.io", "mirror.corp.example", "hub-7.corp.example"]
    {
        assert_eq!(found(&all, host, "library/nginx").as_deref(), Some("u:p"), "{host}");
    }
    let wild = entries(&entry("*.docker.io", "u"));
    assert_eq!(found(&wild, "docker.io", "library/nginx"), None);
}

#[test]
fn a_variable_that_is_set_beats_the_literal() {
    for (fields, expected) in [
        ("username: u, passwordEnv: SET, password: literal", "u:from-env"),
        ("username: u, passwordEnv: EMPTY, password: literal", "u:literal"),
        ("username: u, passwordEnv: UNSET, password: literal", "u:literal"),
        ("usernameEnv: SET, password: literal", "from-env:literal"),
        ("token: literal", "registry literal"),
        ("tokenEnv: SET", "registry from-env"),
        ("token: t, password: ''", "registry t"),
    ] {
        let all = entries(&format!("- {{registry: quay.io, {fields}}}\n"));
        assert_eq!(found(&all, "quay.io", "x").as_deref(), Some(expected), "{fields}");
    }
}

#[test]
fn k8s_copycats_configuration_can_be_used_as_it_is() {
    let all =
        entries("targetKind: ecr\nregistryCredentials:\n- {registry: quay.io, username: u, password: p}\n");
    assert_eq!(found(&all, "quay.io", "x").as_deref(), Some("u:p"));
    assert_eq!(found(&entries("registryCredentials:\n"), "quay.io", "x"), None);
    assert_eq!(found(&entries("[]"), "quay.io", "x"), None);
}

fn error(text: &str) -> String {
    let error = RegistryEntries::parse(text.as_bytes(), env).unwrap_err();
    assert!(!format!("{error:?}{error}").contains("hunter2"), "{error}");
    error.to_string()
}

#[test]
fn unusable_files_are_errors_that_name_entry_and_field_and_no_value() {
    let of = |fields: &str| error(&format!("{}- {{registry: quay.io, {fields}}}\n", entry("a.io", "u")));
    insta::assert_snapshot!(of("username: u"), @"entry 2 (quay.io): password: it is missing; give username and password, or token");
    insta::assert_snapshot!(of("password: hunter2"), @"entry 2 (quay.io): username: it is missing; give username and password, or token");
    insta::assert_snapshot!(of("username: u, passwordEnv: HUNTER2"), @"entry 2 (quay.io): passwordEnv: the environment variable that it names is not set");
    insta::assert_snapshot!(of("username: hunter2, passwordEnv: EMPTY"), @"entry 2 (quay.io): passwordEnv: the environment variable that it names is not set");
    insta::assert_snapshot!(of("token: hunter2, password: hunter2"), @"entry 2 (quay.io): token: it does not go with username and password; leave one of them out");
    insta::assert_snapshot!(of("tokenEnv: SET, usernameEnv: hunter2"), @"entry 2 (quay.io): tokenEnv: it does not go with username and password; leave one of them out");
    insta::assert_snapshot!(of("username: u, password: 12345"), @"entry 2 (quay.io): password: it is not text; put quotes around it");
    insta::assert_snapshot!(of("username: u, passwort: hunter2"), @"entry 2 (quay.io): passwort: there is no such field; the fields are registry, registryAliases, username, usernameEnv, password, passwordEnv, token, tokenEnv");
    insta::assert_snapshot!(of("username: u, password: hunter2, registryAliases: ['a b']"), @"entry 2 (quay.io): registryAliases: it is no registry such as quay.io, quay.io/team or *.corp.example");
    insta::assert_snapshot!(error("- {registry: 'u:hunter2@quay.io', username: u, password: p}"), @"entry 1: registry: it is no registry such as quay.io, quay.io/team or *.corp.example");
    insta::assert_snapshot!(error("- {username: u, password: hunter2}"), @"entry 1: registry: it is no registry such as quay.io, quay.io/team or *.corp.example");
    insta::assert_snapshot!(error("- hunter2"), @"it is no list of entries with registry, username and password, or token");
    insta::assert_snapshot!(error("registry: hunter2"), @"it is no list of entries with registry, username and password, or token");
    insta::assert_snapshot!(error("- {registry: quay.io\n  token: hunter2: x"), @"it is not YAML: line 1, column 3");
}

proptest::proptest! {
    #[test]
    fn any_file_is_read_without_a_panic_and_no_error_quotes_it(
        registry in r"[a-z.*?/:\[\]-]{0,12}", secret in "[A-Z0-9]{24,30}", field in 0..8_usize, rest in "[-{}:, \n]{0,6}"
    ) {
        let text = format!("- {{registry: '{registry}', {}: {secret}, username: u}}{rest}", FIELDS[field]);
        if let Err(error) = RegistryEntries::parse(text.as_bytes(), |_| None) {
            let shown = format!("{error:?} {error}");
            proptest::prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }

    #[test]
    fn the_order_of_entries_matters_only_where_they_are_equally_long(
        mut names in proptest::collection::vec(r"(quay|q\*|\?uay)\.io(/(team|t\*)){0,2}", 1..6), seed in 0..720_usize
    ) {
        let text = |names: &[String]| -> String { names.iter().map(|name| entry(name, &format!("'{name}'"))).collect() };
        let before = entries(&text(&names));
        let winner = found(&before, "quay.io", "team/team");
        let length = names.len();
        names.rotate_left(seed % length);
        let after = found(&entries(&text(&names)), "quay.io", "team/team");
        let size = |user: &Option<String>| user.as_ref().map(|user| (user.contains(['*', '?']), user.len()));
        proptest::prop_assert_eq!(size(&winner), size(&after));
    }
}
