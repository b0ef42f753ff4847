"""The whole service on one machine: PostgreSQL, SQS, HTTP server and event source mapping."""
