# syntax=docker/dockerfile:1
# Keydeck: build stage installs the hash-pinned packages, the final stage runs as a user without rights.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements/run.txt requirements.txt
RUN python -m venv /opt/keydeck \
 && /opt/keydeck/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Keydeck" org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 keydeck \
 && useradd --system --uid 10001 --gid keydeck --home-dir /srv/keydeck --shell /usr/sbin/nologin keydeck \
 && mkdir -p /srv/keydeck /data \
 && chown keydeck:keydeck /data
COPY --from=build /opt/keydeck /opt/keydeck
WORKDIR /srv/keydeck
COPY alembic.ini ./
COPY migrations ./migrations
COPY templates ./templates
COPY static ./static
COPY app ./app
ENV PATH=/opt/keydeck/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    KEYDECK_DATA_DIR=/data \
    KEYDECK_HOST=0.0.0.0
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-m", "app", "healthcheck"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve", "--migrate"]
