"""Admission at step boundaries, and gangs: which turns may go now so that what runs fits the pool. Pure."""

from __future__ import annotations

from agentrt.kvcache.admission.admission import Admission
from agentrt.kvcache.admission.claims import NOTHING_FIXED, Decay, Fixed, Ticket
from agentrt.kvcache.admission.orders import ORDERS

__all__ = ["NOTHING_FIXED", "ORDERS", "Admission", "Decay", "Fixed", "Ticket"]
