# The image of the Cloud Build steps: gcloud builds submit --tag=IMAGE
FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin revgate

FROM debian:bookworm-slim
# Without CA certificates no Google API can be reached.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/target/release/revgate /usr/local/bin/revgate
USER 65532:65532
WORKDIR /workspace
ENTRYPOINT ["revgate"]
