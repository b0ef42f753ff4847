"""A simulator of the whole way of a task on AWS, and the sums that need no simulator."""
