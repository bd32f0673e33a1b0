# logrouter: one image for all. `docker run … route`, `… tables`, `… sink NAME`, or everything on one machine with `run`.
# Needs no root, no shell and no writable file system besides /data (tables lane) and /tmp.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/logrouter
# Dependencies first: they change less often than the code. Hashes are required, so what is installed is what was locked.
COPY requirements-runtime.lock ./
RUN /opt/logrouter/bin/pip install --no-deps --require-hashes -r requirements-runtime.lock
# The build backend is pinned in pyproject.toml.
COPY pyproject.toml README.md LICENSE topics.yaml ./
# Building gets the page's charting library by npm, checks it against the lock file and packs it.
COPY packing ./packing
COPY logrouter ./logrouter
RUN /opt/logrouter/bin/pip install --no-deps . \
 && /opt/logrouter/bin/python -m compileall -q /opt/logrouter/lib \
 && /opt/logrouter/bin/pip uninstall --yes --quiet pip

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="logrouter" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that Kubernetes can verify runAsNonRoot.
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin logrouter \
 && install -d -o logrouter -g logrouter /data
COPY --from=build /opt/logrouter /opt/logrouter
COPY topics.yaml /etc/logrouter/topics.yaml
ENV PATH=/opt/logrouter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LOGROUTER_CONFIG=/etc/logrouter/topics.yaml \
    LOGROUTER_DATA_DIR=/data \
    LOGROUTER_HTTP_HOST=0.0.0.0 \
    LOGROUTER_ACCESS_MODE=callers \
    LOGROUTER_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
# route lane: metrics and health; a sink: the same; tables lane: table view, metrics and health
EXPOSE 9100 9101 6066
STOPSIGNAL SIGTERM
ENTRYPOINT ["logrouter"]
CMD ["run"]
