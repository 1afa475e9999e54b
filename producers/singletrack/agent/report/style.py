"""How the page of a report looks: light, dark, and on paper."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --ink: #1c2430; --faint: #5b6675; --line: #d8dde5;
  --good: #0b6b4f; --bad: #b3261e; --planned: #1d5fbf; }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --card: #1d2229; --ink: #e6eaf0; --faint: #9aa5b4;
  --line: #343c47; --good: #5fd3a8; --bad: #ff8a80; --planned: #82b4ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1000px; padding: 24px; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0; }
h2 small { color: var(--faint); font-weight: normal; }
.outcome { font-size: 18px; font-weight: 600; margin: 0 0 8px; }
.outcome.good, .good .verdict { color: var(--good); }
.outcome.bad, .bad .verdict { color: var(--bad); }
.planned .verdict { color: var(--planned); }
.faint { opacity: .6; }
.why { margin: 0 0 8px; }
.degraded { color: var(--faint); margin: 8px 0; padding-left: 20px; }
section { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--line);
  border-radius: 8px; padding: 14px 18px; margin: 14px 0; }
section.good { border-left-color: var(--good); }
section.bad { border-left-color: var(--bad); }
section.planned { border-left-color: var(--planned); }
.verdict { margin: 2px 0 8px; }
dl { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 8px 0; }
dt { color: var(--faint); font-size: 13px; }
dd { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin: 4px 0; }
th, td { text-align: left; vertical-align: top; padding: 3px 12px 3px 0; border-bottom: 1px solid var(--line); }
th { color: var(--faint); font-weight: normal; }
summary { color: var(--faint); font-size: 14px; cursor: pointer; }
img { display: block; max-width: 100%; border: 1px solid var(--line); border-radius: 6px; margin-top: 10px; }
@media print { body { max-width: none; padding: 0; background: #fff; color: #000; }
  section { break-inside: avoid; background: #fff; } img { max-height: 8cm; } }
"""
