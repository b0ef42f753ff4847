"""Deploys a stage to AWS by CloudFormation, its database's schema included; safe to run again.

``package`` makes what is deployed, ``bucket`` keeps it where CloudFormation finds it, ``stack``
changes the stack by a ``change`` that is prepared first (``states`` knows when none can be made),
``functions`` invokes what was deployed, and ``command`` puts them in order.
"""
