"""What the states of a stack mean for a deployment, and how one gets out of those that stop it.

Source: AWS CloudFormation User Guide, "Stack status codes" and
"Continue rolling back an update".
"""

from __future__ import annotations

from localdev.errors import StackError

#: Made by a change set that was never carried out: it has nothing in it.
NEW = "REVIEW_IN_PROGRESS"
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_DATABASE = "if a database of its own is in the way, switch its deletion protection off in RDS"
_EVENTS = "its events say why"
_STUCK = {
    "CREATE_FAILED": f"its first deployment failed ({_EVENTS}): delete it, and deploy again",
    "ROLLBACK_COMPLETE": f"its first deployment failed ({_EVENTS}): delete it, and deploy again",
    "ROLLBACK_FAILED": f"its first deployment failed, and was undone in part only ({_EVENTS}): "
    f"{_DATABASE}; then delete it, and deploy again",
    "DELETE_FAILED": f"it was to be deleted, and a part of it could not be ({_EVENTS}): "
    f"{_DATABASE}; then delete it once more, and deploy again",
    "UPDATE_FAILED": f"an update failed and was not undone ({_EVENTS}): have it undone by "
    "aws cloudformation rollback-stack {where}, and deploy again",
    "UPDATE_ROLLBACK_FAILED": f"an update failed, and undoing it did too ({_EVENTS}): remove what "
    "was in the way, go on by aws cloudformation continue-update-rollback {where}, and when that "
    "is done deploy again",
}


def cure(name: str, status: str, region: str) -> str | None:
    """Return what is to be done about a stack that nothing can change; None about any other."""
    told = _STUCK.get(status)
    return told and told.format(where=f"--region {region} --stack-name {name}")


def check(name: str, status: str, region: str) -> None:
    """Raise StackError, saying what is to be done, unless a stack can be made or changed."""
    if told := cure(name, status, region):
        raise StackError(f"the stack {name} is {status}: {told}")
    if status.endswith("_IN_PROGRESS") and status != NEW:
        raise StackError(
            f"the stack {name} is being changed ({status}): deploy again when that is over"
        )
