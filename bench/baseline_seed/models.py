"""The plain algorithm's table and what its HTTP API takes and gives."""

import enum
import os
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, DateTime, Integer, String, Text, create_engine, func
from sqlalchemy.orm import DeclarativeBase, sessionmaker

_DRIVER = "postgresql+psycopg2"
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql", _DRIVER, 1))
SessionLocal = sessionmaker(autocommit=False, autoflush=False, bind=engine)


class Base(DeclarativeBase):
    """What its tables have in common."""


class TaskStatus(str, enum.Enum):
    """Where a task stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class Task(Base):
    """A row of its table."""

    __tablename__ = "tasks"

    id = Column(Integer, primary_key=True, index=True)
    title = Column(String(255), nullable=False)
    description = Column(Text)
    status = Column(String(20), nullable=False, default=TaskStatus.PENDING)
    result = Column(Text)
    created_at = Column(DateTime(timezone=True), server_default=func.now())
    updated_at = Column(DateTime(timezone=True), onupdate=func.now())


class TaskCreate(BaseModel):
    """What a client sends."""

    title: str = Field(..., min_length=1, max_length=255)
    description: str | None = None


class TaskResponse(BaseModel):
    """What it is answered."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    description: str | None
    status: TaskStatus
    created_at: datetime
    updated_at: datetime | None
    result: str | None
