"""Converts Markdown of a model or a person to HTML that can only be read.

Two barriers, each enough by itself: the parser takes no HTML (tags become text) and makes no image, and a sanitiser
allows only a short list of tags and attributes. Behind both is the page's content security policy. Links lead to web or
mail addresses only: no script, no data, nothing on this host that a click could change.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markupsafe import Markup

from chassis.text import one_line, signs

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

LIMIT = 100_000
"""Characters of a text that are shown: more would take the server seconds to parse."""

_BLOCKS = {"p", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "ul", "ol", "li"}
_TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
_IN_LINE = {"a", "br", "code", "em", "s", "span", "strong"}
TAGS = frozenset(_BLOCKS | _TABLES | _IN_LINE)
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "span": {"title"}}
SCHEMES = frozenset({"http", "https", "mailto"})

_ADDRESS = re.compile(r"(?:https?://[^/\\@\s]|mailto:)", re.IGNORECASE)
"""An address that names its host. With a user before the host, it would look like another host, so it stays text."""
_USER = re.compile(r"https?://[^/?#\\]*@", re.IGNORECASE)
_LONGEST_ADDRESS = 2_000


def to_html(text: str, *, limit: int = LIMIT) -> Markup:
    """The text as HTML, with deceptive characters as signs.

    :param limit: characters that are read; a note at the end says that some are missing

    Anything nested deeper than twenty levels is left out, so a page also offers the text as it was written.
    """
    rendered = _parser().render(signs(text[:limit]))
    # Again, because an entity such as &#8238; becomes its character only in the parser.
    clean = signs(_sanitised(rendered))
    if len(text) > limit:
        clean += f'<p class="cut">{len(text) - limit:,} more characters are not shown here.</p>'
    return Markup(clean)  # noqa: S704  it went through the sanitiser


def is_safe_address(address: str) -> bool:
    """Whether a link may lead there: an absolute web or mail address without anything misleading in it."""
    plain = one_line(address)
    return (
        len(address) <= _LONGEST_ADDRESS
        and plain == address
        and _ADDRESS.match(address) is not None
        and _USER.match(address) is None
    )


class _Renderer(RendererHTML):
    """Links that show where they lead, and descriptions in place of images."""

    def link_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        """A link whose title is its address, whatever title its author gave it."""
        address = escapeHtml(str(tokens[index].attrGet("href") or ""))
        return f'<a href="{address}" title="{address}">'

    def image(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        """Describe an image, never load it: loading would tell its host who reads what, and when."""
        token = tokens[index]
        address = escapeHtml(str(token.attrGet("src") or ""))
        words = escapeHtml(self.renderInlineAsText(token.children or [], options, env))
        return f'<span title="{address}">[image: {words or "without words"}] {address}</span>'


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802  the parser's own name
        return is_safe_address(url)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    options = {"html": False, "maxNesting": 20}
    return _Parser("commonmark", options, renderer_cls=_Renderer).enable(["table", "strikethrough"])


def _sanitised(html: str) -> str:
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
