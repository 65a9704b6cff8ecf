"""Text that shows what is in it: control characters get a glyph, so that nothing hides and nothing acts."""

from __future__ import annotations

_NEWLINE = "↵\n"
_TAB = "⇥\t"

_TURNING = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070))
_WITHOUT_WIDTH = (0xAD, 0x034F, 0x115F, 0x1160, 0x180E, 0x200B, 0x3164, 0xFEFF, 0xFFA0, *range(0xE0000, 0xE0080))
_HIDDEN = (*range(0x80, 0xA0), *_TURNING, *_WITHOUT_WIDTH)
"""C1 controls, what turns, joins or separates text, and letters that nobody sees; the joiners of emoji stay."""

_GLYPHS = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "␡",
    **{code: f"⟨U+{code:04X}⟩" for code in _HIDDEN},
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),
}


def visible(text: str) -> str:
    """The text with every control character as a glyph, line breaks and tabs as they are; writable as UTF-8.

    >>> visible("\\x1b[31mred\\x00")
    '␛[31mred␀'
    >>> visible("a\\U000e0062c")  # a tag: a model reads it, a browser shows nothing
    'a⟨U+E0062⟩c'
    """
    return text.translate(_KEEPING_LINES)


def marked(text: str) -> str:
    """As ``visible``, line breaks and tabs marked too; still broken and indented where the text is.

    >>> marked("a\\nb")
    'a↵\\nb'
    """
    return text.translate(_MARKING_LINES)


_KEEPING_LINES = {**_GLYPHS, 0x0A: "\n", 0x09: "\t"}
_MARKING_LINES = {**_GLYPHS, 0x0A: _NEWLINE, 0x09: _TAB}
