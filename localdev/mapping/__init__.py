"""The event source mapping and the schedule: what Lambda does between SQS and the app."""
