"""The addresses that a page uses, also below a sub-path.

Airflow shows the pages in a frame that may not navigate its parent. A link to one of Airflow's own pages has
``target="_top"``, and ``static/chassis.js`` opens it through the frame's parent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.contract.addresses import Links

if TYPE_CHECKING:
    from fastapi import Request


def links_of(request: Request) -> Links:
    """The addresses as the client sees them."""
    return Links(request.base_url.path.rstrip("/"))
