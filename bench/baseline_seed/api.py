"""The plain HTTP API: commit, send, answer."""

import functools
import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
from fastapi import Depends, FastAPI, HTTPException, status
from sqlalchemy.orm import Session

from bench.baseline_seed.models import SessionLocal, Task, TaskCreate, TaskResponse, TaskStatus

app = FastAPI()


class SQSClient:
    """Sends messages to its queue."""

    def __init__(self) -> None:
        """Make the client."""
        self.client = boto3.client(
            "sqs", region_name="us-east-1", endpoint_url=os.environ["AWS_ENDPOINT_URL_SQS"]
        )
        self.queue_url = os.environ["BENCH_QUEUE_URL"]

    def send_message(self, message_body: dict[str, Any]) -> Any:
        """Send one message."""
        return self.client.send_message(
            QueueUrl=self.queue_url, MessageBody=json.dumps(message_body)
        )


def get_db() -> Iterator[Session]:
    """Give a session to a request."""
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@functools.cache
def get_sqs_client() -> SQSClient:
    """Give the client to a request."""
    return SQSClient()


@app.post("/tasks", response_model=TaskResponse, status_code=status.HTTP_201_CREATED)
async def create_task(
    task: TaskCreate,
    db: Session = Depends(get_db),
    sqs_client: SQSClient = Depends(get_sqs_client),
) -> Any:
    """Store a task and send its message."""
    db_task = Task(title=task.title, description=task.description, status=TaskStatus.PENDING)
    db.add(db_task)
    db.commit()
    db.refresh(db_task)
    message = {
        "task_id": db_task.id,
        "title": db_task.title,
        "description": db_task.description,
    }
    try:
        sqs_client.send_message(message)
    except Exception as error:
        db_task.status = TaskStatus.FAILED
        db_task.result = f"Failed to send to SQS: {error}"
        db.commit()
        raise HTTPException(status_code=500, detail=str(error)) from error
    return db_task
