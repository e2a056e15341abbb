//! A picture of a terminal.

use std::fmt::Write as _;

use anstyle::{Ansi256Color, Color, Effects, RgbColor, Style};
use anstyle_svg::{Term, WIN10_CONSOLE};
use vt100::{Cell, Screen};

use crate::names::{NAMES_VARIABLE, Row, pairs, renamed};

/// Returns an SVG of what a screen shows, without the empty lines at its end. Names of a test cluster are replaced as
/// [`NAMES_VARIABLE`] says.
#[must_use]
pub fn picture(screen: &Screen) -> String {
    let names = std::env::var(NAMES_VARIABLE).unwrap_or_default();
    let names = pairs(&names);
    let (rows, columns) = screen.size();
    let cells = |row| (0..columns.get()).filter_map(move |column| screen.cell(row, column));
    // What follows a wide character is part of it.
    let cells = |row| cells(row).filter(|cell| !cell.is_wide_continuation());
    let row = |row| cells(row).map(|cell| (style(cell), text(cell))).collect::<Row>();
    let lines: Vec<String> =
        renamed(&(0..rows.get()).map(row).collect::<Vec<_>>(), &names).into_iter().map(line).collect();
    let shown = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    Term::new().palette(WIN10_CONSOLE).render_svg(&lines[..shown].join("\n"))
}

fn text(cell: &Cell) -> String {
    if cell.has_contents() { cell.contents().to_owned() } else { " ".to_owned() }
}

/// Returns a line with the escape codes of its colours, without the blanks at its end.
fn line(row: Row) -> String {
    let mut styled = Row::new();
    for (style, text) in row {
        match styled.last_mut() {
            Some((last, run)) if *last == style => run.push_str(&text),
            _ => styled.push((style, text)),
        }
    }
    while styled.pop_if(|(style, run)| style.is_plain() && run.trim_end().is_empty()).is_some() {}
    if let Some((_, run)) = styled.last_mut().filter(|(style, _)| style.is_plain()) {
        run.truncate(run.trim_end().len());
    }
    styled.iter().fold(String::new(), |mut text, (style, run)| {
        let _ = write!(text, "{style}{run}{style:#}");
        text
    })
}

fn style(cell: &Cell) -> Style {
    let effects = [
        (cell.bold(), Effects::BOLD),
        (cell.dim(), Effects::DIMMED),
        (cell.italic(), Effects::ITALIC),
        (cell.underline(), Effects::UNDERLINE),
        (cell.inverse(), Effects::INVERT),
    ];
    let effects = effects.into_iter().filter(|(is_on, _)| *is_on).map(|(_, effect)| effect);
    Style::new()
        .fg_color(color(cell.fgcolor()))
        .bg_color(color(cell.bgcolor()))
        .effects(effects.fold(Effects::new(), |all, effect| all | effect))
}

fn color(color: vt100::Color) -> Option<Color> {
    match color {
        vt100::Color::Default => None,
        vt100::Color::Idx(index) => {
            let color = Ansi256Color(index);
            Some(color.into_ansi().map_or(Color::Ansi256(color), Color::Ansi))
        }
        vt100::Color::Rgb(red, green, blue) => Some(Color::Rgb(RgbColor(red, green, blue))),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn shown(bytes: &str) -> String {
        let size = |number: u16| NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(size(5), size(20), 0);
        parser.process(bytes.as_bytes());
        picture(parser.screen())
    }

    #[test]
    fn a_picture_has_the_lines_and_colours_of_the_screen_and_none_of_its_emptiness() {
        let svg = shown("one\r\n  \u{1b}[32mtwo\u{1b}[0m  <3>\r\n");
        assert_eq!(svg.matches("<tspan x=").count(), 2, "{svg}");
        assert!(svg.contains(r#"class="fg-green">two<"#) && svg.contains("&lt;3&gt;"), "{svg}");
    }

    #[test]
    fn what_was_erased_is_in_no_picture() {
        let svg = shown("secret\r\u{1b}[Kshown");
        assert!(svg.contains("shown") && !svg.contains("secret"), "{svg}");
    }
}
