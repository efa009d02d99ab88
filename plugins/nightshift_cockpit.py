"""The operators' cockpit in Airflow's UI: *Fleet* in the navigation, a tab *Model* on each DAG, a card on Home."""

from airflow.plugins_manager import AirflowPlugin

from nightshift.orchestration.cockpit import PREFIX, Lazy, api, react_apps


class NightshiftCockpit(AirflowPlugin):
    """Mounts the API below ``/nightshift/api``, and registers the script three times."""

    name = "nightshift_cockpit"
    react_apps = react_apps()
    fastapi_apps = [{"app": Lazy(api), "url_prefix": PREFIX, "name": "Nightshift cockpit"}]
