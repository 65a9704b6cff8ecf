"""A deliverable as plain data and back, for the way between two processes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from understudy.evaluation.deliverables.deliverable import Block, Deliverable, Image, Link, Sheet


def plain_form(read: Deliverable) -> dict[str, Any]:
    """What JSON can hold; pictures as base 64."""
    plain = asdict(read)
    for image in plain["images"]:
        image["content"] = base64.b64encode(image["content"]).decode()
    return plain


def from_plain_form(plain: Mapping[str, Any]) -> Deliverable:
    """The deliverable that ``plain_form`` was given, after JSON has made lists of its tuples."""
    images = [{**image, "content": base64.b64decode(image["content"])} for image in plain["images"]]
    return Deliverable(
        **{
            **plain,
            "tables": tuple(_sheet(sheet) for sheet in plain["tables"]),
            "blocks": tuple(
                Block(**{**block, "highlighted": tuple(block["highlighted"])}) for block in plain["blocks"]
            ),
            "images": tuple(Image(**image) for image in images),
            "links": tuple(Link(**link) for link in plain["links"]),
            "notes": tuple(plain["notes"]),
        }
    )


def _sheet(plain: Mapping[str, Any]) -> Sheet:
    listed = {name: tuple(plain[name]) for name in ("not_computed", "merged", "highlighted")}
    return Sheet(**{**plain, **listed, "rows": tuple(tuple(row) for row in plain["rows"])})
