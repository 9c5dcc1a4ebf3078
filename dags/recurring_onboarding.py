"""A planner on a schedule: plans afresh every Monday, so that new services of the catalogue are onboarded, too.

Copy this file and change the requirement. It starts paused; unpause it in Airflow when you mean it.
"""

from airflow.sdk import CronTriggerTimetable

from chassis.dag.planner import planner_dag

dag = planner_dag(
    "recurring_onboarding",
    requirement="Add pet insurance product to all services",
    workflow_id="onboard_pet_insurance",
    schedule=CronTriggerTimetable("0 6 * * 1", timezone="Europe/Berlin"),
    is_paused_upon_creation=True,
)
