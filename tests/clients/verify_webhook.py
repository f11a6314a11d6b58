"""Checks the signature of a webhook as Standard Webhooks describes it, with nothing of ours.

Reads JSON from standard input: {"secret": "whsec_...", "id": ..., "timestamp": ..., "signature": ..., "body": ...}.
Ends with 0 when one of the signatures is good, else with 1.
"""

import base64
import hashlib
import hmac
import json
import sys

told = json.load(sys.stdin)
key = base64.b64decode(told["secret"].removeprefix("whsec_"))
message = f"{told['id']}.{told['timestamp']}.{told['body']}".encode()
expected = "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
good = any(hmac.compare_digest(one, expected) for one in told["signature"].split(" "))
print("good" if good else "bad")
sys.exit(0 if good else 1)
