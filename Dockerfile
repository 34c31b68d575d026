# One image; its command chooses the process:
#   python -m billing_service serve     the gRPC service (the default)
#   python -m billing_service migrate   the schema
#   python -m webhook_gateway           the webhook sidecar
# Runs as a user without rights, on a read-only root filesystem: what is
# written goes to /var/lib/paidup, a volume (SQLite only).
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/paidup
COPY requirements/server.txt requirements/build.txt requirements/
RUN /opt/paidup/bin/pip install --no-cache-dir --require-hashes --requirement requirements/server.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.txt
COPY . .
RUN /opt/build/bin/python -m build --no-isolation --wheel --outdir dist clients/python \
 && /opt/build/bin/python -m build --no-isolation --wheel --outdir dist . \
 && /opt/paidup/bin/pip install --no-cache-dir --no-deps dist/*.whl \
 && /opt/paidup/bin/python -m compileall -q /opt/paidup

FROM python:3.11-slim
# `make image` says them; the same commit gives the same ones.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="paidup" \
      org.opencontainers.image.description="Sells Stripe subscriptions and answers what an account has paid for." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
ENV PATH=/opt/paidup/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PAIDUP_DATABASE_URL=sqlite+aiosqlite:////var/lib/paidup/paidup.db
RUN groupadd --gid 65532 paidup \
 && useradd --uid 65532 --gid 65532 --no-create-home --shell /usr/sbin/nologin paidup \
 && install --directory --owner=65532 --group=65532 /var/lib/paidup
COPY --from=build /opt/paidup /opt/paidup
# The bill of materials is there where `make sbom` was run before, as `make image` does.
COPY LICENSE dist/sbom.cdx.jso[n] /usr/share/doc/paidup/
WORKDIR /var/lib/paidup
VOLUME /var/lib/paidup
USER 65532:65532
EXPOSE 50051 8080 9464
ENTRYPOINT ["python", "-m"]
CMD ["billing_service", "serve"]
