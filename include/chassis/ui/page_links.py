"""The addresses that a page uses, right below a sub-path, too.

Airflow shows the pages in a frame that may not leave itself. A link to one of Airflow's own pages has
``target="_top"``, and ``static/chassis.js`` follows it through the frame's parent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.contract.addresses import Links

if TYPE_CHECKING:
    from fastapi import Request


def links_of(request: Request) -> Links:
    """The addresses as the request's sender sees them."""
    return Links(request.base_url.path.rstrip("/"))
