"""The plain Lambda function: for each message a connection, two updates, two commits."""

import json
import os
from datetime import datetime
from typing import Any

import psycopg2


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process SQS messages."""
    for record in event["Records"]:
        message_body = json.loads(record["body"])
        task_id = message_body.get("task_id")
        title = message_body.get("title")
        description = message_body.get("description")

        conn = psycopg2.connect(os.environ["DATABASE_URL"])
        cursor = conn.cursor()

        cursor.execute(
            "UPDATE tasks SET status = %s, updated_at = %s WHERE id = %s",
            ("processing", datetime.now(), task_id),
        )
        conn.commit()

        result = process_task(task_id, title, description)

        cursor.execute(
            "UPDATE tasks SET status = %s, result = %s, updated_at = %s WHERE id = %s",
            ("completed", result, datetime.now(), task_id),
        )
        conn.commit()

        cursor.close()
        conn.close()

    return {"statusCode": 200, "body": json.dumps({"message": "Processing complete"})}


def process_task(task_id: int, title: str, description: str | None) -> str:
    """Do the work."""
    result = f"Processed task '{title}' at {datetime.now().isoformat()}"
    if description:
        result += f" with description: {description}"
    return result
