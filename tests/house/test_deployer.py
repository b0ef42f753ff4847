"""What whoever deploys is allowed by docs/deployer-policy.json: each call that it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localdev.doctor.rights import allows
from tests.tree import ROOT

POLICY: dict[str, Any] = json.loads(
    (ROOT / "docs" / "deployer-policy.json").read_text(encoding="utf-8")
)
CHALICE = ROOT / "chalice_app" / ".chalice"
HERE = "eu-west-1:123456789012"
STACK = f"arn:aws:cloudformation:{HERE}:stack/tasks-prod/abc"
#: A call for each type of resource in the template, and those that scripts/deploy.sh makes itself.
CALLS = {
    "AWS::SQS::Queue": ("sqs:SetQueueAttributes", f"arn:aws:sqs:{HERE}:interview-queue-prod-dlq"),
    "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes", f"arn:aws:sqs:{HERE}:interview-queue-prod"),
    "AWS::CloudWatch::Alarm": (
        "cloudwatch:PutMetricAlarm",
        f"arn:aws:cloudwatch:{HERE}:alarm:tasks-prod-dead-letters",
    ),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch:PutDashboard",
        "arn:aws:cloudwatch::123456789012:dashboard/tasks-prod",
    ),
    "AWS::Logs::LogGroup": (
        "logs:PutRetentionPolicy",
        f"arn:aws:logs:{HERE}:log-group:/aws/lambda/tasks-prod-worker",
    ),
    "AWS::IAM::Role": ("iam:PassRole", "arn:aws:iam::123456789012:role/tasks-prod-WorkerRole-1X"),
    "AWS::Lambda::Permission": (
        "lambda:AddPermission",
        f"arn:aws:lambda:{HERE}:function:tasks-prod",
    ),
    "AWS::Serverless::Function": (
        "lambda:UpdateFunctionConfiguration",
        f"arn:aws:lambda:{HERE}:function:tasks-prod-migrate",
    ),
    "AWS::Serverless::Api": ("apigateway:PUT", "arn:aws:apigateway:eu-west-1::/restapis/abc"),
    "AWS::EC2::VPC": ("ec2:CreateVpc", "*"),
    "AWS::EC2::Subnet": ("ec2:CreateSubnet", "*"),
    "AWS::EC2::SecurityGroup": ("ec2:AuthorizeSecurityGroupIngress", "*"),
    "AWS::EC2::VPCEndpoint": ("ec2:CreateVpcEndpoint", "*"),
    "AWS::RDS::DBSubnetGroup": (
        "rds:CreateDBSubnetGroup",
        f"arn:aws:rds:{HERE}:subgrp:tasks-prod-tasksdatabasesubnets-1x",
    ),
    "AWS::RDS::DBClusterParameterGroup": (
        "rds:CreateDBClusterParameterGroup",
        f"arn:aws:rds:{HERE}:cluster-pg:tasks-prod-tasksdatabaseparameters-1x",
    ),
    "AWS::RDS::DBCluster": (
        "rds:CreateDBCluster",
        f"arn:aws:rds:{HERE}:cluster:tasks-prod-tasksdatabase-1x",
    ),
    "AWS::RDS::DBInstance": (
        "rds:CreateDBInstance",
        f"arn:aws:rds:{HERE}:db:tasks-prod-tasksdatabasewriter-1x",
    ),
    "the account": ("sts:GetCallerIdentity", "*"),
    "the bucket": ("s3:CreateBucket", "arn:aws:s3:::tasks-packages-123456789012-eu-west-1"),
    "the packages": ("s3:PutObject", "arn:aws:s3:::tasks-packages-123456789012-eu-west-1/prod/x"),
    "its closing": ("s3:PutBucketPolicy", "arn:aws:s3:::tasks-packages-123456789012-eu-west-1"),
    "the parameters": ("cloudformation:GetTemplateSummary", "*"),
    "the template before": ("cloudformation:GetTemplate", STACK),
    "a change that is dropped": ("cloudformation:DeleteChangeSet", STACK),
    "the change": ("cloudformation:CreateChangeSet", STACK),
    "its transform": (
        "cloudformation:CreateChangeSet",
        "arn:aws:cloudformation:eu-west-1:aws:transform/Serverless-2016-10-31",
    ),
    "the code": ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{HERE}:function:tasks-prod-migrate"),
    "the migration": (
        "lambda:InvokeFunction",
        f"arn:aws:lambda:{HERE}:function:tasks-prod-migrate",
    ),
    "the mapping": ("lambda:CreateEventSourceMapping", "*"),
    "the tick": ("events:PutRule", f"arn:aws:events:{HERE}:rule/tasks-prod-SweeperSweeperEvent-1X"),
    "the role of API Gateway": (
        "iam:CreateServiceLinkedRole",
        "arn:aws:iam::123456789012:role/aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRole",
    ),
    "the password": (
        "secretsmanager:CreateSecret",
        f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-1x",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_who_deploys_may_do_what_it_takes(what: str) -> None:
    action, resource = CALLS[what]
    assert allows([POLICY], action, resource)


def test_a_call_is_held_for_each_type_of_resource_in_the_template() -> None:
    snapshot = ROOT / "tests" / "template" / "sam.snapshot.json"
    files = (snapshot, CHALICE / "aurora.json")
    parts = [json.loads(file.read_text(encoding="utf-8"))["Resources"] for file in files]
    types = {one["Type"] for part in parts for one in part.values()}
    assert types == {name for name in CALLS if name.startswith("AWS::")}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("lambda:DeleteFunction", f"arn:aws:lambda:{HERE}:function:another"),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/Admin"),
        ("s3:GetObject", "arn:aws:s3:::another/x"),
        ("rds:DeleteDBCluster", f"arn:aws:rds:{HERE}:cluster:another"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/another/abc"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:tasks-AbCdEf"),
    ],
)
def test_who_deploys_may_not_touch_what_is_not_the_stacks(action: str, resource: str) -> None:
    assert not allows([POLICY], action, resource)


def test_the_policy_is_one_that_iam_takes() -> None:
    # Source: IAM User Guide, "IAM and AWS STS quotas": a managed policy has 6,144 characters at
    # most, white space not counted.
    assert len(json.dumps(POLICY, separators=(",", ":"))) <= 6144
    assert POLICY["Version"] == "2012-10-17"
    sids = [one["Sid"] for one in POLICY["Statement"]]
    assert len(set(sids)) == len(sids)
    for one in POLICY["Statement"]:
        assert one.keys() == {"Sid", "Effect", "Action", "Resource"}
        assert one["Sid"].isalnum()
