"""A layout as a user reads it: for each machine the exact commands, ready for a shell."""

from __future__ import annotations

from understudy.launching.layout import Layout
from understudy.launching.order import KEY_VARIABLE


def commands_of(layout: Layout) -> str:
    """The commands of every machine, servers first; secrets are named by their variables and shown nowhere."""
    blocks = [_machine(layout, number) for number in range(len(layout.machines))]
    notes = "".join(f"# {notice}\n" for notice in layout.notices)
    return notes + "\n".join(blocks)


def _machine(layout: Layout, number: int) -> str:
    parts = layout.of_machine(number)
    lines = [f"# on {layout.machines[number]}"] if len(layout.machines) > 1 else []
    variables = layout.key_variables
    if KEY_VARIABLE in variables:
        if len(layout.machines) == 1:
            lines.append(f"export {KEY_VARIABLE}=$(openssl rand -hex 32)")
        else:
            lines.append(f': "${{{KEY_VARIABLE}:?set it to one secret, the same on every machine}}"')
    lines += [f': "${{{name}:?is the key of a server}}"' for name in variables if name != KEY_VARIABLE]
    lines += [f"{part.line} &" for part in parts if part.kind != "trainer"]
    # The trainer itself waits for its servers.
    lines += [part.line for part in parts if part.kind == "trainer"]
    if any(part.kind != "trainer" for part in parts):
        lines.append("kill $(jobs -p); wait")
    return "\n".join(lines) + "\n"
