"""A planner on a schedule: plans afresh every Monday, so that new services of the catalogue are onboarded, too.

A plan that differs from last week's waits until a person has approved it. Copy this file and change the requirement.
It starts paused; unpause it in Airflow when you mean it.
"""

from airflow.sdk import CronTriggerTimetable

from chassis import planner_dag

dag = planner_dag(
    "recurring_onboarding",
    requirement="Add pet insurance product to all services",
    workflow_id="onboard_pet_insurance",
    schedule=CronTriggerTimetable("0 6 * * 1", timezone="Europe/Berlin"),
    approve="changed",  # a plan that is the workflow's newest revision already runs without anybody being asked
    is_paused_upon_creation=True,
)
