"""What all that speaks to AWS has in common.

``account`` has the clients, and says AWS's refusals in a sentence; ``invoke`` invokes a function
and waits for one that is not ready; ``names`` knows what a stage's parts are called.
"""
