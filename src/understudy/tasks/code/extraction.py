"""Where the program stands in what a model wrote."""

from __future__ import annotations

import re
from typing import Literal

Block = Literal["last", "first"]

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+#.-]*)[^\n]*$", re.MULTILINE)
_PYTHON = ("", "python", "python3", "py", "python2", "pycon")
_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


def fenced(text: str, which: Block = "last") -> str | None:
    """The last (or first) block between fences that says it is Python, or says nothing; None where there is none.

    A fence that is never closed holds all that follows: a completion cut by its length limit is still an answer.

    >>> fenced("Try\\n```python\\nx = 1\\n```\\nor, better,\\n```\\nx = 2\\n```\\n")
    'x = 2\\n'
    >>> fenced("```sh\\nls\\n```") is None
    True
    """
    blocks, opening = [], None
    for match in _FENCE.finditer(text):
        if opening is None:
            opening = match
        elif match[1].startswith(opening[1]) and not match[2]:
            blocks.append((opening[2].lower(), text[opening.end() + 1 : match.start()]))
            opening = None
    if opening is not None:
        blocks.append((opening[2].lower(), text[opening.end() + 1 :]))
    found = [code for language, code in blocks if language in _PYTHON and code.strip()]
    return None if not found else found[-1 if which == "last" else 0]


def continued(prompt: str, text: str) -> str:
    """A prompt that ends in a function's docstring, with the body a model wrote, up to where something else begins.

    Source: the stop sequences of Chen et al., arXiv:2107.03374, section 3.
    """
    ends = [text.find(stop) for stop in _STOPS]
    return prompt + text[: min((end for end in ends if end >= 0), default=len(text))]


def humaneval_program(completion: str, *, prompt: str, entry_point: str, which: Block) -> str:
    """The whole program: the block with the prompt's imports and first functions before it, or the prompt continued.

    A block that does not define the function, and a completion without a block, continue the prompt.
    """
    block = fenced(completion, which)
    head, definition, _ = prompt.rpartition(f"def {entry_point}(")
    text = completion if block is None else block
    if re.search(rf"^def {re.escape(entry_point)}\s*\(", text, re.MULTILINE):
        return (head if definition else "") + "\n" + text
    return continued(prompt, text) if block is None else prompt + text
