"""The plain algorithm, written as it is usually written: commit, send, and hope.

FastAPI with a SQLAlchemy session for each request, and a Lambda function that makes a psycopg2
connection and two commits for each message. What is left open by that is settled in its favour: one
connection pool and one SQS client for the whole process.
"""
