# One image for every role: the executable with the web client inside.

FROM node:20-bookworm-slim AS web
WORKDIR /src
# The client's types are made from the contract.
COPY proto/yitang proto/yitang
COPY web web
RUN cd web && npm ci --no-audit --no-fund && npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=web /src/web/app/dist web/app/dist
RUN cargo build --profile dist --locked -p yitang

FROM debian:bookworm-slim
# curl asks for health; PostgreSQL's tools are for backup and restore.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl postgresql-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /data --create-home yitang
COPY --from=build /src/target/dist/yitang /usr/local/bin/yitang
USER yitang
WORKDIR /data
ENTRYPOINT ["yitang"]
CMD ["all"]
