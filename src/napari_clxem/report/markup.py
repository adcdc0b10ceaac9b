"""HTML from plain values: whatever is not made here is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Give a value as HTML: escaped, unless it is HTML already."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def joined(*parts: object, between: str = "\n") -> Html:
    """Put values one after the other."""
    return Html(between.join(text(one) for one in parts if one != ""))


def element(tag: str, inside: object = "", **attributes: object) -> Html:
    """Make an element; attributes in Python's spelling, such as ``class_`` and ``aria_label``."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{given}>{text(inside)}</{tag}>")


def paragraph(words: object, kind: str | None = None) -> Html:
    """Make a paragraph."""
    return element("p", words, class_=kind)


def missing(sentence: object) -> Html:
    """Say in one sentence what is not there; marked by a sign as well as by its colour."""
    return paragraph(joined("▢", sentence, between=" "), "missing")


def warning(sentence: object) -> Html:
    """Say in one sentence what to look at; marked by a sign as well as by its colour."""
    return paragraph(joined("⚠", sentence, between=" "), "warning")


def listed(sentences: Iterable[object], kind: str | None = None) -> Html:
    """Make a list; nothing of no sentences."""
    items = [element("li", one) for one in sentences]
    return element("ul", joined(*items), class_=kind) if items else Html("")


def lines(sentences: Iterable[object]) -> Html:
    """Put sentences below each other in one cell."""
    return Html("<br>".join(text(one) for one in sentences))


def section(name: str, title: str, *parts: object) -> Html:
    """Make a chapter with its heading."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", joined(heading, *parts), id=name, aria_labelledby=f"{name}-title")


def heading(title: object) -> Html:
    """Make a heading within a chapter."""
    return element("h3", title)


def table(
    caption: object,
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    words: Sequence[int] = (0,),
    kind: str | None = None,
    notes: Sequence[object] = (),
    unbroken: Sequence[int] = (),
) -> Html:
    """Make a table whose first column heads its rows.

    Parameters
    ----------
    caption : object
        What it shows; said above it.
    head : sequence
        A heading for every column, with its unit.
    rows : iterable of sequence
    words : sequence of int
        Columns of words; the others are numbers and end in line.
    kind : str, optional
        Its class.
    notes : sequence
        For every row what is said below it across all columns; empty for nothing.
    unbroken : sequence of int
        Columns of words that stay in one line.
    """

    def side(column: int) -> str | None:
        return ("w" if column in unbroken else None) if column in words else "n"

    top = joined(
        *(element("th", one, scope="col", class_=side(i)) for i, one in enumerate(head)), between=""
    )
    body = []
    for number, row in enumerate(rows):
        cells = [
            element("td" if i else "th", one, scope=None if i else "row", class_=side(i))
            for i, one in enumerate(row)
        ]
        note = notes[number] if number < len(notes) else ""
        body.append(element("tr", joined(*cells, between=""), class_="noted" if note else None))
        if note:
            body.append(element("tr", element("td", note, colspan=len(head)), class_="note"))
    inside = joined(
        element("caption", caption),
        element("thead", element("tr", top)),
        element("tbody", joined(*body)),
    )
    return element("table", inside, class_=kind)


def figure(picture: Html, caption: object, kind: str | None = None) -> Html:
    """Make a picture with what it shows."""
    return element("figure", joined(picture, element("figcaption", caption)), class_=kind)


def page(title: str, *parts: object) -> str:
    """Make the whole file, with nothing in it that has to be fetched."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{joined(*parts)}\n</body>\n</html>\n"
    )


STYLE = """
@page { size: A4; margin: 15mm 14mm 17mm;
  @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #444 } }
:root { color-scheme: light }
body { font: 10.5pt/1.42 "Helvetica Neue", Arial, "Liberation Sans", sans-serif; color: #1a1a1a;
  background: #fff; max-width: 56rem; margin: 1.5rem auto; padding: 0 1rem }
h1 { font-size: 21pt; line-height: 1.15; margin: 0 0 .2rem }
h2 { font-size: 14.5pt; margin: 1.9rem 0 .5rem; padding-bottom: .15rem;
  border-bottom: 2px solid #1a1a1a }
h3 { font-size: 11.5pt; margin: 1.2rem 0 .3rem }
h2, h3, caption { break-after: avoid }
p { margin: .35rem 0; orphans: 3; widows: 3 }
p.lead { font-size: 11.5pt }
p.missing, p.warning, ul.missing { padding: .25rem .6rem; background: #f4f4f4;
  border-left: 3px solid #767676 }
ul.missing { list-style: none; font-size: 8.8pt }
p.warning { border-left: 4px double #9a3b00; background: #fff4ea }
ul { margin: .3rem 0; padding-left: 1.2rem }
li { break-inside: avoid }
table.exposures, table.wide, table.spent { font-size: 7.6pt }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 .9rem; font-size: 8.8pt;
  line-height: 1.3; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding: .2rem 0; font-size: 9.5pt }
th, td { padding: .16rem .4rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #c8c8c8; overflow-wrap: break-word }
thead { display: table-header-group }
thead th { border-bottom: 1.5px solid #1a1a1a; vertical-align: bottom; overflow-wrap: normal }
tbody th { font-weight: 600 }
th.w, td.w { white-space: nowrap }
th.n, td.n { text-align: right; white-space: nowrap }
thead th.n { white-space: normal }
tr { break-inside: avoid }
tr.noted > * { border-bottom: 0; break-after: avoid }
tr.note td { padding-top: 0; color: #444; font-size: 8pt }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem;
  margin: .6rem 0 }
dl.facts dt { font-weight: 600 } dl.facts dd { margin: 0; overflow-wrap: anywhere }
figure { margin: .6rem 0; break-inside: avoid }
figure svg { display: block; width: 100%; height: auto }
figcaption { font-size: 8.6pt; color: #333; margin-top: .2rem; line-height: 1.3 }
figure.half { max-width: 30rem }
figure.small { max-width: 20rem }
figure.whole svg { max-height: 148mm }
div.pairs { display: flex; flex-wrap: wrap; gap: .8rem }
div.pairs figure { flex: 0 0 calc(50% - .4rem); margin: 0 }
div.pictures { display: flex; flex-wrap: wrap; gap: .6rem }
div.pictures figure { flex: 0 0 calc(25% - .45rem); margin: 0 }
div.block { break-inside: avoid }
ol.sources { font-size: 9pt; padding-left: 1.4rem }
span.swatch { display: inline-block; width: .7em; height: .7em; border: 1px solid #444;
  print-color-adjust: exact; -webkit-print-color-adjust: exact }
svg.glyph { width: 1.25em; height: 1.25em; vertical-align: -.25em }
td.path { overflow-wrap: anywhere }
code { font: 9pt "Liberation Mono", Consolas, monospace; overflow-wrap: anywhere }
a { color: inherit }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 9.5pt } }
@media screen and (max-width: 40rem) { div.pictures figure { flex-basis: calc(50% - .3rem) } }
"""
