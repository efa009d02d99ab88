"""Stages: one function a task, each read -> compute -> write. What a DAG file calls is here.

Every stage takes the batch dates it is for and a ``Try`` that names who asks; none asks the clock. Each can
be run again for any date, by anyone, and leaves the same rows.

A module that is named as a DAG file holds what that file's tasks do; the others are what several of them share, the
operations by hand, and what only commands call.
"""

from nightshift.explore import Question
from nightshift.platform import Platform, Try
from nightshift.stages.alerts import evaluate_alerts, send_alerts, silence_alert, try_receiver
from nightshift.stages.asking import Answered, Wanted, ask_champion, score_entities
from nightshift.stages.catalog import describe
from nightshift.stages.checking import check_features, check_shards, newest_nights, what_features_say_alone
from nightshift.stages.closing import close_faults
from nightshift.stages.collect import collect, validate
from nightshift.stages.documenting import compare_versions, write_card
from nightshift.stages.explore import explore_features, explore_source
from nightshift.stages.features import build_features
from nightshift.stages.governing import reconcile_registry, roll_back, verify_ledgers
from nightshift.stages.importing import receive, take_over
from nightshift.stages.judging import Answer, ask_for_signature, evaluate, judge_again, sign
from nightshift.stages.monitor import decide_verdict, measure_performance, render_report
from nightshift.stages.probation import judge_probation, score_beside
from nightshift.stages.publishing import (
    LONGEST_MISSED,
    Choice,
    announce,
    corrected,
    leave,
    missed,
    owed,
    reached,
    stale,
)
from nightshift.stages.quarantining import Replay, replay
from nightshift.stages.reconciling import reconcile_source
from nightshift.stages.registering import register_again
from nightshift.stages.renaming import rename
from nightshift.stages.replaying import Rehearsal, policies, rehearse
from nightshift.stages.reproducing import reproduce
from nightshift.stages.retention import retain
from nightshift.stages.retrain import decide_retraining, verdict_of
from nightshift.stages.score import compare, score, score_missed, unwatched
from nightshift.stages.train import conclude, fit, promote, snapshot

__all__ = [
    "LONGEST_MISSED",
    "Answer",
    "Answered",
    "Choice",
    "Platform",
    "Question",
    "Rehearsal",
    "Replay",
    "Try",
    "Wanted",
    "announce",
    "ask_champion",
    "ask_for_signature",
    "build_features",
    "check_features",
    "check_shards",
    "close_faults",
    "collect",
    "compare",
    "compare_versions",
    "conclude",
    "corrected",
    "decide_retraining",
    "decide_verdict",
    "describe",
    "evaluate",
    "evaluate_alerts",
    "explore_features",
    "explore_source",
    "fit",
    "judge_again",
    "judge_probation",
    "leave",
    "measure_performance",
    "missed",
    "newest_nights",
    "owed",
    "policies",
    "promote",
    "reached",
    "receive",
    "reconcile_registry",
    "reconcile_source",
    "register_again",
    "rehearse",
    "rename",
    "render_report",
    "replay",
    "reproduce",
    "retain",
    "roll_back",
    "score",
    "score_beside",
    "score_entities",
    "score_missed",
    "send_alerts",
    "sign",
    "silence_alert",
    "snapshot",
    "stale",
    "take_over",
    "try_receiver",
    "unwatched",
    "validate",
    "verdict_of",
    "verify_ledgers",
    "what_features_say_alone",
    "write_card",
]
