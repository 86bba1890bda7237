"""Validates the examples of infrastructure, and holds their tables and policies against those of ddum itself.

    examples.py DDUM CFN-LINT
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import boto3
import hcl2
import moto

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
# The tables are there when the policy is used, so it lacks what makes them.
SET_UP = {"dynamodb:CreateTable", "dynamodb:UpdateContinuousBackups", "dynamodb:TagResource"}
ROLES = {"reader": "ReaderPolicy", "admin": "AdminPolicy", "self": "OwnKeysPolicy"}


def printed(ddum, role):
    environment = dict(os.environ, AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
    command = [ddum, "tables", "policy", role, "--account", "123456789012"]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def plain(value, key=None):
    """A policy in which what may be one text or a list of texts is a sorted list."""
    if isinstance(value, dict):
        return {name: plain(each, name) for name, each in value.items()}
    if key == "Statement":
        return [plain(each) for each in value]
    if key in ("Version", "Sid", "Effect"):
        return value
    return sorted(value) if isinstance(value, list) else [value]


def without_set_up(policy):
    for statement in policy["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each not in SET_UP]
    return policy


def same(what, one, other):
    if one != other:
        sys.exit(f"FAILED: {what}\n{json.dumps(one, indent=1)}\n{json.dumps(other, indent=1)}")
    print(f"ok: {what}")


@moto.mock_aws
def cloudformation(ddum):
    options = {"region_name": "us-east-1", "aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "example"}
    stacks = boto3.client("cloudformation", **options)
    template = (EXAMPLES / "cloudformation.yaml").read_text(encoding="utf-8")
    stacks.create_stack(StackName="ddum", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    stack = stacks.describe_stacks(StackName="ddum")["Stacks"][0]
    same("the template makes its stack on moto", stack["StackStatus"], "CREATE_COMPLETE")
    dynamodb = boto3.client("dynamodb", **options)
    for name in ("Users", "Groups"):
        table = dynamodb.describe_table(TableName=name)["Table"]
        same(f"{name} has the key that hosts want", table["KeySchema"], [{"AttributeName": "Name", "KeyType": "HASH"}])
        same(f"{name} is on demand", table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        same(f"{name} cannot be deleted", table["DeletionProtectionEnabled"], True)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    iam = boto3.client("iam", **options)
    for role, output in ROLES.items():
        version = iam.get_policy(PolicyArn=outputs[output])["Policy"]["DefaultVersionId"]
        policy = iam.get_policy_version(PolicyArn=outputs[output], VersionId=version)["PolicyVersion"]["Document"]
        same(f"its policy for {role} is the one that ddum prints", plain(policy), without_set_up(plain(printed(ddum, role))))


def terraform(ddum):
    with open(EXAMPLES / "terraform.tf", encoding="utf-8") as file:
        parsed = hcl2.load(file)
    print("ok: the Terraform example can be parsed")
    policies = {}
    for resource in parsed["resource"]:
        for name, block in resource.get('"aws_iam_policy"', {}).items():
            policies[name.strip('"')] = sorted(re.findall(r'"(dynamodb:[A-Z][A-Za-z]+)"(?= *[,\]])', block["policy"]))
    for role, name in {"reader": "reader", "admin": "admin", "self": "own_keys"}.items():
        wanted = without_set_up(plain(printed(ddum, role)))["Statement"]
        actions = sorted(action for statement in wanted for action in statement["Action"])
        same(f"its policy for {role} allows what ddum's allows", policies[name], actions)
    print("NOT CHECKED: examples/terraform.tf against its provider; Terraform cannot be had here, only a parser")


def main(ddum, cfn_lint):
    subprocess.run([cfn_lint, EXAMPLES / "cloudformation.yaml"], check=True)
    print("ok: cfn-lint has nothing to say of the CloudFormation example")
    cloudformation(ddum)
    terraform(ddum)


if __name__ == "__main__":
    main(*sys.argv[1:])
