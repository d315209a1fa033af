"""Admission at step boundaries, and gangs: which turns may go now, so that what runs fits the pool. Pure.

``Admission``  holds back whole programs     ``Gang``    lets one turn warm a prefix for others
``Chains``     the prefixes of a request     ``Sizes``   how many tokens a turn will have
"""

from __future__ import annotations

from agentrt.kvcache.admission.admission import Admission
from agentrt.kvcache.admission.chains import Chains
from agentrt.kvcache.admission.claims import NOTHING_FIXED, Decay, Fixed, Ticket
from agentrt.kvcache.admission.gang import Gang, Link, Member
from agentrt.kvcache.admission.orders import ORDERS
from agentrt.kvcache.admission.sizes import Sizes

__all__ = [
    "NOTHING_FIXED",
    "ORDERS",
    "Admission",
    "Chains",
    "Decay",
    "Fixed",
    "Gang",
    "Link",
    "Member",
    "Sizes",
    "Ticket",
]
