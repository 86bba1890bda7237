"""Items of the tables under test, in the forms that DynamoDB gives them.

Plain items are a JSON list of objects: numbers for N, strings for S, lists of strings for SS.

    tables.py scan < plain.json > scan.json     what `aws dynamodb scan` prints
    tables.py bulk COUNT > plain.json           that many users, about 1.1 KB each
    tables.py create ENDPOINT TABLE             an empty table
    tables.py load ENDPOINT TABLE < plain.json  puts the items, replacing those with their names
    tables.py drop ENDPOINT TABLE               the table is gone
    tables.py dump ENDPOINT TABLE...            all items, sorted by table and name
    tables.py caller ENDPOINT NAME              a new IAM user; prints its access key and secret key
"""

import base64
import json
import random
import struct
import sys


def attribute(value):
    if isinstance(value, bool) or value is None:
        raise TypeError(f"no attribute of these tables is a {value!r}")
    if isinstance(value, dict):
        return value  # Already {"S": ...}: items that are wrong on purpose.
    if isinstance(value, list):
        return {"SS": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value}


def item(plain):
    return {name: attribute(value) for name, value in plain.items()}


def scan(plain):
    items = [item(each) for each in plain]
    return {"Items": items, "Count": len(items), "ScannedCount": len(items), "ConsumedCapacity": None}


def rsa_key(numbers, comment):
    """A key of 4096 bits that nobody has the other half of: its modulus is random."""
    modulus = b"\x00" + bytes([numbers.randrange(128, 256)]) + numbers.randbytes(510) + b"\x01"
    parts = (b"ssh-rsa", b"\x01\x00\x01", modulus)
    blob = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return f"ssh-rsa {base64.b64encode(blob).decode()} {comment}"


def bulk(count):
    numbers = random.Random(count)
    return [
        {
            "Name": f"bulk{index:05}",
            "UID": 100000 + index,
            "GID": 99999,
            "RealName": f"Number {index} of many " + "\u00e4" * 60,
            "Home": f"/home/bulk{index:05}",
            "Shell": "/bin/bash",
            "PasswordAgeMaxDays": 365,
            "AccountExpireDate": "2099-12-31",
            "SSHPublicKeys": [rsa_key(numbers, f"bulk{index:05}@example.com")],
        }
        for index in range(count)
    ]


def client(endpoint, service="dynamodb"):
    import boto3

    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="examplesecret",
    )


def create(endpoint, table):
    client(endpoint).create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "Name", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "Name", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def load(endpoint, table, plain):
    dynamodb = client(endpoint)
    puts = [{"PutRequest": {"Item": item(each)}} for each in plain]
    for start in range(0, len(puts), 25):
        answer = dynamodb.batch_write_item(RequestItems={table: puts[start : start + 25]})
        if answer.get("UnprocessedItems"):
            raise RuntimeError("the emulator left items unprocessed")


def dump(endpoint, tables):
    dynamodb = client(endpoint)
    found = {}
    for table in tables:
        pages = dynamodb.get_paginator("scan").paginate(TableName=table)
        items = [each for page in pages for each in page["Items"]]
        for each in items:
            for value in each.values():
                if "SS" in value:
                    value["SS"].sort()
        found[table] = sorted(items, key=lambda each: each["Name"]["S"])
    return found


def caller(endpoint, name):
    iam = client(endpoint, "iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return f"{key['AccessKeyId']} {key['SecretAccessKey']}"


def main(command, *arguments):
    if command == "scan":
        json.dump(scan(json.load(sys.stdin)), sys.stdout)
    elif command == "bulk":
        json.dump(bulk(int(arguments[0])), sys.stdout)
    elif command == "create":
        create(*arguments)
    elif command == "load":
        load(*arguments, json.load(sys.stdin))
    elif command == "dump":
        json.dump(dump(arguments[0], arguments[1:]), sys.stdout, indent=1, sort_keys=True)
    elif command == "caller":
        print(caller(*arguments))
    elif command == "drop":
        client(arguments[0]).delete_table(TableName=arguments[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
