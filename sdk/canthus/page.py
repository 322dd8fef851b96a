"""Pages to look at: one HTML file each, that loads nothing and runs no script."""

from __future__ import annotations

import html

STYLE = """
:root { --ink: #222; --paper: #fff; --line: #999; --faint: #ddd; --warning: #fff3cd; --bad: #b00020 }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 2rem }
th, td { padding: .2rem .7rem; text-align: right; white-space: nowrap }
th { border-bottom: 1px solid var(--line); font-weight: 600 } th:first-child, td:first-child { text-align: left }
svg { display: block } .key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .3rem 0 1rem }
.warning { background: var(--warning); padding: .4rem .8rem; margin: .3rem 0 }
.missed { color: var(--bad); font-weight: 700 }
"""

DARK = """
@media (prefers-color-scheme: dark) {
:root { --ink: #e4e4e4; --paper: #17191c; --line: #777; --faint: #383c42; --warning: #4a3c10; --bad: #ff7b8a }
}
"""
"""For pages whose pictures take their colours from these, too."""


def document(title: str, body: str, style: str = STYLE) -> str:
    """A whole page; `body` is HTML, and says its heading itself."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>{style}</style></head><body>
{body}
</body></html>
"""
