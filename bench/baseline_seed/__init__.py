"""The seed's own algorithm, as its description has it, to be measured against.

What the description leaves open is settled in its favour: one connection pool and one SQS client
for the whole process.
"""
