"""What contradicts itself in a form of ours is refused in the form: a range that is reversed, rows discarded
without a reason. There is no run then, which would fail."""

from airflow.plugins_manager import AirflowPlugin

from nightshift.orchestration.form_check import FormCheck


class NightshiftForms(AirflowPlugin):
    """Stands in front of the API server."""

    name = "nightshift_forms"
    fastapi_root_middlewares = [{"name": "Forms", "middleware": FormCheck}]
