"""Monitoring: drift against a stored profile, realised performance, the night's verdict, the report.

Decisions are ours and use every row; Evidently draws pictures of a sample (``report``, which alone
imports it, so that deciding does not pay for it).
"""
