"""What the modules that ask Nomad's API take alike; their ``ARGUMENTS`` are in module_utils/nomad_http.py."""

from __future__ import annotations


class ModuleDocFragment:
    """``extends_documentation_fragment: nomad_api``."""

    DOCUMENTATION = """
options:
  addresses:
    description: Where agents answer, C(https://host:port). They are asked in this order until one answers.
    type: list
    elements: str
    required: true
  ca_file:
    description: The authority of their certificates.
    type: path
    default: ''
  token:
    description: The SecretID of an ACL token; empty, none.
    type: str
    default: ''
"""
