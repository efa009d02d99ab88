"""The only part of Nightshift that knows Airflow. Light: DAG files import it on every parse."""
