"""Agents: long-lived processes that serve every study that was submitted to a database."""

from sweep.service.agent import Agent, AgentOptions
from sweep.service.cancel import cancel_leftovers

__all__ = ["Agent", "AgentOptions", "cancel_leftovers"]
