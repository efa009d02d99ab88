from datetime import date
import pytest
from nightshift import stages, train, metrics
from nightshift.calendar import DateRange
from nightshift.stages import Try, Platform
pytestmark = pytest.mark.integration
def test_x(warehouse, connections, tmp_path):
    from nightshift.objects import Objects
    from nightshift.specs import load_project
    from nightshift.stages.training import read_snapshot, split
    platform = Platform(load_project(), warehouse, None, Objects(str(tmp_path)), connections.__getitem__)
    nights, asked = DateRange(date(2013,1,2), date(2013,3,4)), Try("h")
    for s in platform.project.sources:
        stages.collect(platform, s, nights, asked); stages.validate(platform, s, nights, asked)
    for f in platform.project.feature_sets:
        stages.build_features(platform, f, nights, asked)
    for name in platform.project.models:
        model = platform.project.model(name); fs = platform.project.feature_set(model.features)
        frozen = stages.snapshot(platform, name, date(2013,3,4), asked)
        facts, rows = read_snapshot(platform, frozen["snapshot_id"]); fit, hold = split(facts, rows)
        p = train.fit(model, fs, fit, fit.label)
        print(name, frozen, len(fit), len(hold), metrics.score(model.task, hold.label, train.predict(p, hold)), flush=True)
        if model.task == "regression":
            for w, v in {"mean": fit.label.mean(), "median": fit.label.median()}.items():
                print("  constant", w, metrics.score("regression", hold.label, (hold.label*0+v).to_numpy()))
            print("  label mean/std", hold.label.mean(), hold.label.std())
        if "scheduled" in hold:
            print("  baseline all leave", metrics.score("regression", hold.label, hold.scheduled.to_numpy()))
            print("  baseline by rate", metrics.score("regression", hold.label, (hold.scheduled*fit.label.sum()/fit.scheduled.sum()).to_numpy()))
        print("  importance", {k: round(v,3) for k,v in sorted(train.importance(model, p, hold, hold.label).items(), key=lambda x:-x[1])[:6]}, flush=True)
