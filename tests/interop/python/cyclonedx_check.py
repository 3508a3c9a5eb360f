"""Validates a CycloneDX document strictly: cyclonedx_check.py FILE."""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = Path(sys.argv[1]).read_text(encoding="utf-8")
version = SchemaVersion.from_version(json.loads(text)["specVersion"])
errors = JsonStrictValidator(version).validate_str(text, all_errors=True)
if errors:
    for error in errors:
        print(error, file=sys.stderr)
    sys.exit(1)
print("valid")
