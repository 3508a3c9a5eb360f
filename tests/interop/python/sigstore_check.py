"""Verifies a keyless bundle around a statement with sigstore-python, offline:

    sigstore_check.py TRUSTED_ROOT BUNDLE IDENTITY ISSUER SHA256_HEX

Prints the predicate type. The library does not compare the subject, so this script does.
"""

import json
import sys
from pathlib import Path

from sigstore.errors import VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

root, bundle, identity, issuer, digest = sys.argv[1:]
verifier = Verifier(trusted_root=TrustedRoot.from_file(root))
try:
    parsed = Bundle.from_json(Path(bundle).read_bytes())
    demanded = policy.Identity(identity=identity, issuer=issuer)
    kind, payload = verifier.verify_dsse(parsed, demanded)
except VerificationError as error:
    sys.exit(f"refused: {error}")
statement = json.loads(payload)
if kind != "application/vnd.in-toto+json":
    sys.exit(f"refused: payload type {kind}")
if not any(one["digest"]["sha256"] == digest for one in statement["subject"]):
    sys.exit(f"refused: no subject has the digest {digest}")
print(statement["predicateType"])
