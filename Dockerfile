# The image of every Airflow component in docker-compose.yaml, on Airflow's image without optional providers: so
# requirements-image.lock pins all that there is, and no task start pays for providers that nothing uses.
FROM apache/airflow:slim-3.3.2-python3.12

# What changes seldom comes first, so that a change of the project builds in seconds. The lock is complete (pip check
# below shows it), so pip is to resolve nothing: with hashes, it would refuse requirements such as celery[redis].
COPY requirements-image.lock /opt/chassis/
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement /opt/chassis/requirements-image.lock

COPY --chown=airflow:0 pyproject.toml README.md LICENSE airflow_settings.yaml /opt/chassis/
COPY --chown=airflow:0 include /opt/chassis/include
COPY --chown=airflow:0 dags /opt/chassis/dags
RUN pip install --no-cache-dir --no-deps --no-build-isolation /opt/chassis \
    && pip check \
    # A volume takes its owner from the folder that it is first mounted over.
    && mkdir -p /opt/airflow/plans /opt/airflow/records /home/airflow/.aws
COPY --chown=airflow:0 dags /opt/airflow/dags
