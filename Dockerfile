# The program with its embedding model, on a small base, as an ordinary user. It needs a Postgres: see docker-compose.yml.

FROM rust:1.95-bookworm AS build
# The program is run while it is built, to count what it does: see scripts/trained-build.
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql python3 \
    && rm -rf /var/lib/apt/lists/* \
    && rustup component add llvm-tools
WORKDIR /src
COPY Cargo.toml Cargo.lock askama.toml build.rs ./
COPY crates crates
COPY scripts/trained-build scripts/
# Dependencies alone first: they change seldom, and this layer is kept.
RUN mkdir -p src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs && scripts/trained-build counting && rm -r src
COPY bench bench
COPY migrations migrations
COPY web web
COPY src src
RUN touch src/main.rs src/lib.rs && scripts/trained-build

FROM python:3.12-slim-bookworm AS model
WORKDIR /src
COPY scripts scripts
RUN scripts/embedding-model /opt/wharfinger

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/wharfinger --create-home wharfinger
COPY --from=model /opt/wharfinger /opt/wharfinger
COPY --from=build /src/target/dist/wharfinger /usr/local/bin/wharfinger
USER wharfinger
ENV WHARFINGER_LISTEN=0.0.0.0:8080 \
    WHARFINGER_DATA_DIR=/var/lib/wharfinger \
    WHARFINGER_MODEL_DIR=/opt/wharfinger/models/all-MiniLM-L6-v2 \
    WHARFINGER_MODEL_RUNTIME=/opt/wharfinger/lib/libonnxruntime.so \
    WHARFINGER_LOG_FORMAT=json
EXPOSE 8080
VOLUME /var/lib/wharfinger
STOPSIGNAL SIGTERM
ENTRYPOINT ["wharfinger"]
CMD ["serve"]
