"""Loads Flower's templates, with one more item in its navigation, and this page's own."""

import logging
from pathlib import Path

from tornado.template import Loader, Template

_log = logging.getLogger(__name__)
PAGES = Path(__file__).parent / "pages"
_NAVIGATION = "navbar.html"
_END_OF_ITEMS = "</ul>"
_ITEM = """
<li class="nav-item">
  <a class="nav-link{% if active_tab == 'gpu' %} active{% end %}" href="{{ reverse_url('gpu') }}"
    {% if active_tab == 'gpu' %}aria-current="page"{% end %}>GPU</a>
</li>
"""


class GpuLoader(Loader):
    """Loads Flower's templates from its folder, and ours from `pages`."""

    def _create_template(self, name: str) -> Template:
        own = PAGES / name
        file = own if own.is_file() else Path(self.root) / name
        text = file.read_text(encoding="utf-8")
        return Template(with_item(text) if name == _NAVIGATION else text, name=name, loader=self)


def with_item(navigation: str) -> str:
    """Add our item at the end of Flower's first list."""
    before, end, after = navigation.partition(_END_OF_ITEMS)
    if not end:
        _log.warning("this Flower's navigation has no list to add to: the GPU page is at /gpu, but nothing links to it")
        return navigation
    return f"{before}{_ITEM}{end}{after}"
