# The two tables of ddum, and managed policies for hosts, for administrators and for users who manage their own keys.
# "ddum tables create" makes the same tables, "ddum tables policy" prints the same policies (that for administrators with
# what it takes to make the tables).
#
# Written after the provider's documentation; parsed, but not yet run through "terraform validate".

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "user_table_name" {
  type    = string
  default = "Users"
}

variable "group_table_name" {
  type    = string
  default = "Groups"
}

resource "aws_dynamodb_table" "accounts" {
  for_each = { users = var.user_table_name, groups = var.group_table_name }

  name                        = each.value
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "Name"
  deletion_protection_enabled = true

  attribute {
    name = "Name"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  both = [for table in aws_dynamodb_table.accounts : table.arn]

  # $$ keeps Terraform from reading what IAM is to read.
  own_item = {
    "dynamodb:LeadingKeys" = ["$${aws:username}"]
    "dynamodb:Attributes"  = ["Name", "SSHPublicKeys", "DisabledSSHPublicKeys"]
  }
  names_some = { "dynamodb:LeadingKeys" = "false", "dynamodb:Attributes" = "false" }
}

# For the roles of instances.
resource "aws_iam_policy" "reader" {
  name = "ddum-reader"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "ReadAccounts"
      Effect   = "Allow"
      Action   = ["dynamodb:Scan"]
      Resource = local.both
    }]
  })
}

# For the few who give and take accounts: whoever has it can become root on every host.
resource "aws_iam_policy" "admin" {
  name = "ddum-admin"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "ManageAccounts"
      Effect = "Allow"
      Action = [
        "dynamodb:Scan",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:ListTagsOfResource",
      ]
      Resource = local.both
    }]
  })
}

# For IAM users that are called as their items are.
resource "aws_iam_policy" "own_keys" {
  name = "ddum-own-keys"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadOwnKeys"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem"]
        Resource = [aws_dynamodb_table.accounts["users"].arn]
        Condition = {
          "Null"                      = local.names_some
          "ForAllValues:StringEquals" = local.own_item
          "StringEquals"              = { "dynamodb:Select" = "SPECIFIC_ATTRIBUTES" }
        }
      },
      {
        Sid      = "WriteOwnKeys"
        Effect   = "Allow"
        Action   = ["dynamodb:UpdateItem"]
        Resource = [aws_dynamodb_table.accounts["users"].arn]
        Condition = {
          "Null"                      = local.names_some
          "ForAllValues:StringEquals" = local.own_item
          "StringEquals"              = { "dynamodb:ReturnValues" = ["NONE", "UPDATED_OLD", "UPDATED_NEW"] }
        }
      },
    ]
  })
}
