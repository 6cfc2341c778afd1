# The server alone; Redis and PostgreSQL are containers of their own, see compose.yaml. The build needs no .env.
ARG PYTHON_IMAGE=python:3.14-slim

FROM ${PYTHON_IMAGE} AS build
COPY requirements.lock /build/
# Without requirements-embedded.lock: a container is given real databases.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r /build/requirements.lock \
    && /venv/bin/pip uninstall --yes pip \
    && python -m compileall -q /venv/lib

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 cook \
    && useradd --system --uid 10001 --gid cook --home-dir /app --no-create-home --shell /usr/sbin/nologin cook
COPY --from=build /venv /venv
COPY game /app/game
COPY runtime /app/runtime
COPY server /app/server
COPY persistence /app/persistence
COPY seeds /app/seeds
COPY clients /app/clients
COPY scripts /app/scripts
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=1323 \
    LOG_FORMAT=json
WORKDIR /app
USER 10001:10001
EXPOSE 1323
STOPSIGNAL SIGTERM
# Lives, rather than is ready: a server whose Redis is away must not be taken down for it.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "server"]
