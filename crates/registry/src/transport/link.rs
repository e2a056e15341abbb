//! `Link: <…>; rel="next"`: where the next page of a tag list is (RFC 8288).

use reqwest::header::{HeaderMap, LINK};
use url::Url;

use super::header_value::header_value;
use crate::error::Failure;
use crate::text::authority;

/// Bytes of one header line. All cursors of a list are remembered while it is read.
const MAX_LINK_BYTES: usize = 4 << 10;

/// Returns the URL of the next page, if there is one.
///
/// Cursors are the registry's own and kept as they are. Of a `Link` with a query nothing else counts:
/// registries behind proxies write paths, ports and hosts that only they know (Artifactory, Nexus), and the
/// token must not go elsewhere. A `Link` that cannot be read is an error, because a list without its other
/// pages would look complete.
pub(crate) fn next_page(page: &Url, headers: &HeaderMap) -> Result<Option<Url>, Failure> {
    for line in headers.get_all(LINK) {
        let links = line.to_str().ok().filter(|line| line.len() <= MAX_LINK_BYTES).and_then(parse);
        let links = links.ok_or_else(|| Failure::protocol("the Link to the next page is not readable"))?;
        if let Some(target) = links.into_iter().find(Target::is_next) {
            return with_query_of(page, &target.uri).map(Some);
        }
    }
    Ok(None)
}

fn with_query_of(page: &Url, target: &str) -> Result<Url, Failure> {
    let target = target.split('#').next().unwrap_or_default();
    if let Some((_, query)) = target.split_once('?') {
        let mut next = page.clone();
        next.set_query(Some(query));
        return Ok(next);
    }
    let next = page.join(target).map_err(|_| Failure::protocol("the Link to the next page is no address"))?;
    if next.origin() != page.origin() {
        let (next, page) = (authority(&next), authority(page));
        return Err(Failure::refused(format!("the next page of the tag list is on {next}, not on {page}")));
    }
    Ok(next)
}

struct Target {
    uri: String,
    relations: Option<String>,
}

impl Target {
    /// Whether it leads to the next page. A link without a relation does: some registries send no more.
    fn is_next(&self) -> bool {
        self.relations
            .as_ref()
            .is_none_or(|r| r.split_ascii_whitespace().any(|r| r.eq_ignore_ascii_case("next")))
    }
}

fn parse(text: &str) -> Option<Vec<Target>> {
    let mut targets = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (uri, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (relations, after) = parameters(after)?;
        targets.push(Target { uri: uri.trim().to_owned(), relations });
        rest = after;
    }
    Some(targets)
}

/// Reads `; name=value …` up to the comma before the next link. Returns the first `rel` and the text
/// behind the comma.
fn parameters(text: &str) -> Option<(Option<String>, &str)> {
    let mut relations = None;
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix(',') {
            return Some((relations, after.trim_start_matches([',', ' ', '\t'])));
        }
        if rest.is_empty() {
            return Some((relations, rest));
        }
        rest = rest.strip_prefix(';')?.trim_start();
        let end = rest.find(['=', ';', ',']).unwrap_or(rest.len());
        let name = rest[..end].trim();
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = header_value(after.trim_start());
            rest = after.trim_start();
            if name.eq_ignore_ascii_case("rel") && relations.is_none() {
                relations = Some(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(link: &str) -> Result<Option<String>, String> {
        let page: Url = "https://r.example.com/v2/a/b/tags/list?n=1000".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().unwrap());
        next_page(&page, &headers).map(|url| url.map(String::from)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn relative_and_absolute_links_are_resolved_and_cursors_kept() {
        let at = |rest: &str| Ok(Some(format!("https://r.example.com/v2/a/b/tags/list{rest}")));
        assert_eq!(next(r#"</v2/a/b/tags/list?last=z&n=5>; rel="next""#), at("?last=z&n=5"));
        assert_eq!(next("<?last=z%2B%3D>;rel=next"), at("?last=z%2B%3D"));
        assert_eq!(
            next(r"<https://r.example.com:443/v2/a/b/tags/list?next_page=x>; rel=NEXT"),
            at("?next_page=x")
        );
        assert_eq!(
            next(r#"</v2/a/b/tags/list?a,b;c>; title="a, <b>; rel=x"; rel="last next""#),
            at("?a,b;c")
        );
        assert_eq!(next(r#"</p>; rel="prev", </v2/a/b/tags/list?x>; rel="next""#), at("?x"));
        assert_eq!(next("</v2/a/b/tags/list?x>"), at("?x"));
        assert_eq!(next("<http://r.example.com/v2/a/b/tags/list?x>; rel=next"), at("?x"));
    }

    #[test]
    fn other_relations_mean_that_this_is_the_last_page() {
        assert_eq!(next(r#"</v2/>; rel="prev", </v2/>; rel=first"#), Ok(None));
    }

    #[test]
    fn a_link_elsewhere_gives_its_query_and_nothing_else() {
        for elsewhere in [
            "<https://evil.example.com/v2/a/b/tags/list?x>; rel=next",
            "<https://r.example.com:8443/v2/a/b/tags/list?x>; rel=next",
            "<//evil.example.com/x?x>; rel=next",
            "</repository/docker/v2/a/b/tags/list?x>; rel=next",
            "<https://u:p@evil.example.com/?x#y>; rel=next",
        ] {
            assert_eq!(next(elsewhere).unwrap().unwrap(), "https://r.example.com/v2/a/b/tags/list?x");
        }
    }

    #[test]
    fn links_elsewhere_without_a_cursor_and_unreadable_links_are_errors() {
        for bad in [
            "<file:///etc/passwd>; rel=next",
            "<https://evil.example.com/v2/a/b/tags/list>; rel=next",
            "</v2/x; rel=next",
            "https://r.example.com/x; rel=next",
            "garbage",
        ] {
            assert!(next(bad).is_err(), "{bad}");
        }
        assert!(
            next(&format!("<?last={}>; rel=next", "a".repeat(5_000))).is_err(),
            "a cursor without a bound"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in r#"([<>;,="\\]|rel|next|[ -~]){0,60}"#) {
            let _ = next(&text);
        }
    }
}
