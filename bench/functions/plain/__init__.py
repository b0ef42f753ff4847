"""The plain Lambda function."""
