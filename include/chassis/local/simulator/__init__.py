"""A local server that speaks Amazon Bedrock's wire format for Claude: for runs without AWS, and for tests.

It is not Claude and never says so: the message's model is ``simulated``, each answer has the header
``x-chassis-simulator``, each text begins with ``[simulated]``. What it accepts proves nothing about what
Bedrock accepts.

The simulator stands alone: it shares no code with the client side that is tested against it.
"""

from __future__ import annotations

from chassis.local.simulator.control_client import SimulatorControl
from chassis.local.simulator.runner import Simulator
from chassis.local.simulator.scenario import Quota
from chassis.local.simulator.sigv4 import ACCESS_KEY, BEARER_TOKEN, SECRET_KEY
from chassis.local.simulator.simulator_errors import SimulatorError

__all__ = [
    "ACCESS_KEY",
    "BEARER_TOKEN",
    "SECRET_KEY",
    "Quota",
    "Simulator",
    "SimulatorControl",
    "SimulatorError",
]
